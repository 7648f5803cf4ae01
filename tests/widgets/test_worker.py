"""The thread: order of commands, bounded messages, an end at any time."""

from __future__ import annotations

import threading
import time

import pytest

from napari_sam2.widgets.messages import ModelLoading
from napari_sam2.widgets.worker import Worker


class Counting:
    """A workload that posts a number at every step."""

    def __init__(self, worker: Worker, steps: int) -> None:
        self.worker, self.left = worker, steps
        self.done = 0
        self.is_closed = False
        self.errors: list[Exception] = []

    def has_work(self) -> bool:
        return self.left > 0

    def advance(self) -> None:
        self.left -= 1
        self.worker.post(ModelLoading("step", self.done))
        self.done += 1

    def fail(self, error: Exception) -> None:
        self.errors.append(error)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def start():
    """Start a worker; it is ended after the test."""
    workers = []

    def make(steps: int = 0, capacity: int = 8):
        woken = threading.Event()
        worker = Worker(woken.set, capacity)
        workers.append(worker)
        work = Counting(worker, steps)
        worker.start(work)
        return worker, work, woken

    yield make
    for worker in workers:
        assert worker.close()


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_commands_run_in_order_on_another_thread(start):
    worker, _, _ = start()
    seen = []
    for number in range(20):
        worker.submit(lambda number=number: seen.append((number, threading.current_thread().name)))
    wait_for(lambda: len(seen) == 20)
    assert [number for number, _ in seen] == list(range(20))
    assert {name for _, name in seen} == {"napari-sam2"}


def test_the_worker_waits_for_a_slow_window(start):
    worker, work, woken = start(steps=50, capacity=4)
    assert woken.wait(10)
    time.sleep(0.1)
    assert work.done <= 5  # four in the outbox, one more may have been begun
    seen = []
    wait_for(lambda: seen.extend(m.done for m in worker.take()) or len(seen) == 50)
    assert seen == list(range(50))


def test_a_window_that_is_slow_with_messages_is_let_go_in_between(start):
    worker, _, woken = start(steps=8, capacity=8)
    assert woken.wait(10)
    wait_for(lambda: worker._outbox and len(worker._outbox) == 8)
    taken = []
    for message in worker.take(seconds=0.02):
        taken.append(message.done)
        time.sleep(0.03)
    assert taken == [0]
    assert worker.delay == 0
    assert [message.done for message in worker.take()] == list(range(1, 8))
    assert worker.delay is None


def test_a_command_goes_before_the_rest_of_the_work(start):
    worker, work, woken = start(steps=50, capacity=2)
    assert woken.wait(10)
    worker.submit(lambda: setattr(work, "left", 0))
    wait_for(lambda: list(worker.take()) is not None and work.left == 0)
    assert work.done <= 5


def test_close_ends_a_worker_that_waits_for_the_window(start):
    worker, work, woken = start(steps=50, capacity=1)
    assert woken.wait(10)
    assert worker.close()
    assert work.is_closed
    assert not worker.is_alive
    assert list(worker.take()) == []


def test_close_can_be_called_twice(start):
    worker, _, _ = start()
    assert worker.close()
    assert worker.close()


def test_a_command_that_fails_does_not_end_the_thread(start):
    worker, work, _ = start()
    seen = []
    worker.submit(lambda: seen.append(1 // 0))
    worker.submit(lambda: seen.append(2))
    wait_for(lambda: seen == [2])
    assert [type(error) for error in work.errors] == [ZeroDivisionError]
