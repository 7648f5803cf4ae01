"""Losses of masks, predicted IoU and presence, every one a mean over rows.

Rows are objects. All masks are compared at the resolution of the logits, or at a multiple of
it, against targets that are averages of the true pixels of each cell: a soft target at a cell
that the contour crosses places the zero of the upsampled logits where the contour is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from napari_sam2.training.schedule import LossWeights

_NEAR = 4  # cells of the decoder's masks around an object that count as near it


def soft_target(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return the share of true pixels in each cell.

    Parameters
    ----------
    masks : Tensor, (B, H, W) bool
    size : (int, int)
        Cells; must divide (H, W).

    Returns
    -------
    Tensor, (B, *size) float32 in 0..1
    """
    return F.adaptive_avg_pool2d(masks[:, None].float(), size)[:, 0]


def focal_loss(
    logits: torch.Tensor, target: torch.Tensor, *, alpha: float = 0.5, gamma: float = 2.0
) -> torch.Tensor:
    """Return the focal loss of every mask: Lin et al. 2017, mean over pixels.

    Both sides count alike (alpha 0.5): the usual 0.25 shrinks masks of which the network is not
    sure, and a network this small is unsure of much.

    Parameters
    ----------
    logits, target : Tensor, (..., h, w); target in 0..1

    Returns
    -------
    Tensor, (...)
    """
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    wrong = probability + target - 2.0 * probability * target  # 1 - p of the truth
    balance = alpha * target + (1.0 - alpha) * (1.0 - target)
    return (balance * wrong.pow(gamma) * cross).mean((-2, -1))


def dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return one minus the soft Dice overlap of every mask, (..., h, w) to (...)."""
    probability = logits.sigmoid()
    both = (probability * target).sum((-2, -1))
    total = probability.sum((-2, -1)) + target.sum((-2, -1))
    return 1.0 - (2.0 * both + 1.0) / (total + 1.0)


def near_weights(target: torch.Tensor) -> torch.Tensor:
    """Return pixel weights, (B, h, w), that sum to one and favour contours.

    A third of the weight lies on a narrow band along the contour, a third on the object and what
    is near it, and the rest is spread over everything farther away. Within each third it is
    even, so that neither side of a contour is preferred.
    """
    scale = max(1, target.shape[-1] // 64)
    near = grow(target > 0, _NEAR * scale)
    contour = grow(target > 0.5, scale) & grow(target <= 0.5, scale)
    regions = (contour, near & ~contour, ~near)
    shares = []
    for region in regions:
        count = region.sum((-2, -1), keepdim=True).clamp(min=1)
        shares.append(region / (count * len(regions)))
    return torch.stack(shares).sum(0)


def grow(region: torch.Tensor, steps: int) -> torch.Tensor:
    """Add everything within `steps` rows and columns of a region, (B, h, w) bool.

    Slices of bits, because a maximum over windows takes a hundred times longer on a CPU.
    """
    for axis in (1, 2):
        for _ in range(steps):
            size = region.shape[axis]
            grown = region.clone()
            grown.narrow(axis, 1, size - 1).logical_or_(region.narrow(axis, 0, size - 1))
            grown.narrow(axis, 0, size - 1).logical_or_(region.narrow(axis, 1, size - 1))
            region = grown
    return region


def balanced_loss(
    logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy of every mask under pixel weights that sum to one."""
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (cross * weights).sum((-2, -1))


