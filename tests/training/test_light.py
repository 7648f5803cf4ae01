"""Clips of a fine-tuning are shown as the predictor shows their movie, most of the time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2.predictor.frames import ArrayFrames, IntensityMapping
from napari_sam2.training import light
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.light import MovieLight, any_light


@pytest.fixture
def movie() -> LabelledMovie:
    """A dim and a bright cell; the bright one sets the range."""
    images = np.random.default_rng(0).normal(200, 5, (2, 64, 64))
    images[:, 10:20, 10:20] += 40
    images[:, 40:60, 40:60] += 3000
    labels = np.zeros(images.shape, np.uint16)
    labels[:, 10:20, 10:20], labels[:, 40:60, 40:60] = 1, 2
    return LabelledMovie("pair", images.astype(np.uint16), labels)


@pytest.fixture
def as_it_is(monkeypatch):
    monkeypatch.setattr(light, "_OWN_SHARE", 1.0)
    monkeypatch.setattr(light, "_LIMITS", 0.0)
    monkeypatch.setattr(light, "_GAMMA", 0.0)


def clip(movie: LabelledMovie, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(movie.images.astype(np.float32))[:, None]
    return images, torch.from_numpy(movie.labels == number)[:, None]


@pytest.mark.parametrize(("number", "gamma"), [(1, 0.5), (2, 1.0)])
def test_a_movie_is_shown_as_the_predictor_shows_it(movie, as_it_is, number, gamma):
    shown = MovieLight.of(movie)(*clip(movie, number), np.random.default_rng(0))
    mapping = IntensityMapping.from_percentiles(ArrayFrames(movie.images))
    expected = np.stack([mapping.apply(frame) for frame in movie.images]) ** gamma
    np.testing.assert_allclose(shown.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_dark_cells_on_a_bright_ground_are_not_brightened(movie, as_it_is):
    images = 3300 - movie.images.astype(np.int32)
    dark = LabelledMovie("dark", images.astype(np.uint16), movie.labels)
    shown = MovieLight.of(dark)(*clip(dark, 2), np.random.default_rng(0))
    mapping = IntensityMapping.from_percentiles(ArrayFrames(dark.images))
    expected = np.stack([mapping.apply(frame) for frame in dark.images])
    assert float(expected[:, 45:55, 45:55].mean()) < 0.1
    np.testing.assert_allclose(shown.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_part_of_the_clips_is_shown_in_any_light(movie, monkeypatch):
    monkeypatch.setattr(light, "_OWN_SHARE", 0.0)
    images, masks = clip(movie, 2)
    shown = MovieLight.of(movie)(images, masks, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rng.random()
    assert torch.equal(shown, any_light(images, masks, rng))


def test_colours_share_a_range_and_stay_colours(movie, as_it_is):
    rgb = np.stack([movie.images // 16, movie.images // 32, movie.images // 64], -1)
    coloured = LabelledMovie("coloured", rgb.astype(np.uint8), movie.labels)
    images = torch.from_numpy(coloured.images.astype(np.float32)).permute(0, 3, 1, 2)
    masks = torch.from_numpy(coloured.labels == 2)[:, None]
    shown = MovieLight.of(coloured)(images, masks, np.random.default_rng(0))
    mapping = IntensityMapping.from_percentiles(ArrayFrames(coloured.images))
    expected = np.stack([mapping.apply(frame) for frame in coloured.images])
    np.testing.assert_allclose(shown.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_an_empty_mask_and_a_flat_movie_are_shown_too(as_it_is):
    flat = LabelledMovie("flat", np.full((1, 32, 32), 7, np.uint8), np.zeros((1, 32, 32), np.uint8))
    images, masks = torch.full((1, 1, 32, 32), 7.0), torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    shown = MovieLight.of(flat)(images, masks, np.random.default_rng(0))
    assert shown.shape == (1, 3, 32, 32)
    assert bool(torch.isfinite(shown).all())
    assert float(shown.amin()) >= 0
    assert float(shown.amax()) <= 1
