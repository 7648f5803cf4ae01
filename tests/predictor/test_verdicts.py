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
from napari_sam2.predictor.verdicts import SPARED_SCORE, Trust, judged
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

FRAMES = 8


def inside() -> np.ndarray:
    y, x = np.ogrid[:96, :96]
    return (y - 48) ** 2 + (x - 48) ** 2 < 144


def scores(
    verdicts: dict[int, float], doubt: Twice = "auto", worth: dict[int, float] | None = None
) -> list[float]:
    """Return the scores of a still disk if the network gives these ones, and 4 elsewhere.

    It thinks as much of its masks as is said, and 0.9 elsewhere.
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
    worths = [(worth or {}).get(t, 0.9) for t in range(1, FRAMES)]
    handle = model.sam_mask_decoder.pred_obj_score_head.register_forward_hook(
        lambda _module, _inputs, score: torch.full_like(score, verdicts.get(next(given), 4.0))
    )
    thought = iter([math.log(one / (1 - one)) for one in worths])
    judge = model.sam_mask_decoder.iou_prediction_head.register_forward_hook(
        lambda _module, _inputs, logits: torch.full_like(logits, next(thought))
    )
    list(predictor.propagate(session, PropagateOptions(direction="forward")))
    handle.remove()
    judge.remove()
    records = [session.masklets.record(1, t) for t in range(1, FRAMES)]
    assert all(one.visible == (one.object_score > 0) for one in records)
    return [one.object_score for one in records]


def test_a_verdict_just_below_zero_empties_no_mask_however_often() -> None:
    verdicts = {3: -0.1, 4: -0.9, 5: -0.5}
    assert scores(verdicts) == [4, 4, SPARED_SCORE, SPARED_SCORE, SPARED_SCORE, 4, 4]


def test_a_clear_verdict_is_believed_and_what_follows_it_is_not_doubted() -> None:
    assert scores({3: -1.5, 4: -0.5, 5: 2}) == [4, 4, -1.5, -0.5, 2, 4, 4]


def test_the_rules_of_the_reference_believe_every_verdict() -> None:
    assert scores({3: -0.1}, "off") == [4, 4, pytest.approx(-0.1), 4, 4, 4, 4]


def answer(score: list[float], iou: list[float]) -> DecoderOutput:
    """Return an answer of which nothing but the score and the predicted IoU matters."""
    nothing = torch.zeros(len(score), 4)
    ious = torch.tensor([[0.99, one, one / 2, 0.0] for one in iou])  # the first is no candidate
    return DecoderOutput(nothing, ious, nothing, torch.tensor(score)[:, None])


def test_only_verdicts_of_absence_above_what_is_believed_are_taken_back() -> None:
    output = answer([-2.0, -3.0, 5.0, -0.5, -1.5], [0.8] * 5)
    trusts = [Trust(absence) for absence in (-math.inf, 0.0, -math.inf, -1.0, -1.0)]
    found = judged(output, trusts).object_score
    assert found[:, 0].tolist() == [SPARED_SCORE, -3.0, 5.0, SPARED_SCORE, -1.5]
    assert judged(output, [Trust()] * 5) is output


def test_a_mask_of_which_the_network_thinks_nothing_shows_no_object() -> None:
    output = answer([5.0, 5.0, -0.5, -0.5, -3.0], [0.31, 0.29, 0.31, 0.29, 0.29])
    found = judged(output, [Trust(-1.0, 0.3)] * 5).object_score
    assert found[:, 0].tolist() == [5.0, -SPARED_SCORE, SPARED_SCORE, SPARED_SCORE, -3.0]
    found = judged(output, [Trust(-1.0, 0.3, 0.3)] * 5).object_score
    assert found[:, 0].tolist() == [5.0, -SPARED_SCORE, SPARED_SCORE, -0.5, -3.0]


@pytest.mark.parametrize(("doubt", "expected"), [("auto", [0, 0, 4]), ("off", [4, 4, 4])])
def test_worthless_masks_empty_frames_and_what_comes_back_has_to_be_better(
    doubt: Twice, expected: list[float]
) -> None:
    """Of 0.4 a mask would stand beside one on the frame before, and so it does in the end."""
    found = scores({}, doubt, {2: 0.2, 3: 0.4, 4: 0.6, 5: 0.4})
    assert [max(score, 0) for score in found[1:4]] == expected
    assert found[4] == 4
