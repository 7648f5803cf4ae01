"""The controller on a real viewer model with the real engine, and no Qt anywhere."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from napari.layers import Labels, Points, Shapes, Tracks
from napari.utils.key_bindings import coerce_keybinding

from napari_sam2.widgets.coordinates import show_frame
from napari_sam2.widgets.status import Status


def painted(controller, frame: int) -> set[int]:
    """Ids in the Labels layer on a frame."""
    return set(np.unique(controller.layers.canvas.layer.data[frame])) - {0}


def draw_box(controller, frame: int, y0: float, x0: float, y1: float, x1: float) -> None:
    corners = [(frame, y0, x0), (frame, y0, x1), (frame, y1, x1), (frame, y1, x0)]
    controller.layers.boxes.add(np.array(corners), shape_type="rectangle")


def paint_disc(controller, frame: int, y: int, x: int, radius: int) -> None:
    layer = controller.layers.canvas.layer
    show_frame(controller._viewer, controller.image, frame)
    layer.brush_size = 2 * radius
    layer.paint((frame, y, x), layer.selected_label)


# Layers.


def test_an_image_gets_its_layers(make_controller, synthetic):
    viewer, _ = make_controller(
        synthetic.images, network=None, scale=(2, 0.5, 0.5), units=("s", "um", "um"), name="cells"
    )
    assert [layer.name for layer in viewer.layers] == [
        "cells", "cells objects", "cells boxes", "cells prompts",
    ]  # fmt: skip
    image, labels, boxes, points = viewer.layers
    assert [type(layer) for layer in (labels, boxes, points)] == [Labels, Shapes, Points]
    assert labels.data.shape == image.data.shape
    assert labels.data.dtype == np.uint16
    for layer in (labels, boxes, points):
        np.testing.assert_array_equal(layer.scale, image.scale)
        assert layer.units == image.units
    assert viewer.layers.selection.active is points
    assert points.mode == "add"


def test_a_layer_that_is_no_movie_is_refused(make_controller):
    viewer, controller = make_controller(network=None)
    image = viewer.add_image(np.zeros((5, 6, 7, 2, 16, 16)))
    controller.set_image(image)
    assert controller.image is None
    assert len(viewer.layers) == 1
    assert controller.told[-1].level == "error"
    assert "set its axes" in controller.told[-1].text


# Clicks.


def test_a_click_gives_the_mask_of_the_cell(
    make_controller, synthetic, middle_of, answered, trained_network
):
    _, controller = make_controller(synthetic.images, network=trained_network)
    y, x = middle_of()
    answered(controller, lambda: controller.layers.points.add((0, y, x)))
    mask = controller.layers.canvas.layer.data[0] == 1
    truth = synthetic.labels[0] == synthetic.labels[0, int(y), int(x)]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.5
    assert painted(controller, 1) == set()


def test_objects_get_ids_of_their_own(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    for rank in range(3):
        assert controller.new_object() == rank + 1
        assert controller.new_object() == rank + 1  # nothing was clicked: no id is lost
        place = (0, 20 + 20 * rank, 40)
        answered(controller, lambda place=place: controller.layers.points.add(place))
    assert controller.layers.masklets.object_ids() == (1, 2, 3)
    assert controller.objects.ids() == (1, 2, 3)
    assert list(controller.layers.points.features["object_id"]) == [1, 2, 3]
    controller.objects.next()
    assert controller.objects.current == 1
    controller.objects.previous()
    assert controller.objects.current == 3
    controller.layers.canvas.layer.selected_label = 2
    assert controller.objects.current == 2


def test_the_sign_is_a_feature_and_shows_as_colour(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    points = controller.layers.points
    controller.objects.toggle_sign()
    answered(controller, lambda: points.add((0, 5, 5)))
    controller.objects.toggle_sign()
    answered(controller, lambda: points.add((0, 40, 40)))
    assert list(points.features["positive"]) == [False, True]
    red, green = points.face_color[:, :3]
    assert red[0] > red[1]
    assert green[1] > green[0]


def test_a_click_outside_is_taken_back(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images, network=None)
    points = controller.layers.points
    points.add((0, 20, 500))
    assert controller.told[-1] == Status(
        "The point (y 20, x 500) is outside the image: click inside it", "error"
    )
    drive(controller, lambda: len(points.data) == 0)
    assert controller.layers.prompts == ()


def test_a_box_is_answered_and_a_second_one_replaces_it(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    controller.use("boxes")
    answered(controller, lambda: draw_box(controller, 0, 10, 10, 40, 40))
    answered(controller, lambda: draw_box(controller, 0, 30, 30, 70, 70))
    assert [prompt.yxyx for prompt in controller.layers.prompts] == [(30, 30, 70, 70)]
    assert len(controller.layers.boxes.data) == 1


def test_a_box_that_is_too_small_is_taken_back(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images, network=None)
    draw_box(controller, 0, 10, 10, 10.3, 10.3)
    assert controller.told[-1].level == "error"
    drive(controller, lambda: len(controller.layers.boxes.data) == 0)


def test_a_deleted_click_takes_its_mask_along(make_controller, synthetic, middle_of, answered):
    _, controller = make_controller(synthetic.images)
    points = controller.layers.points
    answered(controller, lambda: points.add((0, *middle_of())))
    points.selected_data = {0}
    text = answered(controller, points.remove_selected)
    assert text == "Object 1, frame 0: cleared"
    assert painted(controller, 0) == set()
    assert not controller.objects.is_known


def test_a_moved_click_is_asked_again(make_controller, synthetic, middle_of, answered):
    _, controller = make_controller(synthetic.images)
    points = controller.layers.points
    answered(controller, lambda: points.add((0, *middle_of(0))))

    def move() -> None:
        points.data = np.array([(0, *middle_of(1))])

    answered(controller, move)
    (prompt,) = controller.layers.prompts
    np.testing.assert_allclose(prompt.yx, middle_of(1))


def test_clicks_before_the_network_is_there_are_answered_after_it(
    make_controller, synthetic, middle_of, small_network, drive
):
    _, controller = make_controller(synthetic.images, network=None)
    controller.layers.points.add((0, *middle_of()))
    controller.load_model(small_network)
    drive(controller, lambda: controller.told and controller.told[-1].text.startswith("Object 1"))


def test_of_clicks_that_wait_only_the_newest_is_answered(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    busy = threading.Event()
    controller._worker.submit(busy.wait)
    told = len(controller.told)
    for column in range(20, 80, 10):
        controller.layers.points.add((0, 20, column))
    answered(controller, busy.set)
    assert len(controller.told) == told + 1
    assert len(controller.layers.prompts) == 6  # all of them were taken into account


def test_an_answer_that_comes_too_late_is_dropped(make_controller, synthetic, drive, answered):
    _, controller = make_controller(synthetic.images)
    layers = controller.layers
    layers.points.add((0, 20, 20))
    end = time.monotonic() + 30
    while not controller._worker._outbox:  # the answer is there, but nobody has looked at it
        assert time.monotonic() < end
        time.sleep(0.002)
    told = len(controller.told)
    layers.points.selected_data = {0}
    layers.points.remove_selected()
    drive(controller, lambda: len(controller.told) > told)
    assert [status.text for status in controller.told[told:]] == ["Object 1, frame 0: cleared"]
    assert layers.masklets.object_ids() == ()


# Masks painted by hand.


def test_a_painted_mask_becomes_the_prompt(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: controller.layers.points.add((3, 5, 5)))
    answered(controller, lambda: paint_disc(controller, 3, 50, 50, 8))
    assert controller.layers.prompts == ()  # the mask has taken the click's place
    record = controller.layers.masklets.record(1, 3)
    assert record.prompted
    mask = controller.layers.canvas.layer.data[3] == 1
    np.testing.assert_array_equal(record.mask((96, 96)), mask)
    assert mask[50, 50]
    assert painted(controller, 2) == set()


def test_painting_over_another_object_changes_both(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 8))
    controller.new_object()
    answered(controller, lambda: paint_disc(controller, 0, 50, 58, 8))
    first, second = (controller.layers.masklets.mask(number, 0) for number in (1, 2))
    assert not (first & second).any()
    assert 0 < first.sum() < 0.8 * second.sum()
    np.testing.assert_array_equal(controller.layers.canvas.layer.data[0], first + 2 * second)


def test_erasing_a_mask_clears_the_frame(make_controller, synthetic, answered):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 6))
    layer = controller.layers.canvas.layer
    layer.brush_size = 40
    assert answered(controller, lambda: layer.paint((0, 50, 50), 0)).endswith("cleared")
    assert not controller.objects.is_known


def test_an_undone_stroke_is_undone_for_the_network_too(
    make_controller, synthetic, answered, drive
):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 6))
    before = controller.layers.masklets.mask(1, 0)
    answered(controller, lambda: paint_disc(controller, 0, 60, 50, 6))
    layer = controller.layers.canvas.layer
    undo, redo = (layer.keymap[coerce_keybinding(key)] for key in ("Control-Z", "Control-Shift-Z"))
    undo(layer)
    np.testing.assert_array_equal(controller.layers.masklets.mask(1, 0), before)
    controller.propagate(stop=0)
    drive(controller, lambda: controller.run_state == "idle")
    np.testing.assert_array_equal(controller.layers.masklets.mask(1, 0), before)
    redo(layer)
    assert controller.layers.masklets.mask(1, 0)[60, 50]
    assert layer.data[0, 60, 50] == 1


# Runs.


def test_a_run_fills_the_labels_and_leaves_tracks(
    make_controller, synthetic, middle_of, answered, drive, trained_network
):
    viewer, controller = make_controller(synthetic.images, network=trained_network)
    progress = []
    controller.events.progressed.connect(progress.append)
    for rank in range(2):
        controller.new_object()
        answered(
            controller, lambda rank=rank: controller.layers.points.add((4, *middle_of(rank, 4)))
        )
    controller.propagate("both")
    assert controller.run_state == "running"
    drive(controller, lambda: controller.run_state == "idle")
    assert controller.told[-1].text.startswith("Done: 12 frames")
    assert (progress[-1].done, progress[-1].total) == (12, 12)
    assert progress[-1].seconds_left == 0
    # The second cell divides between frames 7 and 8, and ends once its mask has come apart.
    drawn = [painted(controller, frame) for frame in range(12)]
    assert drawn[:8] == [{1, 2}] * 8
    assert drawn[-1] == {1}
    (tracks,) = (layer for layer in viewer.layers if isinstance(layer, Tracks))
    assert len(tracks.data) == sum(map(len, drawn))
    assert set(tracks.data[:, 0]) == {1, 2}
    assert viewer.layers.selection.active is controller.layers.points


def test_a_run_keeps_to_its_range_objects_and_direction(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images)
    for object_id, frame in ((1, 3), (2, 3)):
        controller.objects.select(object_id)
        paint_disc(controller, frame, 30 * object_id, 40, 8)
        controller.poll()
    controller.propagate("forward", stop=6, objects=(2,))
    drive(controller, lambda: controller.run_state == "idle")
    masks = controller.layers.masklets
    assert masks.frames(2) == (3, 4, 5, 6)
    assert masks.frames(1) == (3,)


def test_a_cancelled_run_keeps_its_frames(make_controller, synthetic, drive):
    _, controller = make_controller(np.tile(synthetic.images, (8, 1, 1)))
    progress = []
    controller.events.progressed.connect(progress.append)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate()
    drive(controller, lambda: len(progress) >= 3)
    controller.cancel()
    drive(controller, lambda: controller.run_state == "idle")
    done = controller.layers.masklets.frames(1)
    assert done == tuple(range(len(done)))
    assert 3 <= len(done) < 96
    assert controller.told[-1].text.startswith("Cancelled")
    controller.propagate(stop=len(done) + 1, resume=True)
    drive(controller, lambda: controller.run_state == "idle")
    assert len(controller.layers.masklets.frames(1)) == len(done) + 2
    assert progress[-1].done <= 3  # went on where it had stopped


def test_a_paused_run_answers_clicks_and_goes_on(make_controller, synthetic, answered, drive):
    _, controller = make_controller(np.tile(synthetic.images, (2, 1, 1)))
    progress = []
    controller.events.progressed.connect(progress.append)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate()
    drive(controller, lambda: len(progress) >= 1)
    controller.pause()
    controller.new_object()
    answered(controller, lambda: controller.layers.points.add((0, 20, 20)))
    done = len(progress)
    assert controller.run_state == "paused"
    assert done < 24
    controller.resume()
    drive(controller, lambda: controller.run_state == "idle")
    assert len(progress) == 24


def test_a_run_without_prompts_says_what_to_do(make_controller, synthetic):
    _, controller = make_controller(synthetic.images, network=None)
    controller.propagate()
    assert controller.run_state == "idle"
    assert controller.told[-1] == Status("There is nothing to track: click a cell first", "error")


def test_a_run_outside_the_movie_ends_with_its_reason(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate(start=3, stop=40)
    drive(controller, lambda: controller.run_state == "idle")
    drive(controller, lambda: any("frames 0 to 11" in status.text for status in controller.told))


def test_the_slider_follows_until_the_user_moves_it(make_controller, synthetic, drive):
    viewer, controller = make_controller(np.tile(synthetic.images, (3, 1, 1)))
    shown = []
    viewer.dims.events.current_step.connect(lambda: shown.append(viewer.dims.current_step[0]))
    viewer.dims.set_point(0, 0)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate()
    drive(controller, lambda: controller.run_state == "idle")
    assert max(shown) > 0
    controller.propagate()
    viewer.dims.set_point(0, 1)
    drive(controller, lambda: controller.run_state == "idle")
    assert viewer.dims.current_step[0] == 1


# Taking things back.


def test_clearing_a_frame_leaves_the_others(make_controller, synthetic, drive):
    viewer, controller = make_controller(synthetic.images)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate(stop=3)
    drive(controller, lambda: controller.run_state == "idle")
    viewer.dims.set_point(0, 2)
    controller.clear_frame()
    assert controller.told[-1].text == "Clear object 1, frame 2: done"
    assert controller.layers.masklets.frames(1) == (0, 1, 3)
    assert painted(controller, 2) == set()


def test_a_deleted_object_stays_deleted_during_a_run(make_controller, synthetic, drive):
    _, controller = make_controller(np.tile(synthetic.images, (3, 1, 1)))
    progress = []
    controller.events.progressed.connect(progress.append)
    for object_id in (1, 2):
        controller.objects.select(object_id)
        paint_disc(controller, 0, 30 * object_id, 40, 8)
        controller.poll()
    controller.propagate()
    drive(controller, lambda: len(progress) >= 3)
    controller.delete_object()
    assert controller.objects.current == 1
    drive(controller, lambda: controller.run_state == "idle")
    assert all(painted(controller, frame) <= {1} for frame in range(36))
    assert controller.objects.ids() == (1,)
    assert controller.new_object() == 3  # an id is never given twice


# Layers that go.


@pytest.mark.parametrize("role", ["points", "boxes", "labels"])
def test_a_layer_removed_by_hand_comes_back_with_its_content(
    make_controller, synthetic, answered, role
):
    viewer, controller = make_controller(synthetic.images)
    answered(controller, lambda: controller.layers.points.add((0, 50, 50)))
    answered(controller, lambda: draw_box(controller, 0, 30, 30, 60, 60))
    answered(controller, lambda: paint_disc(controller, 2, 50, 50, 8))
    layers = controller.layers
    find = {"points": lambda: layers.points, "boxes": lambda: layers.boxes,
            "labels": lambda: layers.canvas.layer}[role]  # fmt: skip
    before = [np.array(one) for one in find().data]
    viewer.layers.remove(find())
    assert find() is None
    controller.use("points")
    np.testing.assert_allclose([np.array(one) for one in find().data], before)
    assert len(viewer.layers) == 4
    answered(controller, lambda: layers.points.add((0, 52, 52)))


def test_renamed_layers_are_still_known(make_controller, synthetic, answered):
    viewer, controller = make_controller(synthetic.images)
    for number, layer in enumerate(viewer.layers):
        layer.name = f"layer {number}"
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 8))
    assert painted(controller, 0) == {1}
    assert len(viewer.layers) == 4


def test_an_image_removed_during_a_run_ends_it(make_controller, synthetic, drive):
    viewer, controller = make_controller(np.tile(synthetic.images, (8, 1, 1)), name="cells")
    progress = []
    controller.events.progressed.connect(progress.append)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate()
    drive(controller, lambda: len(progress) >= 2)
    viewer.layers.remove("cells")
    assert controller.image is None
    drive(controller, lambda: controller.run_state == "idle")
    assert np.count_nonzero(viewer.layers["cells objects"].data) > 0


def test_labels_removed_during_a_run_are_complete_when_they_come_back(
    make_controller, synthetic, drive
):
    viewer, controller = make_controller(synthetic.images)
    progress = []
    controller.events.progressed.connect(progress.append)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate()
    drive(controller, lambda: len(progress) >= 1)
    viewer.layers.remove(controller.layers.canvas.layer)
    drive(controller, lambda: controller.run_state == "idle")
    controller.use("points")
    masks, data = controller.layers.masklets, controller.layers.canvas.layer.data
    assert masks.frames(1) == tuple(range(12))
    for frame in range(12):
        np.testing.assert_array_equal(data[frame] == 1, masks.mask(1, frame))


# Other movies.


def test_two_images_keep_their_own_objects(make_controller, synthetic, drive, answered):
    viewer, controller = make_controller(synthetic.images)
    first = controller.image
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 8))
    controller.propagate()
    second = viewer.add_image(synthetic.images[:, ::-1])
    controller.set_image(second)  # cancels the run; its frames still reach the first image
    assert controller.objects.current == 1
    assert not controller.objects.is_known
    answered(controller, lambda: paint_disc(controller, 5, 20, 20, 8))
    drive(controller, lambda: controller.run_state == "idle")
    assert painted(controller, 0) == set()
    controller.set_image(first)
    assert painted(controller, 0) == {1}
    assert painted(controller, 5) <= {1}
    assert controller.layers.masklets.frames(1)[0] == 0
    # A click on the other image's layer takes the work there.
    (movie,) = (one for one in controller._movies if one.image is second)
    answered(controller, lambda: movie.layers.points.add((5, 60, 60)))
    assert controller.image is second


@pytest.mark.parametrize("shape", [(96, 96), (96, 96, 3)])
def test_a_picture_is_answered(make_controller, synthetic, answered, drive, shape):
    data = np.stack([synthetic.images[0]] * 3, -1)[..., : 3 if len(shape) == 3 else 1]
    data = (255 * (data / data.max())).astype(np.uint8)
    data = data if len(shape) == 3 else data[..., 0]
    viewer, controller = make_controller(data, rgb=len(shape) == 3)
    layer = controller.layers.canvas.layer
    assert layer.data.shape == (96, 96)
    answered(controller, lambda: controller.layers.points.add((40, 40)))
    layer.selected_label = 2
    layer.brush_size = 10
    answered(controller, lambda: layer.paint((20, 20), 2))
    assert layer.data[20, 20] == 2
    controller.propagate()
    drive(controller, lambda: controller.run_state == "idle")
    assert not any(isinstance(one, Tracks) for one in viewer.layers)


def test_a_colour_movie_is_tracked(make_controller, synthetic, drive):
    grey = (255 * (synthetic.images / synthetic.images.max())).astype(np.uint8)
    _, controller = make_controller(np.stack([grey, grey // 2, grey], -1), rgb=True)
    paint_disc(controller, 0, 50, 50, 8)
    controller.poll()
    controller.propagate(stop=2)
    drive(controller, lambda: controller.run_state == "idle")
    assert controller.layers.masklets.frames(1) == (0, 1, 2)


def test_contrast_is_what_the_network_sees(make_controller, synthetic, middle_of, answered):
    _, controller = make_controller(synthetic.images)
    image = controller.image
    answered(controller, lambda: controller.layers.points.add((0, *middle_of())))
    seen = controller._engine._session.mapping
    assert (seen.low, seen.high) == tuple((float(limit),) for limit in image.contrast_limits)
    image.contrast_limits = (0, 300)
    answered(controller, lambda: controller.layers.points.add((0, *middle_of(1))))
    seen = controller._engine._session.mapping
    assert (seen.low, seen.high) == ((0.0,), (300.0,))


def test_new_pixels_begin_a_new_session(make_controller, synthetic, answered):
    viewer, controller = make_controller(synthetic.images)
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 8))
    controller.image.data = synthetic.images[:5, :64]
    assert "new session" in controller.told[-1].text
    assert controller.layers.canvas.layer.data.shape == (5, 64, 96)
    assert len(viewer.layers) == 7
    answered(controller, lambda: controller.layers.points.add((0, 20, 20)))


# Networks.


def test_a_network_that_cannot_be_loaded_says_why(make_controller, synthetic, drive, tmp_path):
    _, controller = make_controller(synthetic.images, network=None)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    controller.load_model(str(broken))
    drive(controller, lambda: controller.told and controller.told[-1].level == "error")
    assert "truncated" in controller.told[-1].text
    assert controller.models.line == "No network is loaded"
    assert controller.models.coming is None


def test_a_device_that_is_not_there_is_refused(make_controller, synthetic, drive, small_network):
    _, controller = make_controller(synthetic.images, network=None)
    controller.load_model(small_network, device="cuda:99")
    drive(controller, lambda: controller.told and controller.told[-1].level == "error")
    assert "cuda:99" in controller.told[-1].text or "CUDA" in controller.told[-1].text


def test_a_change_of_network_keeps_prompts_and_masks(
    make_controller, synthetic, answered, drive, small_network
):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: paint_disc(controller, 0, 50, 50, 8))
    before = controller.layers.masklets.mask(1, 0)
    told = len(controller.told)
    controller.load_model(small_network)
    drive(controller, lambda: any("is ready" in one.text for one in controller.told[told:]))
    controller.propagate(stop=2)
    drive(controller, lambda: controller.run_state == "idle")
    assert controller.layers.masklets.frames(1) == (0, 1, 2)
    np.testing.assert_array_equal(controller.layers.masklets.mask(1, 0), before)