def mask_iou(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the IoU of boolean masks, (..., h, w) to (...); two empty masks agree fully."""
    both = (predicted & truth).sum((-2, -1)).float()
    either = (predicted | truth).sum((-2, -1)).float()
    return torch.where(either > 0, both / either.clamp(min=1.0), torch.ones_like(both))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the decoder said about every row.

    Attributes
    ----------
    logits : Tensor, (B, M, h, w); token 0 first, then the candidates
    ious : Tensor, (B, M), predicted
    object_score : Tensor, (B, 1)
    """

    logits: torch.Tensor
    ious: torch.Tensor
    object_score: torch.Tensor

    def rows(self, index: torch.Tensor) -> Answer:
        """Return the answer about some rows."""
        return Answer(self.logits[index], self.ious[index], self.object_score[index])


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The weighted sum, with a gradient, and what it is made of, without, for the log.

    The parts stay on the device: reading each would make a GPU wait for the next kernel.
    """

    total: torch.Tensor
    parts: dict[str, torch.Tensor]


def answer_loss(answer: Answer, truth: torch.Tensor, weights: LossWeights) -> LossTerms:
    """Return the loss of one answer.

    Presence counts for every row, masks and predicted IoU only for rows whose object is on the
    frame. Token 0 always has its mask supervised, of the candidates the one that fits best;
    the others only by the small weight `others`, so that choosing wrongly costs little while
    the predicted IoU, which is supervised for all of them, is still learning to rank.

    Parameters
    ----------
    answer : Answer
    truth : Tensor, (B, H, W) bool
    weights : LossWeights
    """
    present = truth.flatten(1).any(1)  # (B,)
    presence, parts = _presence_terms(answer.object_score[:, 0].float(), present, weights.absent)
    total = weights.presence * presence
    rows = present.nonzero()[:, 0]
    if len(rows) > 0:
        masks, more = _mask_terms(
            answer.logits[rows].float(), answer.ious[rows].float(), truth[rows], weights
        )
        # Rows without an object carry no mask loss, but the mean stays one over all rows, so
        # that a batch with one object left does not count as much as a full one.
        total = total + masks * (len(rows) / len(truth))
        parts |= more
    parts["loss"] = total.detach()
    return LossTerms(total, parts)


def _presence_terms(
    score: torch.Tensor, present: torch.Tensor, absent_weight: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the cross-entropy of presence, and how often each of the two verdicts is right.

    A verdict that no row asks for has no share: it is NaN.
    """
    each = F.binary_cross_entropy_with_logits(score, present.float(), reduction="none")
    # Most objects are there on most frames: without a weight, always saying so pays.
    loss = torch.where(present, each, absent_weight * each).mean()
    parts = {"presence": loss.detach()}
    for name, rows in (("seen_right", present), ("gone_right", ~present)):
        right = ((score > 0) == present) & rows
        parts[name] = right.sum() / rows.sum()
    return loss, parts


def _mask_terms(
    logits: torch.Tensor, ious: torch.Tensor, truth: torch.Tensor, weights: LossWeights
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return mask and IoU loss of rows with an object, and their parts."""
    cells = (logits.shape[-2] * weights.upsample, logits.shape[-1] * weights.upsample)
    target = soft_target(truth, cells)
    actual, best = _fit(logits, target)
    index = torch.arange(len(logits), device=logits.device)
    pair = torch.stack([logits[:, 0], logits[index, best]], dim=1)  # (B, 2, h, w)
    total, parts = _pair_terms(_enlarge(pair, cells), target, weights)
    if weights.others > 0:
        total = total + weights.others * _others_term(logits[:, 1:], truth)
    iou_error = (ious - actual).abs().mean()
    chosen = ious[:, 1:].argmax(1) + 1
    parts |= {
        "iou_error": iou_error.detach(),
        "iou0": actual[:, 0].mean(),
        "iou_best": actual[index, best].mean(),
        "iou_chosen": actual[index, chosen].mean(),
    }
    return total + weights.iou * iou_error, parts


def _others_term(candidates: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the mean dice loss of all candidates, (B, M, h, w)."""
    height, width = candidates.shape[-2:]
    target = soft_target(truth, (height, width))[:, None].expand_as(candidates)
    return dice_loss(candidates, target).mean()


def _enlarge(logits: torch.Tensor, cells: tuple[int, int]) -> torch.Tensor:
    """Interpolate (B, M, h, w) as the predictor does."""
    if logits.shape[-2:] == cells:
        return logits
    return F.interpolate(logits, size=cells, mode="bilinear", align_corners=False)


@torch.no_grad()
def _fit(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the IoU of every mask, (B, M), and the candidate of the lowest dice loss, (B,).

    The IoU is that of the enlarged masks: what it predicts is what is chosen by.
    """
    cells = (int(target.shape[-2]), int(target.shape[-1]))
    target = target[:, None]  # (B, 1, h, w)
    logits = _enlarge(logits, cells)
    actual = mask_iou(logits > 0, target > 0.5)
    candidates = logits[:, 1:]
    best = dice_loss(candidates, target.expand_as(candidates)).argmin(1) + 1
    return actual, best


def _pair_terms(
    pair: torch.Tensor, target: torch.Tensor, weights: LossWeights
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the mask losses of token 0 and of the best candidate, (B, 2, h, w), summed."""
    both = target[:, None].expand_as(pair)
    dice = dice_loss(pair, both).mean(0)  # (2,)
    total = weights.dice * dice.sum()
    parts = {"dice0": dice[0].detach(), "dice": dice[1].detach()}
    if weights.balanced > 0:
        balanced = balanced_loss(pair, both, near_weights(target)[:, None]).mean(0)
        total = total + weights.balanced * balanced.sum()
        parts["balanced"] = balanced[1].detach()
    if weights.focal > 0:
        focal = focal_loss(pair, both).mean(0)
        total = total + weights.focal * focal.sum()
        parts["focal"] = focal[1].detach()
    return total, parts
