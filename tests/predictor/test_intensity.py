"""One mapping from raw values to colours, for the whole movie."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_sam2.predictor.frames import ArrayFrames
from napari_sam2.predictor.intensity import IntensityMapping


def test_percentiles_of_the_whole_movie():
    movie = np.zeros((10, 100, 100), np.uint16)
    movie += (np.arange(10, dtype=np.uint16) * 100)[:, None, None]
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie), 0, 100)
    assert (mapping.low, mapping.high, mapping.channels) == ((0.0,), (900.0,), (0, 0, 0))
    np.testing.assert_allclose(mapping.apply(movie[3]), 1 / 3, atol=1e-6)


def test_few_frames_of_a_long_movie_are_read():
    class Counting(ArrayFrames):
        reads: list = []  # noqa: RUF012

        def read(self, t):
            self.reads.append(t)
            return super().read(t)

    source = Counting(da.zeros((5000, 16, 16), chunks=(1, 16, 16)))
    IntensityMapping.from_percentiles(source, max_frames=8)
    assert len(source.reads) == 8
    assert (source.reads[0], source.reads[-1]) == (0, 4999)


def test_outliers_are_clipped():
    movie = np.random.default_rng(0).normal(1000, 10, (4, 64, 64))
    movie[0, 0, 0] = 1e9
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie))
    assert mapping.high[0] < 1100
    rgb = mapping.apply(movie[0])
    assert rgb[0, 0, 0] == 1.0
    assert rgb.min() >= 0


def test_what_is_not_a_number_is_black():
    frame = np.array([[np.nan, np.inf, -np.inf, 5.0]], np.float32)
    mapping = IntensityMapping.from_limits(0, 10)
    np.testing.assert_array_equal(mapping.apply(frame)[..., 0], [[0, 1, 0, 0.5]])
    movie = np.ones((2, 8, 8), np.float32) * np.arange(8)
    movie[0, 0] = np.nan
    movie[1, 3] = np.inf
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie), 0, 100)
    assert (mapping.low, mapping.high) == ((0.0,), (7.0,))


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf])
def test_a_constant_movie_is_black(value):
    source = ArrayFrames(np.full((3, 8, 8), value, np.float32))
    rgb = IntensityMapping.from_percentiles(source).apply(source.read(0))
    np.testing.assert_array_equal(rgb, np.zeros((8, 8, 3)))


def test_a_few_bright_pixels_are_not_lost():
    movie = np.zeros((2, 100, 100), np.uint8)
    movie[:, 5, 5] = 80
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie))
    assert mapping.apply(movie[0])[5, 5, 0] == 1.0


@pytest.mark.parametrize(("channels", "shown"), [(1, (0, 0, 0)), (2, (0, 1, 1)), (5, (0, 1, 2))])
def test_channels_become_colours(channels, shown):
    movie = np.random.default_rng(0).random((2, 16, 16, channels))
    movie *= np.arange(1, channels + 1)
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie), 0, 100)
    assert mapping.channels == shown
    rgb = mapping.apply(movie[0])
    for colour, channel in enumerate(shown):
        low, high = mapping.low[channel], mapping.high[channel]
        expected = (movie[0, ..., channel] - low) / (high - low)
        np.testing.assert_allclose(rgb[..., colour], expected, atol=1e-6)


def test_chosen_channels():
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[..., 2] = 255
    mapping = IntensityMapping.from_limits(0, 255, 3, channels=(2, 0, 2))
    np.testing.assert_array_equal(mapping.apply(frame)[0, 0], [1, 0, 1])


def test_a_colour_picture_keeps_its_hue():
    movie = np.full((2, 16, 16, 3), (200, 100, 50), np.uint8)
    movie[:, 0] = 0
    movie[:, 1] = 255
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie), 0, 100)
    np.testing.assert_allclose(
        mapping.apply(movie[0])[5, 5], np.array((200, 100, 50)) / 255, atol=1e-6
    )


def test_small_differences_of_large_numbers_survive():
    frame = np.array([[2**40, 2**40 + 1, 2**40 + 4]])
    mapping = IntensityMapping.from_limits(2**40, 2**40 + 4)
    np.testing.assert_allclose(mapping.apply(frame)[0, :, 0], [0, 0.25, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntensityMapping((1.0,), (0.0,)), "low <= high"),
        (lambda: IntensityMapping((0.0,), (np.inf,)), "finite"),
        (lambda: IntensityMapping((), ()), "each channel"),
        (lambda: IntensityMapping((0.0,), (1.0,), (0, 1, 2)), "from 0 to 0"),
        (lambda: IntensityMapping.from_limits(0, 1, 2).apply(np.zeros((4, 4))), "2 channels"),
        (
            lambda: IntensityMapping.from_percentiles(ArrayFrames(np.zeros((4, 4))), 90, 10),
            "not 90 and 10",
        ),
    ],
)
def test_errors_name_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()
