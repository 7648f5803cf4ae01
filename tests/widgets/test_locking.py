"""What is accepted or locked stays as it is: under the brush, under the mouse and in runs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.prompts import PointPrompt


def stamp(controller, object_id: int, frame: int, y: int, x: int, radius: int = 6) -> None:
    """Paint a disc, as a user with a brush does."""
    controller.objects.select(object_id)
    layer = controller.layers.canvas.layer
    controller._viewer.dims.set_point(0, frame)
    layer.brush_size = 2 * radius
    layer.paint((frame, y, x), object_id)
    controller.poll()


def shown(controller) -> np.ndarray:
    return np.array(controller.layers.canvas.layer.data)


def engine_masks(controller, drive) -> np.ndarray:
    """The masks of the session on the worker's thread, once it has caught up."""
    found = []
    engine = controller._engine

    def look() -> None:
        if engine._asked:  # commands come first: let it answer
            controller._worker.submit(look)
            engine.advance()
        else:
            found.append(engine._session.masklets.to_labels())

    controller._worker.submit(look)
    drive(controller, lambda: found)
    return found[0]


@pytest.fixture
def tracked(make_controller, synthetic, drive):
    """Object 1, painted and clicked, object 2, painted; both tracked to the end."""
    _, controller = make_controller(synthetic.images)
    stamp(controller, 1, 0, 30, 30)
    stamp(controller, 2, 0, 60, 60)
    controller.propagate("forward")
    drive(controller, lambda: controller.run_state == "idle")
    return controller


LOCKS = {
    "accepted": lambda edits: edits.review(1, "accepted"),
    "locked": lambda edits: edits.lock(1),
    "locked here": lambda edits: edits.lock(1, range(12)),
}


@pytest.mark.parametrize("name", LOCKS)
def test_a_run_under_new_contrast_leaves_them_alone(tracked, drive, name) -> None:
    before = shown(tracked)
    LOCKS[name](tracked.edits)
    tracked.image.contrast_limits = (0, 60)  # every memory is made anew
    tracked.propagate()
    drive(tracked, lambda: tracked.run_state == "idle")
    after = shown(tracked)
    np.testing.assert_array_equal(after == 1, before == 1)
    assert ((after == 2) != (before == 2)).any()
    np.testing.assert_array_equal(engine_masks(tracked, drive), after)


def test_the_brush_does_not_reach_them(tracked, drive) -> None:
    before = shown(tracked)
    tracked.edits.review(1, "accepted")
    stamp(tracked, 3, 0, 36, 36, radius=9)
    after = shown(tracked)
    np.testing.assert_array_equal(after[0] == 1, before[0] == 1)
    assert tracked.layers.masklets.record(1, 0).area == (before[0] == 1).sum()
    assert (after[0] == 3).sum() > 50
    assert not (tracked.layers.masklets.mask(3, 0) & (before[0] == 1)).any()
    assert any("Object 1 stays as it is" in status.text for status in tracked.told)
    assert tracked.edits.undo_title == "paint on frame 0"
    tracked.layers.canvas.layer.paint((0, 30, 30), 0)  # the eraser
    tracked.poll()
    np.testing.assert_array_equal(shown(tracked)[0] == 1, before[0] == 1)
    np.testing.assert_array_equal(engine_masks(tracked, drive), shown(tracked))


def test_clicks_are_refused_and_prompts_come_back(make_controller, synthetic, answered, drive):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    before = shown(controller)
    controller.edits.lock(1)
    controller.layers.points.add((0, 70, 70))
    assert controller.told[-1].level == "error"
    assert controller.told[-1].text == "Object 1 stays as it is, it is locked: unlock it first"
    controller.poll()
    points = controller.layers.points
    assert [tuple(row) for row in points.data] == [(0, 30, 30)]
    points.selected_data = {0}
    points.remove_selected()
    controller.poll()
    assert [tuple(row) for row in points.data] == [(0, 30, 30)]
    assert controller._movie.document.prompts.all() == (PointPrompt(1, 0, (30.0, 30.0)),)
    np.testing.assert_array_equal(engine_masks(controller, drive), before)
    controller.undo()  # the lock
    answered(controller, lambda: points.add((0, 70, 70)))
    assert len(points.data) == 2


def test_a_frame_of_a_run_that_comes_too_late_is_not_shown(tracked, drive) -> None:
    before = shown(tracked)
    tracked.edits.lock(1)
    late = MaskRecord.from_mask(np.ones((5, 5), bool))
    session = tracked._engine._session
    tracked._worker.submit(lambda: session.masklets.write(1, 7, late))
    result = FrameResult(7, (ObjectResult(1, 7, late), ObjectResult(2, 7, late)), 0, 0.1)
    tracked._movie.take_frame(9, result)
    after = shown(tracked)
    np.testing.assert_array_equal(after == 1, before == 1)
    assert (after[7] == 2).sum() == 25
    np.testing.assert_array_equal(engine_masks(tracked, drive) == 1, after == 1)
