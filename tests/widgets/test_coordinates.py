"""Image layers as movies; frames and pixels of what is drawn on other layers."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.widgets.coordinates import (
    frame_yx,
    layer_position,
    placement,
    show_frame,
    shown_frame,
)
from napari_sam2.widgets.source import movie_of


def test_a_grey_movie_is_seen_as_its_contrast_limits_show_it():
    movie = movie_of(Image(np.zeros((5, 20, 30), np.uint16), contrast_limits=(100, 900)))
    assert (movie.shape, movie.axes) == ((5, 20, 30), "TYX")
    assert (movie.low, movie.high, movie.channels) == ((100.0,), (900.0,), (0, 0, 0))


def test_a_picture_is_a_movie_of_one_frame():
    movie = movie_of(Image(np.zeros((20, 30))))
    assert (movie.shape, movie.axes) == ((1, 20, 30), "YX")


@pytest.mark.parametrize(
    ("dtype", "channels", "white"),
    [(np.uint8, 3, 255.0), (np.float32, 3, 1.0), (np.uint8, 4, 255.0)],
)
def test_colours_span_the_range_of_their_type(dtype, channels, white):
    movie = movie_of(Image(np.zeros((5, 20, 30, channels), dtype), rgb=True))
    assert (movie.shape, movie.axes) == ((5, 20, 30), "TYX")
    assert (movie.low, movie.high) == ((0.0,) * channels, (white,) * channels)
    assert movie.channels == (0, 1, 2)


def test_of_a_multiscale_movie_the_finest_level_is_taken():
    levels = [np.zeros((5, 40, 60)), np.zeros((5, 20, 30))]
    assert movie_of(Image(levels, multiscale=True)).shape == (5, 40, 60)


def test_a_lazy_movie_stays_lazy():
    data = da.zeros((5, 20, 30), chunks=(1, 20, 30))
    movie = movie_of(Image(data, contrast_limits=(0, 1)))
    assert movie.data.read(3).shape == (20, 30)
    assert isinstance(movie.raw._array, da.Array)


def test_other_axes_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"axis A of 'TZACYX' has length 9.*set its axes"):
        movie_of(Image(np.zeros((7, 8, 9, 2, 20, 30)), name="stack"))


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        (PointPrompt(1, 0, (10, 29.4)), None),
        (PointPrompt(1, 0, (10, 29.6)), "outside the image"),
        (PointPrompt(1, 0, (-1, 3)), "outside the image"),
        (PointPrompt(1, 5, (1, 3)), "frames 0 to 4"),
        (BoxPrompt(1, 0, (1, 1, 8, 8)), None),
        (BoxPrompt(1, 0, (1, 1, 8, 1.5)), "too small"),
    ],
)
def test_prompts_outside_are_found(prompt, complaint):
    problem = movie_of(Image(np.zeros((5, 20, 30)))).problem_with(prompt)
    assert problem is None if complaint is None else complaint in problem


def test_positions_survive_different_transforms():
    image = Image(np.zeros((5, 20, 30)), scale=(2, 0.5, 0.5), translate=(1, 2, 3), rotate=30)
    points = Points(ndim=3, scale=(1, 0.25, 0.25), translate=(0, -4, 7))
    place = layer_position(3, (7.25, 11.5), points, image)
    frame, yx = frame_yx(place, points, image)
    assert frame == 3
    np.testing.assert_allclose(yx, (7.25, 11.5))


def test_a_layer_with_the_same_placement_has_the_same_pixels():
    image = Image(
        np.zeros((5, 20, 30)),
        scale=(2, 0.5, 0.5),
        rotate=30,
        units=("s", "um", "um"),
        axis_labels=("t", "y", "x"),
    )
    points = Points(ndim=3, **placement(image))
    assert points.units == image.units
    assert points.axis_labels == image.axis_labels
    np.testing.assert_allclose(points.data_to_world((3, 4, 5)), image.data_to_world((3, 4, 5)))


def test_the_slider_is_read_and_moved_in_frames():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 5, 20, 30)))  # one more slider in front
    image = viewer.add_image(np.zeros((5, 20, 30)), scale=(10, 1, 1), translate=(50, 0, 0))
    viewer.dims.set_point(1, 80)
    assert shown_frame(viewer, image) == 3
    show_frame(viewer, image, 1)
    assert viewer.dims.point[1] == 60
    assert shown_frame(viewer, image) == 1


def test_a_picture_has_only_frame_zero():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((5, 20, 30)))
    image = viewer.add_image(np.zeros((20, 30)))
    viewer.dims.set_point(0, 3)
    show_frame(viewer, image, 0)
    assert shown_frame(viewer, image) == 0
    assert viewer.dims.point[0] == 3
