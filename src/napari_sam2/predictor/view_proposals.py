"""Masks that the network proposes at points of a view: which are good, and which are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_sam2.model.outputs import ImageFeatures, MaskPrediction
from napari_sam2.model.prompt_encoder import BOX_END, BOX_START, POSITIVE
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.automatic_options import FindOptions
from napari_sam2.predictor.postprocess import keep_pieces, stability_score
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.transforms import View

__all__ = ["Proposals", "propose"]

_STABLE_LOGIT = 0.5
"""Masks have few cells, so that larger steps of the threshold judge their size, not their rim."""
_ALIKE = 0.8
"""IoU from which on two points of a view have found the same."""
_WHOLE = 0.75
"""Part of a mask from which on a second look has found all of it."""
_AS_THICK = 0.5
"""Depth of what a second look left over, as a part of what it took, that may be an object too."""


@dataclass(frozen=True)
class Proposals:
    """Masks of a view: logits (B, 4h, 4w) and what the network thinks of them, (B,)."""

    logits: Tensor
    ious: Tensor
    scores: Tensor

    def rows(self, index: Tensor) -> Proposals:
        """Return some of them."""
        return Proposals(self.logits[index], self.ious[index], self.scores[index])

    def joined(self, others: Proposals) -> Proposals:
        """Return these and then others."""
        pairs = (self.logits, others.logits), (self.ious, others.ious), (self.scores, others.scores)
        return Proposals(*(torch.cat(pair) for pair in pairs))

    def good(self, least_iou: float) -> Proposals:
        """Return those that are there at all, and that the network is sure of."""
        there = (self.logits > 0).any(-1).any(-1) & (self.scores > 0)
        return self.rows((there & (self.ious >= least_iou)).nonzero().flatten())

    def stable(self, least: float) -> Proposals:
        """Return those that hardly depend on where the logits are cut."""
        score = stability_score(self.logits, _STABLE_LOGIT)
        return self.rows((score >= least).nonzero().flatten())

    def distinct(self) -> Proposals:
        """Return the surest of alike ones only."""
        masks = (self.logits > 0).flatten(1).float()
        shared = masks @ masks.T
        areas = masks.sum(1)
        iou = shared / (areas[:, None] + areas - shared).clamp(min=1)
        kept: list[int] = []
        for row in self.ious.argsort(descending=True).tolist():
            if not kept or float(iou[row, kept].max()) < _ALIKE:
                kept.append(row)
        return self.rows(torch.tensor(kept, dtype=torch.int64, device=self.ious.device))


@torch.inference_mode()
def propose(
    network: tuple[SAM2, Runtime],
    features: ImageFeatures,
    view: View,
    points: NDArray[np.float64],
    options: FindOptions,
) -> Proposals:
    """Ask at points, drop bad answers, and ask again with the boxes and centres of the others.

    An answer to a point may be two objects that touch, and the second look takes one of them:
    what it leaves over is asked for as well.

    Parameters
    ----------
    network : (SAM2, Runtime)
    features : ImageFeatures
        Of the view, (1, ...) each; all points share them.
    view : View
    points : ndarray, (P, 2) float
        Frame coordinates (y, x).
    options : FindOptions

    Returns
    -------
    Proposals
    """
    labels = np.full((len(points), 1), POSITIVE)
    answers = _decode(network, features, view.to_input_xy(points)[:, None], labels, many=True)
    rows = torch.arange(len(points), device=answers.ious.device)
    best = answers.ious.argmax(1)
    first = Proposals(
        answers.candidates[rows, best], answers.ious[rows, best], answers.object_score[:, 0]
    )
    first = first.good(options.first_iou).stable(options.least_stability).distinct()
    if not len(first.ious):
        return first
    masks = first.logits > 0
    found = _refine(network, features, view, masks)
    good = found.good(options.least_iou)
    rest = _left_over(masks, found.logits > 0, good.logits > 0)
    return good.joined(_refine(network, features, view, rest).good(options.least_iou))


def _refine(
    network: tuple[SAM2, Runtime], features: ImageFeatures, view: View, masks: Tensor
) -> Proposals:
    """Ask for masks (B, 4h, 4w) by their boxes and centres; answers are in one piece."""
    if not len(masks):
        none = torch.zeros(0, device=masks.device)
        return Proposals(torch.zeros(masks.shape, device=masks.device), none, none)
    boxed = torch.stack([_box_and_centre(one, view.input_size) for one in masks])
    labels = np.tile([BOX_START, BOX_END, POSITIVE], (len(boxed), 1))
    refined = _decode(network, features, boxed, labels, many=False)
    whole = torch.stack([_one_piece(one.float()) for one in refined.logits[:, 0]])
    return Proposals(whole, refined.iou.flatten(), refined.object_score[:, 0])


def _left_over(masks: Tensor, found: Tensor, good: Tensor) -> Tensor:
    """Return what is left of masks (B, 4h, 4w) of which second looks found a part only.

    Parameters
    ----------
    masks : Tensor, (B, 4h, 4w) bool
    found : Tensor, (B, 4h, 4w) bool
        What was found of each.
    good : Tensor, (G, 4h, 4w) bool
        Those that are kept; what they cover is not left.
    """
    free = ~good.any(0)
    rest = []
    for one, mask in zip(found, masks, strict=True):
        if _part(one, mask) >= _WHOLE:
            continue
        left = _one_piece((mask & free).float()) > 0
        if _depth(left).max() >= _AS_THICK * _depth(one).max() > 0:
            rest.append(left)
    return torch.stack(rest) if rest else masks[:0]


def _part(found: Tensor, mask: Tensor) -> float:
    """Return how much of a mask was found."""
    return float((found & mask).sum() / mask.sum())


def _one_piece(logits: Tensor) -> Tensor:
    """Return logits (H, W) of the largest piece alone."""
    return keep_pieces(logits, np.zeros((0, 2), np.int64))


def _decode(
    network: tuple[SAM2, Runtime],
    features: ImageFeatures,
    xy: Tensor,
    labels: NDArray[np.int64],
    *,
    many: bool,
) -> MaskPrediction:
    model, runtime = network
    with runtime.autocast():
        conditioned = model.attend_memory(features, None)
        given = xy.to(runtime.device), torch.from_numpy(labels).to(runtime.device)
        prompts = model.encode_prompts(*given, None, features.grid)
        return model.decode_masks(conditioned, features, prompts, many)


def _depth(mask: Tensor) -> NDArray[np.float64]:
    """Return how far from the rim of a mask (H, W) its cells are; outside the view is rim."""
    padded = np.pad(mask.cpu().numpy(), 1)
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    return depth


def _box_and_centre(mask: Tensor, input_size: tuple[int, int]) -> Tensor:
    """Return both corners and the innermost point of a mask in input pixels, (3, 2), x first."""
    depth = _depth(mask)
    scale = input_size[0] / mask.shape[0], input_size[1] / mask.shape[1]
    ys, xs = np.nonzero(depth)
    y, x = divmod(int(depth.argmax()), mask.shape[1])
    corners = [(ys.min(), xs.min()), (ys.max() + 1, xs.max() + 1), (y + 0.5, x + 0.5)]
    rows = [(cx * scale[1] - 0.5, cy * scale[0] - 0.5) for cy, cx in corners]
    return torch.tensor(rows, dtype=torch.float32)
