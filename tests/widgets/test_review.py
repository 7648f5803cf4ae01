"""Rows, quality and doubtful frames of the movie in work, without Qt."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from napari_sam2.editing import operations
from napari_sam2.editing.document import Document
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.prompts import PointPrompt

SHAPE = (12, 96, 96)


def disc(y: float, x: float, radius: float = 8, **about) -> MaskRecord:
    ys, xs = np.ogrid[: SHAPE[1], : SHAPE[2]]
    inside = (ys - y) ** 2 + (xs - x) ** 2 <= radius**2
    return MaskRecord.from_mask(inside, **{"predicted_iou": 0.9, "object_score": 8.0, **about})


@pytest.fixture
def document() -> Document:
    """Object 1 doubtful on frames 3 and 8, object 2 on 5, object 4 on 6 but accepted."""
    document = Document(MaskletSet(SHAPE))
    for frame in range(SHAPE[0]):
        document.masklets.write(1, frame, disc(20, 20))
        document.masklets.write(2, frame, disc(60, 60))
        document.masklets.write(4, frame, disc(20, 70))
    for object_id, frame in ((1, 3), (1, 8), (2, 5), (4, 6)):
        record = document.masklets.record(object_id, frame)
        document.masklets.write(object_id, frame, replace(record, predicted_iou=0.3))
    document.prompts.add(PointPrompt(1, 0, (20.0, 20.0)))
    document.prompts.add(PointPrompt(1, 0, (24.0, 20.0)))
    document.objects[2] = ObjectInfo(2, "left", parent=1)
    document.objects[4] = ObjectInfo(4, state="accepted", locked=frozenset({1}))
    return document


@pytest.fixture
def review(make_controller, document, drive):
    """The review of a controller that has gone on with the document."""
    _, controller = make_controller(np.zeros(SHAPE, np.uint8), network=None)
    controller._movie.adopt(document)
    controller._viewer.dims.set_point(0, 0)
    controller.objects.select(1)
    drive(controller, lambda: controller.review.ids() == (1, 2, 4))
    drive(controller, lambda: controller.review.refresh() is None)
    return controller.review


def test_rows_say_what_is_known(review) -> None:
    one, two, four = map(review.row, review.ids())
    assert (one.first, one.last, one.prompts, one.state, one.locked) == (0, 11, 2, "in work", False)
    assert one.confidence == pytest.approx((10 * 0.9 + 2 * 0.3) / 12, abs=0.001)
    assert (two.name, two.parent, two.prompts) == ("left", 1, 0)
    assert (four.state, four.locked) == ("accepted", None)


def test_only_rows_that_changed_are_told(review) -> None:
    told, lanes = [], []
    review.rows_changed.connect(lambda rows: told.append(set(rows)))
    review.lane_changed.connect(lambda: lanes.append(1))
    movie = review._movie()

    def settle() -> None:
        end = time.monotonic() + 10
        while review.refresh() is not None:
            assert time.monotonic() < end
            time.sleep(0.01)

    movie._put(7, "tracking", 4, [(2, disc(60, 64)), (1, movie.document.masklets.record(1, 4))])
    settle()
    assert told == [{2}]
    assert not lanes
    review._edits.rename(4, "right")
    settle()
    assert told[1:] == [{4}]
    assert review.row(4).name == "right"
    review._edits.cut(1, 6)
    settle()
    assert told[2:] == [{1}]
    assert lanes
    assert review.row(1).last == 5


def test_the_next_doubtful_frame_of_the_object_in_work(review) -> None:
    movie, told = review._movie(), []
    review.told.connect(lambda status: told.append(status.text))
    assert movie.frame == 0
    found = []
    for _ in range(3):
        review.next_doubtful()
        found.append(movie.frame)
    assert found == [3, 8, 3]
    assert told[0] == "Object 1, frame 3: expected IoU 0.30 (1 of 2 doubtful)"
    review._objects.select(4)
    review._edits.cut(4, 5)
    assert review.next_doubtful() is None
    assert told[-1] == "Object 4 has no doubtful frames"


def test_the_next_doubtful_frame_of_any_object_in_work(review) -> None:
    found = [review.next_doubtful(of_any=True) for _ in range(4)]
    assert found == [(1, 3), (2, 5), (1, 8), (1, 3)]
    assert review._objects.current == 1
    review._edits.lock(1, [8])
    review._chosen(None)
    assert [review.next_doubtful(of_any=True) for _ in range(2)] == [(2, 5), (1, 3)]
    review._edits.review([1, 2], "accepted")
    review._chosen(None)
    assert review.next_doubtful(of_any=True) is None


def test_several_objects_are_reviewed_in_one_step(review) -> None:
    objects = review._movie().document.objects
    assert review.accept([1, 2])
    assert {objects[i].state for i in (1, 2)} == {"accepted"}
    assert review._edits.undo_title == "2 objects: accepted"
    review.accept([1, 2])
    assert {objects[i].state for i in (1, 2)} == {"in work"}
    review._edits.undo()
    review._edits.undo()
    assert 1 not in objects
    review.lock([1, 4])
    assert objects[1].is_locked
    assert objects[4].is_locked
    review.lock()  # the one in work
    assert not objects[1].is_locked
    review.reject()
    assert objects[1].state == "rejected"


def test_deleting_the_object_in_work_goes_to_a_neighbour(review) -> None:
    review.delete([1, 2])
    assert review._movie().document.object_ids == (4,)
    assert review._objects.current == 4
    review._edits.undo()
    assert review._movie().document.object_ids == (1, 2, 4)


def test_another_movie_has_other_rows(make_controller, document, drive) -> None:
    viewer, controller = make_controller(np.zeros(SHAPE, np.uint8), network=None)
    other = viewer.add_image(np.zeros(SHAPE, np.uint8), name="other")
    controller._movie.adopt(document)
    drive(controller, lambda: controller.review.ids() == (1, 2, 4))
    controller.set_image(other)
    assert controller.review.ids() == ()
    assert controller.review.next_doubtful() is None
    controller.set_image(viewer.layers[0])
    assert controller.review.ids() == (1, 2, 4)
    controller.set_image(None)
    assert controller.review.ids() == ()
    assert controller.review.refresh() is None


def test_five_hundred_objects_are_measured_in_slices(make_controller) -> None:
    _, controller = make_controller(np.zeros((10, 512, 512), np.uint8), network=None)
    document = Document(MaskletSet((10, 512, 512)))
    cell = np.ones((12, 12), bool)
    for number in range(500):
        origin = (20 * (number // 25), 20 * (number % 25))
        for frame in range(10):
            document.masklets.write(1 + number, frame, MaskRecord.from_mask(cell, origin=origin))
    movie = controller._movie
    movie.perform(operations.insert(document))
    slices = []
    while True:
        started = time.thread_time()
        rest = controller.review.refresh()
        slices.append(time.thread_time() - started)
        if rest is None:
            break
        time.sleep(rest)
    assert len(controller.review.ids()) == 500
    assert controller.review.row(500).last == 9
    assert len(slices) > 5
    assert np.median(slices) < 0.1
