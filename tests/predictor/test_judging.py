"""Of the masks that a first click is answered with, the judge says which is meant and how good."""

import numpy as np
import pytest
import torch

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import PRESETS
from napari_sam2.model.judge import TRAITS, load_mask_judge, traits_of
from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.predictor import judging
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.training.synthetic import random_movie


@pytest.fixture(scope="module")
def bundled():
    return load_model("bundled")


def described(logits) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = len(logits)
    tokens = torch.randn(rows, 3, 128, generator=generator)
    stride4 = torch.randn(rows, 16, *logits.shape[-2:], generator=generator)
    return traits_of(logits, torch.tensor([[0.2, 0.5, 0.7]] * rows), tokens, stride4)


@pytest.mark.parametrize("value", [-1024.0, 32.0])
def test_empty_and_full_masks_have_traits_too(value) -> None:
    traits = described(torch.full((2, 3, 16, 16), value))
    assert traits.shape == (2, 3, TRAITS)
    assert torch.isfinite(traits).all()
    ious = load_mask_judge().ious(traits)
    assert ious.shape == (2, 3)
    assert ((ious >= 0) & (ious <= 1)).all()


def test_traits_say_what_is_in_a_mask_and_what_is_around_it() -> None:
    logits = torch.full((1, 3, 16, 16), -8.0)
    logits[0, 0, 4:12, 4:12] = 8.0
    picture = torch.zeros(1, 16, 16, 16)
    picture[0, 0, 4:12, 4:12] = 3.0
    traits = traits_of(logits, torch.zeros(1, 3), torch.zeros(1, 3, 128), picture)
    contrast = traits[0, :, TRAITS - 64]
    assert contrast[0] == 3.0
    assert (contrast[1:] == 0).all(), "the others are empty"
    assert traits[0, 0, 1] == 0.25, "a quarter of the view"


def test_what_it_expects_of_the_masks_is_shown_and_the_best_is_taken(bundled, cpu) -> None:
    movie = random_movie(31_000_003, 1, kind="rods")
    areas = np.bincount(movie.labels[0].ravel())[1:]
    differ = 0
    for label in 1 + np.flatnonzero(areas >= 60)[:4]:
        found = {}
        click = PointPrompt(1, 0, innermost_point(movie.labels[0] == label))
        for choice in ("on", "off"):
            options = PredictorOptions(view="follow", judge=choice, second_question="off")
            session = VideoSession.open(movie.images)
            found[choice] = VideoPredictor(bundled, cpu, options).predict_frame(session, click)
        one = found["on"].objects[0]
        assert one.record.predicted_iou == max(mask.predicted_iou for mask in one.candidates)
        differ += one.record.predicted_iou != found["off"].objects[0].record.predicted_iou
    assert differ == 4


def test_only_first_clicks_are_judged(bundled, cpu, monkeypatch) -> None:
    movie = random_movie(31_000_005, 3, kind="nuclei")
    truth = movie.labels[0] == np.bincount(movie.labels[0].ravel())[1:].argmax() + 1
    y, x = innermost_point(truth)
    seen = []
    real = judging.traits_of
    monkeypatch.setattr(judging, "traits_of", lambda *given: seen.append(1) or real(*given))
    predictor, session = VideoPredictor(bundled, cpu), VideoSession.open(movie.images)
    predictor.predict_frame(session, PointPrompt(1, 0, (y, x)))
    assert seen
    seen.clear()
    predictor.predict_frame(session, PointPrompt(1, 0, (y + 1, x)))
    predictor.predict_frame(session, BoxPrompt(2, 0, (y - 9, x - 9, y + 9, x + 9)))
    list(predictor.propagate(session))
    assert not seen


def test_other_networks_are_not_judged() -> None:
    assert PredictorOptions(judge="on").judges(PRESETS["bundled"])
    assert not PredictorOptions(judge="on", view="follow").judges(PRESETS["sam2.1-tiny"])
    assert not PredictorOptions(judge="off").judges(PRESETS["bundled"])


def test_a_single_mask_stays_as_it_is(bundled, cpu) -> None:
    size = bundled.config.input_size // 16
    features = ImageFeatures(
        torch.zeros(1, 128, size, size),
        torch.zeros(1, 32, 2 * size, 2 * size),
        torch.zeros(1, 16, 4 * size, 4 * size),
    )
    with torch.inference_mode():
        points, labels = torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.int64)
        prompts = bundled.encode_prompts(points, labels, None, features.grid)
        seen = bundled.attend_memory(features, None)
        single = bundled.choose(bundled.decode_all(seen, features, prompts), multimask=False)
        assert judging.judged(features, single) is single
