"""Masks in a Labels layer, written where they changed; paths in a Tracks layer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from skimage.color import rgb2lab

from napari_sam2.masklets import MaskRecord
from napari_sam2.tracking.tracks import Tracks
from napari_sam2.widgets.result_layers import LabelCanvas, TrackLines

SHAPE = (3, 40, 50)


def square(y: int, x: int, side: int) -> MaskRecord:
    return MaskRecord.from_mask(np.ones((side, side), bool), origin=(y, x))


@pytest.fixture
def canvas():
    image = Image(np.zeros(SHAPE))
    canvas = LabelCanvas(SHAPE, on_paint=lambda: None)
    canvas.create(image)
    return canvas


def test_a_mask_replaces_the_one_before(canvas):
    canvas.put(1, [(7, square(5, 5, 10))])
    canvas.put(1, [(7, square(20, 20, 4))])
    expected = np.zeros(SHAPE[1:])
    expected[20:24, 20:24] = 7
    np.testing.assert_array_equal(canvas.layer.data[1], expected)
    assert not canvas.layer.data[[0, 2]].any()


def test_what_an_object_covered_shows_again_when_it_goes(canvas):
    canvas.put(0, [(1, square(5, 5, 20)), (2, square(10, 10, 4))])
    assert canvas.layer.data[0, 11, 11] == 2  # the smaller one is on top
    canvas.put(0, [(2, None)])
    assert canvas.layer.data[0, 11, 11] == 1
    canvas.remove_object(1)
    assert not canvas.layer.data.any()


def test_masks_as_written_are_masks_as_known(canvas):
    rng = np.random.default_rng(0)
    for _ in range(40):
        frame, owner = int(rng.integers(3)), int(rng.integers(1, 6))
        y, x, side = (int(n) for n in rng.integers((0, 0, 1), (25, 35, 15)))
        canvas.put(frame, [(owner, square(y, x, side) if side > 2 else None)])
    for frame in range(3):
        known = canvas.masklets.labels(frame)
        assert known.any()
        np.testing.assert_array_equal(canvas.layer.data[frame], known)


def test_only_what_changed_is_written(canvas):
    canvas.layer.data[0, 39, 49] = 9  # as if someone else had written there
    canvas.put(0, [(1, square(5, 5, 10))])
    assert canvas.layer.data[0, 39, 49] == 9


def test_only_the_frame_that_is_shown_is_drawn_again(canvas):
    drawn = []
    canvas.layer.events.set_data.connect(lambda: drawn.append(1))
    canvas.put(2, [(1, square(5, 5, 10))])
    canvas.refresh(shown=0)
    assert drawn == []
    canvas.put(0, [(1, square(5, 5, 10))])
    canvas.refresh(shown=0)
    assert drawn == [1]
    canvas.refresh(shown=0)
    assert drawn == [1]


def test_other_data_in_the_layer_is_left_alone(canvas):
    canvas.layer.data = np.zeros((2, 9, 9), np.uint16)
    canvas.put(0, [(1, square(5, 5, 10))])
    assert not canvas.layer.data.any()
    assert canvas.painted(0) == {}
    assert canvas.masklets.object_ids() == (1,)


def test_painting_is_told_apart_from_writing(canvas):
    canvas.put(0, [(1, square(5, 5, 10)), (2, square(20, 20, 10))])
    assert canvas.painted(0) == {}
    canvas.layer.data[0, 5:10, 5:15] = 3
    changed = canvas.painted(0)
    assert sorted(changed) == [1, 3]
    assert changed[1].sum() == changed[3].sum() == 50
    canvas.put(0, [(owner, MaskRecord.from_mask(mask)) for owner, mask in changed.items()])
    assert canvas.painted(0) == {}


def test_tracks_are_made_updated_and_hidden():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(SHAPE), scale=(1, 2, 2))
    lines = TrackLines()
    assert lines.show(Tracks(np.empty((0, 4))), image) is None
    table = np.array([[1, 0, 5, 5], [1, 1, 6, 6], [2, 2, 7, 7], [3, 2, 8, 8]], float)
    layer = lines.show(Tracks(table, {2: [1], 3: [1]}), image)
    viewer.add_layer(layer)
    np.testing.assert_array_equal(layer.scale, image.scale)
    assert lines.show(Tracks(table[:2]), image) is None
    assert len(layer.data) == 2
    assert layer.graph == {}
    lines.show(Tracks(table, {2: [1]}), image)
    assert {child: list(parents) for child, parents in layer.graph.items()} == {2: [1]}
    lines.show(Tracks(np.empty((0, 4))), image)
    assert not layer.visible


def test_objects_that_follow_each_other_are_told_apart(canvas):
    colours = np.array([canvas.layer.get_color(number)[:3] for number in range(1, 21)])
    lab = rgb2lab(colours)
    assert np.linalg.norm(np.diff(lab, axis=0), axis=1).min() > 30
    assert lab[:, 0].min() > 25, "none is as dark as the background"
    assert lab[:4, 0].min() > 45


def test_tracks_have_the_colours_of_their_labels(canvas):
    image = Image(np.zeros(SHAPE))
    table = np.array([[4, 0, 5, 5], [4, 1, 6, 6], [9, 1, 7, 7], [9, 2, 8, 8]], float)
    layer = TrackLines().show(Tracks(table), image, canvas.layer)
    expected = [canvas.layer.get_color(number) for number in (4, 4, 9, 9)]
    np.testing.assert_allclose(layer.track_colors, expected)
