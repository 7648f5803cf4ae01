"""Losses: their values where those are known, and what they leave alone."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.training.losses import (
    Answer,
    answer_loss,
    balanced_loss,
    dice_loss,
    focal_loss,
    grow,
    mask_iou,
    near_weights,
    soft_target,
)
from napari_sam2.training.schedule import LossWeights

WEIGHTS = LossWeights(focal=20.0, balanced=1.0, others=0.0)


def square(side: int, low: int, high: int) -> torch.Tensor:
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[:, low:high, low:high] = True
    return mask


def answer(truth: torch.Tensor, gain: float = 20.0) -> Answer:
    """Return an answer that is right for every token, (B, 4, h, w) at a quarter of the size."""
    target = soft_target(truth, (truth.shape[-2] // 4, truth.shape[-1] // 4))
    logits = ((target - 0.5) * gain)[:, None].repeat(1, 4, 1, 1)
    present = truth.flatten(1).any(1, keepdim=True)
    return Answer(logits, torch.ones(len(truth), 4), torch.where(present, 10.0, -10.0))


def test_soft_target_is_the_share_of_true_pixels() -> None:
    target = soft_target(square(8, 0, 6), (2, 2))
    assert torch.allclose(target[0], torch.tensor([[1.0, 0.5], [0.5, 0.25]]))


def test_focal_loss_of_undecided_logits_is_the_formula() -> None:
    logits = torch.zeros(1, 2, 2)
    target = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    # p = 0.5 everywhere: (1 - p)^2 * -log(p), weighted 0.25 inside and 0.75 outside.
    expected = 0.25 * torch.tensor(2.0).log() * (0.25 + 3 * 0.75) / 4
    assert torch.allclose(focal_loss(logits, target, alpha=0.25), expected)


@pytest.mark.parametrize(("logit", "expected"), [(30.0, 0.0), (-30.0, 1.0 - 1.0 / 5.0)])
def test_dice_loss_of_a_full_mask(logit: float, expected: float) -> None:
    loss = dice_loss(torch.full((1, 2, 2), logit), torch.ones(1, 2, 2))
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_near_weights_sum_to_one_and_favour_the_surroundings() -> None:
    target = square(64, 30, 34).float()
    weights = near_weights(target)
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert weights[0, 27, 31] == weights[0, 31, 31]
    assert weights[0, 0, 0] < weights[0, 31, 31] / 10


def test_balanced_loss_prefers_the_right_size() -> None:
    target = square(64, 24, 40).float()
    weights = near_weights(target)

    def loss(low: int, high: int) -> float:
        return balanced_loss((square(64, low, high).float() - 0.5) * 8, target, weights).item()

    assert loss(24, 40) < min(loss(23, 41), loss(25, 39))


def test_grow_reaches_as_far_as_asked_and_not_over_the_edge() -> None:
    assert grow(square(16, 6, 8), 2).sum() == 36
    assert grow(square(16, 0, 2), 2).sum() == 16


def test_iou_of_two_empty_masks_is_one() -> None:
    empty = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert mask_iou(empty, empty).item() == 1.0
    assert mask_iou(square(4, 0, 2), square(4, 1, 3)).item() == pytest.approx(1 / 7)


@pytest.mark.parametrize("upsample", [1, 2, 4])
def test_a_right_answer_costs_little_and_a_wrong_one_much(upsample: int) -> None:
    truth = square(256, 64, 128)
    weights = LossWeights(focal=20.0, balanced=1.0, upsample=upsample)
    right = answer_loss(answer(truth), truth, weights)
    wrong = answer_loss(answer(~truth), truth, weights)
    assert right.total.item() < 0.1
    assert right.parts["iou_chosen"] > 0.99
    assert wrong.total.item() > 10 * right.total.item()


def test_only_token_zero_and_the_best_candidate_get_mask_gradients() -> None:
    truth = square(64, 16, 32)
    good = answer(truth)
    logits = good.logits.clone()
    logits[:, [1, 3]] *= -1
    logits.requires_grad_()
    answer_loss(Answer(logits, good.ious, good.object_score), truth, WEIGHTS).total.backward()
    assert logits.grad is not None
    moved = logits.grad.abs().sum((0, 2, 3))
    assert (moved > 0).tolist() == [True, False, True, False]


def test_the_other_candidates_can_be_kept_from_drifting() -> None:
    truth = square(64, 16, 32)
    good = answer(truth, gain=2.0)
    logits = good.logits.clone().requires_grad_()
    weights = LossWeights(focal=0.0, balanced=1.0, others=0.25)
    answer_loss(Answer(logits, good.ious, good.object_score), truth, weights).total.backward()
    assert logits.grad is not None
    assert (logits.grad.abs().sum((0, 2, 3)) > 0).all()


def test_predicted_iou_is_supervised_for_every_candidate() -> None:
    truth = square(64, 16, 32)
    good = answer(truth)
    ious = torch.full((1, 4), 0.5, requires_grad=True)
    answer_loss(Answer(good.logits, ious, good.object_score), truth, WEIGHTS).total.backward()
    assert ious.grad is not None
    assert (ious.grad < 0).all()


def test_an_absent_object_teaches_presence_alone() -> None:
    truth = torch.zeros(2, 64, 64, dtype=torch.bool)
    logits = torch.randn(2, 4, 16, 16, requires_grad=True)
    score = torch.zeros(2, 1, requires_grad=True)
    terms = answer_loss(Answer(logits, torch.ones(2, 4), score), truth, WEIGHTS)
    terms.total.backward()
    assert score.grad is not None
    assert (score.grad > 0).all()
    assert logits.grad is None
    assert terms.parts["presence"] == pytest.approx(0.6931, abs=1e-3)


def test_contour_and_surroundings_and_the_rest_have_a_third_each() -> None:
    target = square(128, 40, 80).float()
    weights = near_weights(target)[0]
    band = torch.zeros(128, 128, dtype=torch.bool)
    band[38:82, 38:82] = True
    band[42:78, 42:78] = False
    assert weights[band].sum().item() == pytest.approx(1 / 3, abs=1e-4)
    assert weights[band].min() > 2 * weights[~band].max()


def test_an_absent_object_counts_by_its_weight_and_its_verdict_is_counted_apart() -> None:
    truth = torch.cat([square(64, 16, 32), torch.zeros(1, 64, 64, dtype=torch.bool)])
    good = answer(truth)
    score = torch.zeros(2, 1, requires_grad=True)
    weights = LossWeights(focal=0.0, balanced=1.0, others=0.0, iou=0.0, absent=3.0)
    terms = answer_loss(Answer(good.logits, good.ious, score), truth, weights)
    terms.total.backward()
    assert score.grad is not None
    assert score.grad[1, 0].item() == pytest.approx(-3 * score.grad[0, 0].item())
    assert terms.parts["seen_right"] == 0.0
    assert terms.parts["gone_right"] == 1.0


def test_predicted_iou_is_taught_the_iou_of_the_enlarged_mask() -> None:
    truth = square(256, 62, 128)  # half a cell of the decoder's masks above and left
    good = answer(truth)
    rough = answer_loss(good, truth, LossWeights(focal=0.0, balanced=1.0))
    fine = answer_loss(good, truth, LossWeights(focal=0.0, balanced=1.0, upsample=4))
    assert rough.parts["iou0"] == pytest.approx(1.0)
    assert 0.95 < fine.parts["iou0"] < 1.0
