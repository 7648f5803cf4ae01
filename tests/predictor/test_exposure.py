"""Dim objects are looked at brighter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.evaluation.metrics import iou
from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.exposure import gamma_of
from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.intensity import IntensityMapping
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions, Twice
from napari_sam2.predictor.preview import view_on
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.predictor.view_planner import ViewPlanner
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt
from napari_sam2.training.synthetic import random_movie

SHAPE = (320, 320)
DIM, MIDDLING, BRIGHT = (80, 80), (80, 220), (220, 120)
LIGHT = {DIM: 0.05, MIDDLING: 0.15, BRIGHT: 0.9}
PLANNER = ViewPlanner(SHAPE, 256, 3.5, 0.1, is_following=True, is_brightening=True)
VIEW = View.square((80, 80), 128, SHAPE, (256, 256))


def disk(center: tuple[int, int], radius: int = 20) -> NDArray[np.bool_]:
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2


def movie(frames: int = 4, background: float = 0.01) -> NDArray[np.uint16]:
    """Three still cells of unlike brightness, with noise."""
    picture = np.full(SHAPE, background)
    for center, light in LIGHT.items():
        picture[disk(center)] = light
    noise = np.random.default_rng(0).normal(0, 0.004, (frames, *SHAPE))
    return ((picture + noise).clip(0, 1) * 1000).astype(np.uint16)


def session(images: NDArray[np.uint16] | None = None) -> VideoSession:
    return VideoSession.open(movie() if images is None else images, IntensityMapping((0,), (1000,)))


def asked(*prompts: Prompt, known: float | None = None, images=None) -> float:
    current = None if known is None else replace(VIEW, gamma=known)
    return gamma_of(PLANNER, session(images), 0, current, None, Geometry.of(prompts))


def predictor(brighten: Twice = "auto", judge: Twice = "auto") -> VideoPredictor:
    options = PredictorOptions(brighten=brighten, judge=judge)
    return VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"), options)


def prompts_on(center: tuple[int, int]) -> list[Prompt]:
    y, x = center
    box = BoxPrompt(1, 0, (y - 20, x - 20, y + 20, x + 20))
    return [PointPrompt(1, 0, center), box, MaskPrompt(1, 0, disk(center))]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_click_a_box_and_a_mask_tell_how_bright_an_object_is(kind) -> None:
    assert asked(prompts_on(DIM)[kind]) == 0.5
    assert asked(prompts_on(BRIGHT)[kind]) == 1.0


def test_what_is_known_of_its_mask_says_more_than_a_click() -> None:
    record = MaskRecord.from_mask(disk(DIM))
    click = Geometry.of([PointPrompt(1, 0, BRIGHT)])
    assert gamma_of(PLANNER, session(), 0, None, record, click) == 0.5


@pytest.mark.parametrize("known", [0.5, 1.0])
def test_an_object_that_is_neither_keeps_its_gamma(known) -> None:
    assert asked(PointPrompt(1, 0, MIDDLING), known=known) == known
    assert asked(PointPrompt(1, 0, DIM), known=known) == 0.5
    assert asked(PointPrompt(1, 0, BRIGHT), known=known) == 1.0


def test_dark_objects_on_a_bright_ground_are_left_as_they_are() -> None:
    assert asked(PointPrompt(1, 0, DIM), images=movie(background=0.6)) == 1.0


def test_nothing_is_known_of_an_empty_mask_and_of_negative_clicks() -> None:
    empty = MaskPrompt(1, 0, np.zeros(SHAPE, bool))
    assert asked(empty) == 1.0
    assert asked(PointPrompt(1, 0, DIM, positive=False), known=0.5) == 0.5


@pytest.mark.parametrize("yx", [(-0.4, 0), (319.4, 319.4), (0, 319)])
def test_prompts_at_the_border_of_the_frame_are_asked_there(yx) -> None:
    images = movie()
    images[:, :3, :3] = images[:, :3, -3:] = images[:, -3:, -3:] = 900
    y, x = round(yx[0]), round(yx[1])
    box = BoxPrompt(1, 0, (max(y - 1, 0), max(x - 1, 0), min(y + 1, 319), min(x + 1, 319)))
    for prompt in (PointPrompt(1, 0, yx), box):
        assert asked(prompt, known=0.5, images=images) == 1.0


def test_the_network_sees_the_window_at_its_gamma() -> None:
    mapping, frame = IntensityMapping((0,), (1000,)), movie()[0]
    seen = {gamma: replace(VIEW, gamma=gamma).crop(frame, mapping) for gamma in (1.0, 0.5)}
    smooth = ndimage.gaussian_filter(mapping.apply(frame), (1, 1, 0))
    inside = np.s_[..., 8:-8, 8:-8]  # at the border of the window its own pixels go on
    expected = VIEW.crop(np.sqrt(smooth))
    assert np.allclose(seen[0.5][inside], expected[inside], atol=0.02)
    assert float(seen[0.5].mean()) > float(seen[1.0].mean())


def test_dim_cells_are_seen_through_their_noise() -> None:
    mapping, cell = IntensityMapping((0,), (1000,)), disk(DIM)
    quiet = np.where(cell, 40.0, 10.0)
    noisy = quiet + np.random.default_rng(0).normal(0, 20, quiet.shape).clip(-10)
    inside = VIEW.mask_to_input(cell)[0, 0] > 0

    def clearness(picture) -> float:
        grey = picture[0, 0]
        return float((grey[inside].mean() - grey[~inside].mean()) / grey[inside].std())

    unsmoothed = VIEW.crop(np.sqrt(mapping.apply(noisy)))
    assert clearness(replace(VIEW, gamma=0.5).crop(noisy, mapping)) > 1.2 * clearness(unsmoothed)
    small = View.square((80, 80), 64, SHAPE, (256, 256))
    roots = small.crop(np.sqrt(mapping.apply(noisy)))
    assert np.allclose(replace(small, gamma=0.5).crop(noisy, mapping), roots, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, -1.0, np.nan, np.inf])
def test_a_gamma_that_is_none_is_refused(gamma) -> None:
    with pytest.raises(ValueError, match="gamma of a view"):
        replace(VIEW, gamma=gamma)


def test_dim_and_bright_neighbours_do_not_share_a_view() -> None:
    engine, opened = predictor(), session()
    for number, center in enumerate((DIM, BRIGHT), 1):
        engine.predict_frame(opened, MaskPrompt(number, 0, disk(center)))
    list(engine.propagate(opened, PropagateOptions(direction="forward")))
    assert [opened.objects[i].view.gamma for i in (1, 2)] == [0.5, 1.0]
    # The preview shows what the network gets.
    assert [view_on(engine, opened, i, 2).gamma for i in (1, 2)] == [0.5, 1.0]


def test_a_dim_cell_is_found_by_a_click_and_is_not_without() -> None:
    """A nucleus with a sixteenth of the light of the brightest, in noise; half of it is not it."""
    cells = random_movie(97158, 6, kind="nuclei")
    truth = cells.labels[0] == 45
    found = {}
    for how in ("auto", "off"):
        opened = VideoSession.open(cells.images)
        predictor(how, judge="off").predict_frame(opened, PointPrompt(1, 0, innermost_point(truth)))
        found[how] = iou(opened.masklets.mask(1, 0), truth)
    assert found["auto"] > 0.6
    assert found["off"] < 0.5


def test_images_and_reopened_sessions_do_as_movies_do() -> None:
    one = ImagePredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    one.set_image(movie()[0], IntensityMapping((0,), (1000,)))
    one.predict(points_yx=[DIM])
    assert one._view.gamma == 0.5
    engine, opened = predictor(), session()
    engine.predict_frame(opened, MaskPrompt(1, 0, disk(DIM)))
    opened.forget_memories()
    engine.restore(opened)
    assert opened.objects[1].view.gamma == 0.5


def test_whole_views_are_as_the_contrast_shows_them() -> None:
    engine, opened = predictor("off"), session()
    engine.predict_frame(opened, PointPrompt(1, 0, DIM))
    assert opened.objects[1].view.gamma == 1.0
    assert PredictorOptions(view="whole").brightens(engine.model.config) is False
