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
from napari_sam2.predictor.postprocess import stability_score
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.transforms import View

__all__ = ["Proposals", "propose"]

_STABLE_LOGIT = 0.5
"""Masks have few cells, so that larger steps of the threshold judge their size, not their rim."""
_ALIKE = 0.8
"""IoU from which on two points of a view have found the same."""


@dataclass(frozen=True)
class Proposals:
    """Masks of a view: logits (B, 4h, 4w) and what the network thinks of them, (B,)."""

    logits: Tensor
    ious: Tensor
    scores: Tensor

    def rows(self, index: Tensor) -> Proposals:
        """Return some of them."""
        return Proposals(self.logits[index], self.ious[index], self.scores[index])

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
    boxed = torch.stack([_box_and_centre(one, view.input_size) for one in first.logits])
    labels = np.tile([BOX_START, BOX_END, POSITIVE], (len(boxed), 1))
    refined = _decode(network, features, boxed, labels, many=False)
    found = Proposals(refined.logits[:, 0], refined.iou.flatten(), refined.object_score[:, 0])
    return found.good(options.least_iou)


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


def _box_and_centre(logits: Tensor, input_size: tuple[int, int]) -> Tensor:
    """Return both corners and the innermost point of a mask in input pixels, (3, 2), x first."""
    mask = (logits > 0).cpu().numpy()
    scale = input_size[0] / mask.shape[0], input_size[1] / mask.shape[1]
    ys, xs = np.nonzero(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = divmod(int(depth.argmax()), mask.shape[1])
    corners = [(ys.min(), xs.min()), (ys.max() + 1, xs.max() + 1), (y + 0.5, x + 0.5)]
    rows = [(cx * scale[1] - 0.5, cy * scale[0] - 0.5) for cy, cx in corners]
    return torch.tensor(rows, dtype=torch.float32)
