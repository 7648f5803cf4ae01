"""Verdicts of absence that are hardly below zero are doubted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.outputs import DecoderOutput
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions, Twice
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.verdicts import SPARED_SCORE, presume_present
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

FRAMES = 8


def inside() -> np.ndarray:
    y, x = np.ogrid[:96, :96]
    return (y - 48) ** 2 + (x - 48) ** 2 < 144


def scores(verdicts: dict[int, float], doubt: Twice = "auto", expected: float = 0.9) -> list[float]:
    """Return the scores of a still disk if the network gives these ones, and 4 elsewhere.

    Of its masks it expects an IoU.
    """
    noise = np.random.default_rng(0).normal(200, 12, (FRAMES, 96, 96))
    session = VideoSession.open((noise + 900 * inside()).clip(0).astype(np.uint16))
    model = load_model("bundled")
    # A mask that is drawn after wrong verdicts may come apart, which is another matter.
    options = PredictorOptions(doubt=doubt, divided="follow")
    predictor = VideoPredictor(model, Runtime.auto("cpu", "float32"), options)
    predictor.predict_frame(session, MaskPrompt(1, 0, inside()))
    predictor.commit(session)
    given = iter(range(1, FRAMES))
    handle = model.sam_mask_decoder.pred_obj_score_head.register_forward_hook(
        lambda _module, _inputs, score: torch.full_like(score, verdicts.get(next(given), 4.0))
    )
    other = model.sam_mask_decoder.iou_prediction_head.register_forward_hook(
        lambda _module, _inputs, ious: torch.full_like(ious, expected).logit()
    )
    list(predictor.propagate(session, PropagateOptions(direction="forward")))
    handle.remove()
    other.remove()
    records = [session.masklets.record(1, t) for t in range(1, FRAMES)]
    assert all(one.visible == (one.object_score > 0) for one in records)
    return [one.object_score for one in records]


def test_a_verdict_just_below_zero_empties_no_mask_however_often() -> None:
    verdicts = {3: -0.1, 4: -0.9, 5: -0.5}
    assert scores(verdicts) == [4, 4, SPARED_SCORE, SPARED_SCORE, SPARED_SCORE, 4, 4]


def test_a_clear_verdict_is_believed_and_what_follows_it_is_not_doubted() -> None:
    assert scores({3: -2.5, 4: -0.5, 5: 2}) == [4, 4, -2.5, -0.5, 2, 4, 4]


def test_a_verdict_that_a_good_mask_contradicts_empties_no_mask() -> None:
    assert scores({3: -1.5, 5: -1.9}) == [4, 4, SPARED_SCORE, 4, SPARED_SCORE, 4, 4]


def test_where_no_good_mask_is_expected_verdicts_are_believed_sooner() -> None:
    found = scores({2: -1.4, 5: -1.6}, expected=0.42)
    assert found[1] == SPARED_SCORE
    assert found[4] == pytest.approx(-1.6)


def test_a_doubt_is_followed_by_a_smaller_one() -> None:
    found = scores({2: -1.4, 3: -0.9, 4: -1.1}, expected=0.42)
    assert found[1] == found[2] == SPARED_SCORE
    assert found[3] == pytest.approx(-1.1)


def test_the_rules_of_the_reference_believe_every_verdict() -> None:
    assert scores({3: -0.1}, "off") == [4, 4, pytest.approx(-0.1), 4, 4, 4, 4]


def test_only_verdicts_of_absence_above_what_is_believed_are_taken_back() -> None:
    score = torch.tensor([[-2.0], [-3.0], [5.0], [-0.5], [-1.5], [-1.5], [-0.1], [-2.5], [-9.0]])
    ious = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.4, 0.6, 0.6, 0.6, 0.6])[:, None]
    # The single mask, the first of the four, is not the one that would be drawn.
    ious = torch.cat([torch.ones(9, 1), torch.zeros(9, 1), ious, torch.zeros(9, 1)], dim=1)
    nothing = torch.zeros(9, 4)
    output = DecoderOutput(nothing, ious, nothing, score)
    believed = [-math.inf, 0.0, -math.inf, -1.0, -1.0, -1.0, 0.0, -1.0, -math.inf]
    found = presume_present(output, believed).object_score[:, 0].tolist()
    spared = SPARED_SCORE
    assert found == pytest.approx([spared, -3.0, 5.0, spared, -1.5, spared, -0.1, -2.5, spared])
    assert presume_present(output, [0.0] * 9) is output
