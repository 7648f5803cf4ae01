"""Undo, redo and edits of objects, on a real viewer model with the real engine."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.prompts import MaskPrompt, PointPrompt


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


@pytest.fixture
def tracked(make_controller, synthetic, drive):
    """Objects 1 and 2, painted on frame 0 and tracked to the end."""
    _, controller = make_controller(synthetic.images)
    stamp(controller, 1, 0, 30, 30)
    stamp(controller, 2, 0, 60, 60)
    controller.propagate("forward")
    drive(controller, lambda: controller.run_state == "idle")
    return controller


def engine_state(controller, drive):
    """Prompts and masks of the session on the worker's thread, once it has caught up."""
    found = []
    session = controller._engine._session
    controller._worker.submit(
        lambda: found.append((session.prompts.all(), session.masklets.to_labels()))
    )
    drive(controller, lambda: found)
    return found[0]


def test_every_step_back_and_forth(tracked, drive) -> None:
    pictures = [shown(tracked)]
    titles = []
    while tracked.edits.undo_title is not None:
        titles.append(tracked.edits.undo_title)
        tracked.undo()
        pictures.append(shown(tracked))
    assert titles == ["tracking", "paint on frame 0", "paint on frame 0"]
    assert set(np.unique(pictures[1][1:])) == {0}
    assert set(np.unique(pictures[1][0])) == {0, 1, 2}
    assert set(np.unique(pictures[2])) == {0, 1}
    assert not pictures[3].any()
    prompts, labels = engine_state(tracked, drive)
    assert prompts == ()
    assert not labels.any()
    for picture in pictures[-2::-1]:
        tracked.redo()
        np.testing.assert_array_equal(shown(tracked), picture)
    prompts, labels = engine_state(tracked, drive)
    assert [type(one) for one in prompts] == [MaskPrompt, MaskPrompt]
    np.testing.assert_array_equal(labels, pictures[0])
    tracked.redo()
    assert tracked.told[-1].text == "There is nothing to redo"


def test_a_click_and_its_answer_are_one_step(make_controller, synthetic, answered, drive) -> None:
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    answered(controller, lambda: controller.layers.points.add((0, 34, 30)))
    assert controller.edits.undo_title == "click on object 1, frame 0"
    both = shown(controller)
    controller.undo()
    assert len(controller.layers.points.data) == 1
    controller.undo()
    assert len(controller.layers.points.data) == 0
    assert not shown(controller).any()
    assert engine_state(controller, drive)[0] == ()
    controller.redo()
    controller.redo()
    assert [tuple(row) for row in controller.layers.points.data] == [(0, 30, 30), (0, 34, 30)]
    np.testing.assert_array_equal(shown(controller), both)
    assert engine_state(controller, drive)[0] == (
        PointPrompt(1, 0, (30.0, 30.0)),
        PointPrompt(1, 0, (34.0, 30.0)),
    )


def test_an_answer_to_a_click_that_was_taken_back_is_not_shown(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images)
    controller.layers.points.add((0, 30, 30))
    controller.undo()
    engine_state(controller, drive)
    assert not shown(controller).any()
    assert controller.layers.masklets.object_ids() == ()


def test_undo_during_a_run_takes_the_run_back(make_controller, synthetic, drive) -> None:
    _, controller = make_controller(np.tile(synthetic.images, (4, 1, 1)))
    stamp(controller, 1, 0, 30, 30)
    progress = []
    controller.events.progressed.connect(progress.append)
    controller.propagate("forward")
    drive(controller, lambda: len(progress) >= 3)
    controller.undo()
    drive(controller, lambda: controller.run_state == "idle")
    assert set(np.unique(shown(controller)[1:])) == {0}
    assert shown(controller)[0].any()
    _, labels = engine_state(controller, drive)
    np.testing.assert_array_equal(labels, shown(controller))


EDITS = {
    "merge": lambda edits: edits.merge(1, 2),
    "split": lambda edits: edits.split(1, 5),
    "swap": lambda edits: edits.swap(1, 2, 4),
    "cut": lambda edits: edits.cut(2, 6),
    "divide": lambda edits: edits.divide(1, [2], 3),
    "clear": lambda edits: edits.clear(1, 0),
    "delete": lambda edits: edits.delete(2),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits_reach_layers_and_engine_and_can_be_undone(tracked, drive, name) -> None:
    before, prompts = shown(tracked), engine_state(tracked, drive)[0]
    assert EDITS[name](tracked.edits)
    after = shown(tracked)
    assert (after != before).any()
    np.testing.assert_array_equal(engine_state(tracked, drive)[1], after)
    tracked.undo()
    np.testing.assert_array_equal(shown(tracked), before)
    restored, labels = engine_state(tracked, drive)
    np.testing.assert_array_equal(labels, before)
    assert set(restored) == set(prompts)
    # Nothing is left to do for a run that goes on: the masks count as tracked.
    done = []
    tracked.events.progressed.connect(done.append)
    tracked.propagate("forward", resume=True)
    drive(tracked, lambda: tracked.run_state == "idle")
    assert not done
    np.testing.assert_array_equal(shown(tracked), before)


def test_the_tracks_follow_an_edit(tracked, drive) -> None:
    tracks = tracked.layers._lines
    assert set(tracks.layer.data[:, 0]) == {1, 2}
    tracked.edits.delete(2)
    drive(tracked, lambda: set(tracks.layer.data[:, 0]) == {1})
    tracked.undo()
    drive(tracked, lambda: set(tracks.layer.data[:, 0]) == {1, 2})


def test_accepted_objects_are_not_tracked_again(tracked, drive) -> None:
    before = shown(tracked) == 1
    tracked.edits.review(1, "accepted")
    tracked.propagate("forward")
    drive(tracked, lambda: tracked.run_state == "idle")
    np.testing.assert_array_equal((shown(tracked) == 1)[1:], before[1:])
    assert tracked._movie.document.info(1).state == "accepted"


def test_an_edit_that_cannot_be_says_why(tracked) -> None:
    assert not tracked.edits.merge(1, 7)
    assert tracked.told[-1].level == "error"
    assert tracked.told[-1].text == "There is no object 7: choose among 1, 2"
    assert not tracked.edits.split(1, 0)
    assert "both parts need one" in tracked.told[-1].text


def test_without_a_movie_there_is_nothing_to_edit(make_controller) -> None:
    _, controller = make_controller(network=None)
    controller.undo()
    assert controller.told[-1].text == "There is nothing to undo"
    assert not controller.edits.delete(1)
    assert controller.told[-1].level == "error"
