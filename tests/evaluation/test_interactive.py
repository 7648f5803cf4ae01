"""The interactive protocols, with rivals and with a method whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.interactive import CLICKS, score_offline, score_online
from napari_sam2.evaluation.interactive_rivals import (
    CarryByFlow,
    CorrectedRival,
    carry_unchanged,
)
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.optical_flow import has_optical_flow
from napari_sam2.evaluation.tasks import MaskletTask, pick_masklets
from napari_sam2.masklets import MaskRecord

COPY = CorrectedRival("copy the mask", carry_unchanged)


class Obedient:
    """Is right on frames with a click, and draws nothing anywhere else."""

    name = "obedient"

    def __init__(self):
        self.clicked = []

    def open(self, task):
        self.task = task
        self.clicked.append([])
        return self

    def click(self, object_id, frame, yx, positive):
        self.clicked[-1].append((object_id, frame))
        return self.task.movie.mask(object_id, frame)

    def mark_absent(self, object_id, frame):
        self.click(object_id, frame, None, None)

    def propagate(self):
        pass

    def advance(self):
        yield from range(self.task.first, self.task.last + 1)

    def record(self, object_id, frame):
        if (object_id, frame) in self.clicked[-1]:
            return self.task.movie.record(object_id, frame)
        return MaskRecord.from_mask(np.zeros(self.task.movie.frame_shape, dtype=bool))


def task_of(movie, length, ids=(1,)):
    (task,) = pick_masklets(movie, 9, length, seed=0, starts=1)
    starts = {i: task.starts[i] for i in ids}
    return MaskletTask(movie, starts, task.last, task.scored, task.protocol)


def test_offline_corrects_one_more_frame_after_each_pass(moving_disks):
    method, task = Obedient(), task_of(moving_disks(frames=6), 5)
    (score,) = score_offline(method, task, most_frames=4)
    assert score.j == pytest.approx((1 / 6, 2 / 6, 3 / 6, 4 / 6))
    assert score.f == score.j
    assert score.frames == 4
    # All are equally bad, so the first is taken; a right answer needs no second click.
    assert method.clicked == [[(1, 0), (1, 1), (1, 2), (1, 3)]]


def test_online_pauses_in_order_and_never_looks_back(moving_disks):
    method, task = Obedient(), task_of(moving_disks(frames=6), 5)
    (score,) = score_online(method, task, most_frames=3)
    assert score.j == pytest.approx((1 / 6, 2 / 6, 3 / 6))
    assert method.clicked == [[(1, 0)], [(1, 0), (1, 1)], [(1, 0), (1, 1), (1, 2)]]


def test_what_is_right_is_not_corrected(moving_disks):
    movie = moving_disks(frames=5, speed=0.0)
    task = task_of(movie, 4, ids=(1, 2))
    for protocol in (score_offline, score_online):
        for score in protocol(COPY, task, most_frames=3):
            assert len(score.j) == 3
            assert score.j[0] > 0.8
    online = score_online(COPY, task, most_frames=3)
    assert [score.frames for score in online] == [1, 1]


def test_curve_of_a_copied_mask_rises_with_every_frame(moving_disks):
    task = task_of(moving_disks(frames=9, speed=4.0), 8)
    (offline,) = score_offline(COPY, task, most_frames=5)
    (online,) = score_online(COPY, task, most_frames=5)
    for curve in (offline.j, online.j):
        assert np.all(np.diff(curve) > -1e-9)
        assert curve[-1] > curve[0] + 0.2
    assert online.protocol == "online"


def test_nearest_corrected_frame_is_carried_both_ways(moving_disks):
    movie = moving_disks(frames=9, speed=2.0)
    run = COPY.open(task_of(movie, 8))
    for frame in (2, 7):
        run.click(1, frame, (25.0, 20.0 + 2 * frame), True)
    run.propagate()
    assert run.record(1, 0) == run.record(1, 4) == run.record(1, 2)
    assert run.record(1, 5) == run.record(1, 8) == run.record(1, 7)
    assert run.record(1, 4) != run.record(1, 5)


@pytest.mark.skipif(not has_optical_flow(), reason="OpenCV is not installed (optional rival)")
def test_flow_carries_backward_too(moving_disks):
    movie = moving_disks(frames=5, speed=2.0)
    run = CorrectedRival("flow", CarryByFlow()).open(task_of(movie, 4))
    run.click(1, 4, (25.0, 28.0), True)
    run.propagate()
    assert iou(run.record(1, 0).mask(movie.frame_shape), movie.mask(1, 0)) > 0.7


class Overeager(Obedient):
    """Draws a disk of the first frame on every frame, until it is told that nothing is there."""

    def __init__(self):
        super().__init__()
        self.absent = set()

    def open(self, task):
        self.absent = set()
        return super().open(task)

    def mark_absent(self, object_id, frame):
        self.absent.add(frame)

    def record(self, object_id, frame):
        if frame in self.absent:
            return MaskRecord.from_mask(np.zeros(self.task.movie.frame_shape, dtype=bool))
        return self.task.movie.record(object_id, 0)


@pytest.mark.parametrize("protocol", [score_offline, score_online])
def test_where_nothing_is_a_person_says_so(moving_disks, protocol):
    movie = moving_disks(frames=6, speed=0.0)
    hidden = np.array(movie.labels)
    hidden[2:4][hidden[2:4] == 1] = 0
    movie = AnnotatedMovie.of_stack("hiding", movie.images, hidden, {})
    method, task = Overeager(), MaskletTask(movie, {1: 0}, 5, tuple(range(1, 6)), "hiding")
    (score,) = protocol(method, task, most_frames=4)
    assert score.j == pytest.approx((4 / 6, 5 / 6, 1, 1))
    assert method.absent == {2, 3}
    assert score.frames == 3
    (rival,) = protocol(COPY, task, most_frames=4)
    assert rival.j[-1] > rival.j[0]


def test_three_clicks_a_frame_at_most(moving_disks):
    class Stubborn(Obedient):
        def click(self, object_id, frame, yx, positive):
            super().click(object_id, frame, yx, positive)
            return np.zeros(self.task.movie.frame_shape, dtype=bool)

    method = Stubborn()
    score_online(method, task_of(moving_disks(frames=3), 2), most_frames=1)
    assert method.clicked == [[(1, 0)] * CLICKS]
