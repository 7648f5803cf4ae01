"""A run waits until its frames are on disk; neither the window nor a click waits for that."""

from __future__ import annotations

import threading

import numpy as np

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.widgets.autosave import Autosave
from napari_sam2.widgets.backlog import Backlog, Outlet
from napari_sam2.widgets.messages import FrameTracked, Halted, Progress


class SlowDisk:
    """A disk that takes a frame when it is told to."""

    def __init__(self, monkeypatch) -> None:
        from napari_sam2.io.session_masks import SessionMasks

        self.may_write = threading.Event()
        write = SessionMasks.write

        def slow(masks, frame, records) -> None:
            assert self.may_write.wait(30)
            write(masks, frame, records)

        monkeypatch.setattr(SessionMasks, "write", slow)


def frame_of(number: int) -> FrameTracked:
    record = MaskRecord.from_mask(np.ones((2, 2), bool))
    result = FrameResult(number, (ObjectResult(1, number, record),), 0, 0.1)
    return FrameTracked("key", 1, result, Progress(number, 9, 1.0))


class Saver:
    """Stands for the thread that writes; counts what it has to do."""

    def __init__(self) -> None:
        self.unsaved = 0
        self.written = Autosave.written.__get__(self, Saver)


def test_a_second_frame_waits_and_other_messages_keep_their_order() -> None:
    posted: list[object] = []
    backlog = Backlog()
    saver = Saver()
    backlog.watch("key", saver)
    outlet = Outlet(posted.append, backlog)
    first, second = frame_of(1), frame_of(2)
    outlet.commit(first)
    outlet.commit(second)
    assert (posted, outlet.is_holding, outlet.is_due) == ([first], True, False)
    with backlog.taking():
        saver.unsaved = 1  # the window tells the saver
    assert not outlet.is_due
    saver.unsaved = 0
    assert outlet.is_due
    outlet(end := Halted())
    assert posted == [first, second, end]


def test_a_movie_that_is_not_saved_is_not_waited_for() -> None:
    posted: list[object] = []
    outlet = Outlet(posted.append, Backlog())
    for number in range(3):
        outlet.commit(frame_of(number))
    assert len(posted) == 3


def test_a_run_is_one_frame_ahead_of_a_slow_disk_and_clicks_are_answered(
    make_controller, synthetic, tmp_path, answered, drive, monkeypatch
) -> None:
    disk = SlowDisk(monkeypatch)
    disk.may_write.set()
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    assert controller.sessions.save_as(tmp_path / "mine")
    saver = controller.sessions._savers[controller._movie]
    drive(controller, lambda: saver.is_saved)
    disk.may_write.clear()
    controller.propagate("forward")
    masklets = controller.layers.masklets
    drive(controller, lambda: saver.unsaved > 0)
    answered(controller, lambda: controller.layers.points.add((0, 34, 34)))
    tracked = set(masklets.frames(1)) - {0}
    # The one that is being written, and at most one that went with the answer to the click.
    assert 1 <= len(tracked) <= 2
    answered(controller, lambda: controller.layers.points.add((0, 26, 30)))
    assert set(masklets.frames(1)) - {0} == tracked
    assert controller.run_state == "running"
    disk.may_write.set()
    drive(controller, lambda: controller.run_state == "idle")
    assert len(masklets.frames(1)) == 12
