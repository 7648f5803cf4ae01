"""One thread that runs the network: commands go in at once, messages come out bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from napari_sam2.widgets.backlog import Backlog
from napari_sam2.widgets.messages import Message

TAKE_SECONDS = 0.03
"""Longest time for messages at once: between two takes the window draws, and hears its user."""

Command = Callable[[], None]
"""Something to do on the worker's thread."""


class Workload(Protocol):
    """What a worker runs between commands; every call comes from the worker's thread."""

    def has_work(self) -> bool:
        """Whether `advance` has something to do."""

    def advance(self) -> None:
        """Do one small piece of the work: at most one frame."""

    def fail(self, error: Exception) -> None:
        """Take note of what a command or a step raised; the thread goes on."""

    def close(self) -> None:
        """Let go of everything; the thread ends after it."""


class Worker:
    """Runs commands in the order they were given and, between them, the workload in small steps.

    Because every step is at most one frame, whatever the user does (a click, a pause, a cancel)
    waits for one frame at most. Messages wait in an outbox of `capacity`; when the window does
    not keep up, the worker waits, so masks never pile up in memory.

    Parameters
    ----------
    wake : callable
        Called from the worker's thread when messages begin to wait; it should make the window's
        thread call `take`.
    capacity : int
        Messages that may wait.

    Attributes
    ----------
    backlog : Backlog
        Frames that are not on disk yet.
    """

    def __init__(self, wake: Callable[[], None], capacity: int = 8) -> None:
        self._wake = wake
        self._capacity = capacity
        self.backlog = Backlog(self.look_again)
        self._changed = threading.Condition()
        self._commands: deque[Command] = deque()
        self._outbox: deque[Message] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, workload: Workload) -> None:
        """Start the thread; the workload belongs to it from here on."""
        # A daemon: a network step that hangs must not keep Python from ending.
        self._thread = threading.Thread(
            target=self._run, args=(workload,), name="napari-sam2", daemon=True
        )
        self._thread.start()

    def submit(self, command: Command) -> None:
        """Ask for a command; it runs before any further step of the workload."""
        with self._changed:
            self._commands.append(command)
            self._changed.notify_all()

    def post(self, message: Message) -> None:
        """Hand a message to the window (worker's thread); waits while the outbox is full."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or len(self._outbox) < self._capacity)
            if self._closing:
                return
            self._outbox.append(message)
            was_empty = len(self._outbox) == 1
        if was_empty:
            self._wake()

    def take(self, seconds: float = TAKE_SECONDS) -> Iterator[Message]:
        """Yield the messages that wait, oldest first (window's thread), for a bounded time."""
        until = time.monotonic() + seconds
        while True:
            with self._changed:
                message = self._outbox.popleft() if self._outbox else None
                self._changed.notify_all()
            if message is None:
                return
            yield message
            if time.monotonic() > until:
                return

    def look_again(self) -> None:
        """Ask the workload anew whether it has something to do (any thread)."""
        with self._changed:
            self._changed.notify_all()

    @property
    def delay(self) -> float | None:
        """Seconds after which to `take` again: 0 while messages wait, else None."""
        with self._changed:
            return 0.0 if self._outbox else None

    def close(self, timeout: float = 2.0) -> bool:
        """End the thread after the step it is in; whether it ended within `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._commands.clear()
            self._outbox.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.is_alive

    def _run(self, workload: Workload) -> None:
        """Run commands and steps until `close`."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._commands or workload.has_work()
                )
                if self._closing:
                    break
                command = self._commands.popleft() if self._commands else workload.advance
            try:
                command()
            except Exception as error:
                workload.fail(error)
        workload.close()
