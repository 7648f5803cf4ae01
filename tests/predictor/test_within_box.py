"""A drawn box holds its object."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.predictor.within_box import within_box
from napari_sam2.prompts import BoxPrompt, PointPrompt

CORNERS = np.array([[8.0, 10.0], [24.0, 26.0]])


def mask_of(rows: slice, columns: slice, logit: float = 6.0) -> torch.Tensor:
    mask = torch.full((32, 32), -logit)
    mask[rows, columns] = logit
    return mask


def prediction(mask: torch.Tensor) -> MaskPrediction:
    return MaskPrediction(
        logits=mask[None, None],
        candidates=mask[None, None],
        ious=torch.tensor([[0.8]]),
        best=torch.tensor([0]),
        object_score=torch.tensor([[3.0]]),
        pointer=torch.zeros(1, 4),
        tokens=torch.zeros(1, 1, 4),
    )


def held(masks: list[torch.Tensor], *, is_alone: bool = True) -> torch.Tensor:
    answer = within_box(prediction(masks[0]), torch.stack(masks[1:]), CORNERS, is_alone)
    assert torch.equal(answer.logits[:, 0], answer.candidates[:, 0])
    return answer.logits[0, 0] > 0


def test_what_spills_over_the_box_is_cut_off():
    whole = held([mask_of(slice(2, 30), slice(4, 31))] * 4)
    expected = mask_of(slice(8, 24), slice(10, 26)) > 0
    assert bool((whole[8:24, 10:26]).all())
    # What it is very sure of goes on for a cell or two: boxes are drawn by hand.
    assert int((whole & ~expected).sum()) <= 20 * 20 - 16 * 16
    assert not bool(held([mask_of(slice(2, 30), slice(4, 31), 1.0)] * 4)[:7].any())


def test_a_mask_that_fits_the_box_outvotes_larger_ones():
    fitting = mask_of(slice(8, 24), slice(10, 26))
    fitting[8:11, 10:13] = -6.0  # the object is round
    larger = mask_of(slice(0, 32), slice(0, 32))
    found = held([larger, fitting, larger])
    assert torch.equal(found, fitting > 0)
    # With clicks the answer is the decoder's, held in the box.
    clicked = held([larger, fitting, larger], is_alone=False)
    assert bool(clicked[8:11, 10:13].all())


def test_what_lies_aslant_leaves_the_corners_of_its_box():
    aslant = mask_of(slice(0, 0), slice(0, 0))
    for step in range(16):
        aslant[8 + step, 10 + max(0, step - 2) : 10 + min(16, step + 3)] = 6.0
    aslant[:10], aslant[22:] = -6.0, -6.0  # its tips are missing, so its box fits less
    filled = mask_of(slice(8, 24), slice(10, 26))
    assert torch.equal(held([aslant, filled, filled, filled]), aslant > 0)


def test_doubt_in_the_middle_of_the_box_is_the_objects():
    unsure = torch.full((32, 32), -0.5)
    found = held([unsure] * 4)
    rows, columns = np.nonzero(found.numpy())
    assert found[16, 18]
    assert np.hypot(rows + 0.5 - 16, columns + 0.5 - 18).max() < 8
    assert not bool(held([unsure] * 4, is_alone=False).any())


@pytest.fixture(scope="module")
def predictor() -> VideoPredictor:
    return VideoPredictor(load_model(), Runtime.auto("cpu"), PredictorOptions(view="follow"))


@pytest.fixture
def pair() -> np.ndarray:
    """Two bright cells that touch."""
    y, x = np.indices((96, 128))
    cells = (np.hypot(y - 48, x - 48) < 14) | (np.hypot(y - 48, x - 74) < 14)
    noise = np.random.default_rng(0).normal(100, 8, cells.shape)
    return (noise + 300 * cells).astype(np.uint16)[None]


def test_half_of_a_body_is_taken_where_its_box_ends(predictor, pair):
    session = VideoSession.open(pair)
    box = (34.0, 34.0, 62.0, 61.0)
    mask = predictor.predict_frame(session, BoxPrompt(1, 0, box)).objects[0].record
    y0, x0, y1, x1 = mask.bbox
    assert mask.area > 500
    assert (y0, x0) >= (33, 33)
    assert y1 <= 64
    assert x1 <= 63
    # A click beside what was taken corrects it, and the box still holds.
    clicked = predictor.predict_frame(session, PointPrompt(1, 0, (36.0, 36.0), False))
    assert clicked.objects[0].record.bbox[3] <= 63


def test_a_click_outside_of_the_box_says_that_it_is_too_small(predictor, pair):
    session = VideoSession.open(pair)
    predictor.predict_frame(session, BoxPrompt(1, 0, (34.0, 34.0, 62.0, 61.0)))
    grown = predictor.predict_frame(session, PointPrompt(1, 0, (48.0, 74.0)))
    assert grown.objects[0].record.mask((96, 128))[48, 74]
