"""A cell that has just come of a division is not called gone by one frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.verdicts import SPARED_SCORE
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

FRAMES, BIRTH = 12, 2


def inside() -> np.ndarray:
    y, x = np.ogrid[:96, :96]
    return (y - 48) ** 2 + (x - 48) ** 2 < 144


def visible(absent: set[int], birth: int | None = BIRTH, **options: bool) -> list[int]:
    """Return where a still disk is seen if the network says that it is absent on these frames."""
    noise = np.random.default_rng(0).normal(200, 12, (FRAMES, 96, 96))
    session = VideoSession.open((noise + 900 * inside()).clip(0).astype(np.uint16))
    model = load_model("bundled")
    predictor = VideoPredictor(model, Runtime.auto("cpu", "float32"), PredictorOptions(**options))
    predictor.predict_frame(session, MaskPrompt(1, BIRTH, inside()))
    session.locks.limit(1, birth, None)
    head, scores = model.sam_mask_decoder.pred_obj_score_head, iter(range(BIRTH + 1, FRAMES))

    def verdict(_module, _inputs, score):
        return torch.full_like(score, -4.0 if next(scores) in absent else 4.0)

    predictor.commit(session)
    handle = head.register_forward_hook(verdict)
    list(predictor.propagate(session, PropagateOptions(direction="forward")))
    handle.remove()
    records = {t: session.masklets.record(1, t) for t in range(BIRTH, FRAMES)}
    doubted = [t for t, one in records.items() if one.object_score == SPARED_SCORE]
    assert set(doubted) <= absent
    return [t for t, one in records.items() if one.visible]


@pytest.mark.parametrize(
    ("absent", "gone"),
    [
        ({3}, []),
        ({4, 6, 9}, []),
        ({4, 5, 6}, [5, 6]),
        ({10}, [10]),  # pointers of the bundled network reach back over seven frames
    ],
)
def test_one_verdict_is_not_believed_while_birth_is_remembered(absent, gone) -> None:
    assert visible(absent) == [t for t in range(BIRTH, FRAMES) if t not in gone]


def test_others_and_the_rules_of_the_reference_believe_at_once() -> None:
    seen = [t for t in range(BIRTH, FRAMES) if t != 4]
    assert visible({4}, birth=None) == seen
    assert visible({4}, birth=BIRTH - 1) == seen, "no prompt says that it is there"
    assert visible({4}, spare_newborns=False) == seen
