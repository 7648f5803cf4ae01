"""Candidates, seeds, outlines, brush edits and picking, on a viewer model without a window."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2.editing.document import Document
from napari_sam2.io.session_file import read_session
from napari_sam2.masklets import MaskletSet
from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.widgets.picking import object_at
from napari_sam2.widgets.written_places import parse_places


def offered(controller):
    return controller.candidates.offer


def shown(controller, frame: int = 0) -> np.ndarray:
    return np.array(controller.layers.canvas.layer.data[frame])


def click(controller, *yx, frame: int = 0) -> None:
    controller.layers.points.add((frame, *yx))


@pytest.fixture
def clicked(make_controller, synthetic, answered, middle_of, trained_network):
    """One click of the network that ships, which offers three masks."""
    viewer, controller = make_controller(synthetic.images, network=trained_network)
    viewer.dims.set_point(0, 0)
    answered(controller, lambda: click(controller, *middle_of()))
    assert len({record.bits for record in offered(controller).records}) > 1
    return controller


def engine_prompts(controller, drive, place):
    found = []
    session = controller._engine._session
    controller._worker.submit(lambda: found.append(session.prompts.on(*place)))
    drive(controller, lambda: found)
    return found[0]


def test_the_key_goes_through_the_masks_by_size(clicked, drive):
    offer = offered(clicked)
    seen = []
    for _ in range(3):
        clicked.candidates.next()
        seen.append((shown(clicked) == 1).sum())
    areas = [offer.records[i].area for i in offer.by_size]
    start = offer.by_size.index(offer.chosen)
    assert seen == [areas[(start + step) % 3] for step in (1, 2, 3)]
    clicked.candidates.next()
    index = offered(clicked).chosen
    assert index != offer.chosen
    (prompt,) = engine_prompts(clicked, drive, (1, 0))
    assert prompt.candidate == index
    assert list(clicked.layers.points.features["candidate"]) == [index + 1]


def test_a_choice_is_undone_and_done_again(clicked, drive):
    before, offer = shown(clicked), offered(clicked)
    other = next(i for i in range(3) if offer.records[i] != offer.records[offer.chosen])
    clicked.candidates.choose(other)
    after = shown(clicked)
    assert not np.array_equal(after, before)
    assert clicked.edits.undo_title == f"choose mask {other + 1} of object 1"
    clicked.undo()
    np.testing.assert_array_equal(shown(clicked), before)
    assert [one.candidate for one in engine_prompts(clicked, drive, (1, 0))] == [None]
    clicked.redo()
    np.testing.assert_array_equal(shown(clicked), after)
    assert [one.candidate for one in engine_prompts(clicked, drive, (1, 0))] == [other]


def test_what_is_chosen_is_saved_and_propagated(clicked, drive, tmp_path):
    clicked.sessions.save_as(tmp_path / "cells.sam2")
    offer = offered(clicked)
    smallest = offer.by_size[0]
    clicked.candidates.choose(smallest)
    clicked.propagate("forward")
    drive(clicked, lambda: clicked.run_state == "idle")
    assert clicked.layers.masklets.record(1, 0).bits == offer.records[smallest].bits
    assert clicked.layers.masklets.frames(1) == tuple(range(12))
    (saver,) = clicked.sessions._savers.values()
    drive(clicked, lambda: saver.is_saved)
    record = read_session(tmp_path / "cells.sam2")
    (prompt,) = record.document.prompts.all()
    assert prompt.candidate == smallest
    assert record.document.masklets.record(1, 0).bits == offer.records[smallest].bits


def test_a_preview_changes_nothing(clicked):
    before, offer = shown(clicked), offered(clicked)
    other = next(i for i in range(3) if offer.records[i] != offer.records[offer.chosen])
    clicked.candidates.preview(other)
    assert (shown(clicked) == 1).sum() == offer.records[other].area
    assert clicked.layers.masklets.record(1, 0).bits == offer.records[offer.chosen].bits
    clicked.candidates.preview(None)
    np.testing.assert_array_equal(shown(clicked), before)
    assert clicked.edits.undo_title == "click on object 1, frame 0"


def test_a_second_click_ends_the_offer(clicked, answered):
    answered(clicked, lambda: click(clicked, 5, 5))
    assert offered(clicked) is None
    clicked.candidates.next()
    assert "nothing to choose" in clicked.told[-1].text
    clicked.undo()
    clicked.new_object()
    assert offered(clicked) is None


def test_a_reopened_session_offers_again(clicked, make_controller, synthetic, drive, tmp_path):
    offer = offered(clicked)
    clicked.sessions.save_as(tmp_path / "cells.sam2")
    (saver,) = clicked.sessions._savers.values()
    drive(clicked, lambda: saver.is_saved)
    viewer, again = make_controller(synthetic.images, network="bundled")
    viewer.dims.set_point(0, 0)
    again.sessions.open(tmp_path / "cells.sam2")
    assert offered(again) is None
    again.candidates.next()
    drive(again, lambda: offered(again) is not None)
    order = offer.by_size
    expected = order[(order.index(offer.chosen) + 1) % 3]
    assert offered(again).chosen == expected
    assert again.layers.masklets.record(1, 0).bits == offer.records[expected].bits


@pytest.fixture
def painted(make_controller, synthetic, drive):
    """One object, tracked through the movie from a painted disc."""
    viewer, controller = make_controller(synthetic.images)
    viewer.dims.set_point(0, 0)
    layer = controller.layers.canvas.layer
    layer.brush_size = 14
    layer.paint((0, 40, 40), 1)
    controller.poll()
    controller.propagate("forward")
    drive(controller, lambda: controller.run_state == "idle")
    return controller


def test_a_brush_on_a_tracked_mask_is_a_prompt_and_is_undone(painted, drive):
    painted._viewer.dims.set_point(0, 5)
    tracked = painted.layers.masklets.record(1, 5)
    assert not tracked.prompted
    layer = painted.layers.canvas.layer
    layer.paint((5, 80, 80), 1)
    painted.poll()
    (prompt,) = painted._movie.document.prompts.on(1, 5)
    assert isinstance(prompt, MaskPrompt)
    np.testing.assert_array_equal(prompt.mask, shown(painted, 5) == 1)
    assert prompt.mask[80, 80]
    painted.propagate("forward", start=5)
    drive(painted, lambda: painted.run_state == "idle")
    # The run leaves the frame as it was painted.
    np.testing.assert_array_equal(prompt.mask, shown(painted, 5) == 1)
    painted.undo()
    painted.undo()
    assert painted.layers.masklets.record(1, 5) == tracked
    assert painted._movie.document.prompts.on(1, 5) == ()
    assert engine_prompts(painted, drive, (1, 5)) == ()
    painted.redo()
    np.testing.assert_array_equal(prompt.mask, shown(painted, 5) == 1)


def square(y: float, x: float, side: float, frame: int = 0) -> np.ndarray:
    return np.array([(frame, y, x), (frame, y, x + side), (frame, y + side, x + side),
                     (frame, y + side, x)])  # fmt: skip


def outline(controller, corners) -> None:
    controller.layers.boxes.add(corners, shape_type="polygon")
    controller.poll()


def test_an_outline_is_the_mask_of_its_frame(painted, drive):
    before = shown(painted, 3)
    painted._viewer.dims.set_point(0, 3)
    outline(painted, square(9.5, 19.5, 20, 3))
    expected = np.zeros((96, 96), bool)
    expected[10:30, 20:40] = True
    np.testing.assert_array_equal(shown(painted, 3) == 1, expected)
    assert len(painted.layers.boxes.data) == 0
    (prompt,) = engine_prompts(painted, drive, (1, 3))
    np.testing.assert_array_equal(prompt.mask, expected)
    assert painted.edits.undo_title == "outline object 1, frame 3"
    painted.undo()  # after what follows from the outline has been halted
    drive(painted, lambda: painted.edits.redo_title == "outline object 1, frame 3")
    np.testing.assert_array_equal(shown(painted, 3), before)


def test_a_negative_outline_cuts(painted):
    outline(painted, square(9.5, 19.5, 20))
    painted.objects.set_sign(False)
    outline(painted, square(9.5, 29.5, 40))
    assert (shown(painted) == 1).sum() == 200
    assert painted.edits.undo_title == "cut from object 1, frame 0"
    outline(painted, square(60, 60, 20))
    assert "has no mask there to cut from" in painted.told[-1].text
    assert (shown(painted) == 1).sum() == 200


def test_an_outline_outside_the_image_is_refused(painted):
    before = shown(painted)
    outline(painted, square(200, 200, 20))
    assert any("outline is too small or outside" in one.text for one in painted.told)
    np.testing.assert_array_equal(shown(painted), before)
    assert len(painted.layers.boxes.data) == 0


def take(controller, drive, *arguments, **options) -> str:
    before = len(controller.told)
    controller.seeds.take(*arguments, **options)
    drive(controller, lambda: any(one.level != "busy" for one in controller.told[before:]))
    return controller.told[-1].text


def test_labels_of_another_layer_become_objects(make_controller, synthetic, drive):
    viewer, controller = make_controller(synthetic.images)
    viewer.dims.set_point(0, 0)
    layer = viewer.add_labels(np.array(synthetic.labels), name="found")
    assert controller.seeds.layers() == [layer]
    text = take(controller, drive, layer)
    ids = np.unique(synthetic.labels[0])[1:]
    assert text == f"Seeds on 1 frame: {len(ids)} new objects"
    assert controller.objects.ids() == tuple(ids)
    np.testing.assert_array_equal(shown(controller), synthetic.labels[0])
    assert controller.new_object() == ids.max() + 1
    controller.propagate("forward", stop=2)
    drive(controller, lambda: controller.run_state == "idle")
    assert all(controller.layers.masklets.frames(i) == (0, 1, 2) for i in ids)
    controller.undo()
    controller.undo()
    assert not shown(controller).any()


def test_labels_that_lie_on_objects_are_those_objects(make_controller, synthetic, drive):
    viewer, controller = make_controller(synthetic.images)
    largest = np.bincount(synthetic.labels[4].ravel())[1:].argmax() + 1
    own = controller.layers.canvas.layer
    viewer.dims.set_point(0, 4)
    inside = np.nonzero(synthetic.labels[4] == largest)
    own.data_setitem((np.full(len(inside[0]), 4), *inside), 1)
    # The stroke is answered first: else its answer may come behind that to the seeds.
    drive(controller, lambda: any("Object 1, frame 4" in one.text for one in controller.told))
    other = np.where(synthetic.labels == largest, 30, 0).astype(np.uint8)
    layer = viewer.add_labels(other, name="found")
    text = take(controller, drive, layer, [0, 4])
    assert text == "Seeds on 2 frames: 0 new objects, 1 that were there already"
    assert controller.objects.ids() == (1,)
    text = take(controller, drive, layer, [4], match=False)
    assert text == "Seeds on 1 frame: 1 new object"
    assert controller.objects.ids() == (1, 30)


@pytest.mark.parametrize(
    ("data", "frames", "said"),
    [
        (np.zeros((12, 96, 96), int), "all", "There is no label on frames 0, 1, 2, 3, 4 …"),
        (np.ones((12, 96, 90), int), "shown", "has the shape (12, 96, 90) and the movie"),
        (np.ones((12, 96, 96), int), [3, 12], "Frame 12 is outside the movie: use 0 to 11"),
    ],
)
def test_labels_that_cannot_be_seeds_are_refused(
    make_controller, synthetic, drive, data, frames, said
):
    viewer, controller = make_controller(synthetic.images)
    layer = viewer.add_labels(data, name="found")
    assert said in take(controller, drive, layer, frames)
    assert controller.told[-1].level == "error"
    assert controller.edits.undo_title is None


def test_labels_of_one_frame_are_seeds_where_one_wants(make_controller, synthetic, drive):
    viewer, controller = make_controller(synthetic.images)
    layer = viewer.add_labels(np.array(synthetic.labels[0]), name="found")
    take(controller, drive, layer, [7])
    np.testing.assert_array_equal(shown(controller, 7), synthetic.labels[0])


def test_labels_of_stacks_are_taken_where_time_and_z_say(make_controller, drive):
    images = np.random.default_rng(0).integers(100, 200, (3, 4, 48, 48)).astype(np.uint16)
    viewer, controller = make_controller(images, axis_labels=("t", "z", "y", "x"))
    labels = np.zeros(images.shape, np.uint8)
    labels[1, 2:, 10:20, 10:20] = 5
    layer = viewer.add_labels(labels, name="found")
    assert take(controller, drive, layer, "t 1, z 2-3").startswith("Seeds on 2 planes: 1 new")
    assert controller.layers.masklets.frames(5) == (6, 7)
    np.testing.assert_array_equal(controller.layers.canvas.layer.data, labels)
    said = "There is no label at t 0, z 1; t 2, z 0: choose other"
    assert said in take(controller, drive, layer, "t 0, z 1; t 2, z 0")
    assert "write for example t 3, z 0-7" in take(controller, drive, layer, "6")


def test_frames_are_written_as_numbers_and_ranges():
    movie = PlaneGrid(10)
    assert parse_places(" 0, 4-6,2 , 5", movie) == [0, 4, 5, 6, 2]
    for wrong in ("", "a", "3-", "-2", "1.5", "t 3"):
        with pytest.raises(ValueError, match="write for example 0, 4-6"):
            parse_places(wrong, movie)
    with pytest.raises(ValueError, match="frames are counted from 0 to 9 in this movie: 10 is out"):
        parse_places("2, 8-10", movie)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("t 3, z 7", [(3, 7)]),
        ("T3,Z7", [(3, 7)]),
        ("z 0-2, t 1", [(1, 0), (1, 1), (1, 2)]),
        ("t 3, z 7; t 4, z 7", [(3, 7), (4, 7)]),
        ("t 3, z 7, t 4, z 1, 2", [(3, 7), (4, 1), (4, 2)]),
        ("t 0-1, z 3, 5", [(0, 3), (0, 5), (1, 3), (1, 5)]),
        ("t 2", [(2, z) for z in range(8)]),
        ("z 6", [(t, 6) for t in range(5)]),
        ("t 1, t 1, z 0", [(1, 0)]),
    ],
)
def test_places_in_stacks_are_written_as_they_are_shown(text, places):
    grid = PlaneGrid(5, 8)
    planes = [grid.plane(*place) for place in places]
    assert parse_places(text, grid) == planes
    assert parse_places(grid.listed(planes, 40).removeprefix("at "), grid) == planes


def test_places_that_are_none_are_refused():
    grid = PlaneGrid(5, 8)
    for wrong in ("", "3", "3, z 7", "y 3", "t", "t 3 z 7", "t 1-"):
        with pytest.raises(ValueError, match="write for example t 3, z 0-7"):
            parse_places(wrong, grid)
    for text, said in (
        ("t 5", "times are counted from 0 to 4"),
        ("t 0, z 8", "slices are .* to 7"),
    ):
        with pytest.raises(ValueError, match=said):
            parse_places(text, grid)


def test_the_smallest_object_at_a_pixel_is_picked():
    labels = np.zeros((1, 20, 20), int)
    labels[0, 2:18, 2:18] = 4
    masklets = MaskletSet.from_labels(labels)
    labels[0] = 0
    labels[0, 8:12, 8:12] = 7
    masklets.write(7, 0, MaskletSet.from_labels(labels).record(7, 0))
    document = Document(masklets)
    assert object_at(document, 0, (9.6, 11.4)) == 7
    assert object_at(document, 0, (2.0, 17.0)) == 4
    assert object_at(document, 0, (1.4, 5.0)) is None


def test_prompts_of_the_object_in_work_stand_out(painted, answered):
    painted.new_object()
    answered(painted, lambda: click(painted, 70, 20))
    painted.new_object()
    answered(painted, lambda: click(painted, 20, 70))
    points, boxes = painted.layers.points, painted.layers.boxes
    answered(painted, lambda: boxes.add(square(60, 10, 20)))
    assert list(points.face_color[:, 3] == 1) == [False, True]
    assert boxes.edge_color[0, 3] == 1
    painted.prompting.picker.pick(0, (40.0, 40.0))
    assert painted.objects.current == 1
    assert not (points.face_color[:, 3] == 1).any()
    assert boxes.edge_color[0, 3] < 1
    assert painted.told[-1].text == "Picked object 1: prompts on frame 0"
    painted.objects.select(2)
    assert list(points.face_color[:, 3] == 1) == [True, False]
    assert points.face_color[0, 1] > points.face_color[0, 0]  # green


def test_napari_s_picker_chooses_the_object(painted):
    painted.new_object()
    painted.use("paint")
    layer = painted.layers.canvas.layer
    layer.selected_label = 1  # what its picker does
    assert painted.objects.current == 1
    assert painted.told[-1].text.startswith("Picked object 1")


def encoded(controller) -> set[int]:
    return {frame for frame, _ in tuple(controller._engine._session.features._features)}


def test_frames_around_the_slider_are_encoded_while_nothing_else_is_to_do(
    make_controller, synthetic, drive
):
    viewer, controller = make_controller(np.tile(synthetic.images, (3, 1, 1)))
    viewer.dims.set_point(0, 20)
    drive(controller, lambda: 20 in encoded(controller))
    drive(controller, lambda: encoded(controller) >= set(range(12, 29)))
    assert len(encoded(controller)) < 36


def test_a_click_goes_before_what_is_encoded_ahead(make_controller, synthetic, drive):
    viewer, controller = make_controller(np.tile(synthetic.images, (3, 1, 1)))
    engine, order = controller._engine, []
    encode, answer = engine._ahead.step, engine._answer

    def slow_step() -> None:
        order.append("ahead")
        time.sleep(0.05)
        encode()

    def noted(*place) -> None:
        order.append("answer")
        answer(*place)

    engine._ahead.step, engine._answer = slow_step, noted
    viewer.dims.set_point(0, 20)
    drive(controller, lambda: "ahead" in order)
    count = len(order)
    click(controller, 30, 30, frame=20)
    drive(controller, lambda: "answer" in order)
    # What was under way is finished, and no other is begun.
    assert order.index("answer") <= count + 1


def test_the_mouse_and_the_slider_are_let_go_at_the_end(make_controller, synthetic):
    viewer, controller = make_controller(synthetic.images)
    controller.close()
    assert viewer.mouse_drag_callbacks == ViewerModel().mouse_drag_callbacks
    viewer.dims.set_point(0, 4)
    assert controller.prompting.settle() is None


def test_a_click_that_is_moved_keeps_the_choice(clicked, answered):
    largest = offered(clicked).by_size[-1]
    clicked.candidates.choose(largest)
    points = clicked.layers.points

    def drag() -> None:
        data = np.array(points.data)
        data[0, 1] += 1
        points.data = data

    answered(clicked, drag)
    (prompt,) = clicked._movie.document.prompts.all()
    assert isinstance(prompt, PointPrompt)
    assert prompt.candidate == largest
    assert offered(clicked).chosen == largest
