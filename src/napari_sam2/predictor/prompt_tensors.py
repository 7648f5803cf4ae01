"""Prompts of an object on a frame as the tensors that the network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.model.prompt_encoder import BOX_END, BOX_START, NEGATIVE, POSITIVE
from napari_sam2.predictor.transforms import View
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt


@dataclass(frozen=True, slots=True)
class Geometry:
    """Prompts of one object on one frame, sorted by kind, in frame coordinates.

    Attributes
    ----------
    points : ndarray, (P, 2) float
        (y, x); the two corners of a box come first.
    labels : ndarray, (P,) int
        What each point is, as the prompt encoder counts.
    mask : MaskPrompt or None
        A mask prompt; then there are no points.
    candidate : int or None
        The mask that the user chose for the only click.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    mask: MaskPrompt | None = None
    candidate: int | None = None

    @classmethod
    def of(cls, prompts: Sequence[Prompt]) -> Geometry:
        """Sort prompts by kind."""
        points: list[tuple[float, float]] = []
        labels: list[int] = []
        mask: MaskPrompt | None = None
        for prompt in sorted(prompts, key=lambda p: not isinstance(p, BoxPrompt)):
            match prompt:
                case BoxPrompt(yxyx=(y0, x0, y1, x1)):
                    points += [(y0, x0), (y1, x1)]
                    labels += [BOX_START, BOX_END]
                case PointPrompt(yx=yx, positive=positive):
                    points.append(yx)
                    labels.append(POSITIVE if positive else NEGATIVE)
                case MaskPrompt():
                    mask = prompt
        click = only_click(prompts)
        candidate = None if click is None else click.candidate
        array = np.array(points, float).reshape(-1, 2)
        return cls(array, np.array(labels, np.int64), mask, candidate)

    @property
    def is_ambiguous(self) -> bool:
        """Whether the network should offer several masks: one point or none."""
        return len(self.labels) <= 1

    @property
    def bbox(self) -> tuple[int, int, int, int] | None:
        """Box that the object is known to fill, in frame edges; None for points alone."""
        if self.mask is not None:
            return self.mask.bbox
        corners = self.points[np.isin(self.labels, (BOX_START, BOX_END))]
        if len(corners) == 0:
            return None
        (y0, x0), (y1, x1) = corners
        return int(np.floor(y0)), int(np.floor(x0)), int(np.ceil(y1)) + 1, int(np.ceil(x1)) + 1

    def tensors(self, view: View, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return points (1, P, 2) in input pixels, x first, and their labels (1, P)."""
        xy = view.to_input_xy(self.points)
        if view.is_mirrored:
            # Left is where a box begins: its corners exchange their columns.
            corners = np.flatnonzero(np.isin(self.labels, (BOX_START, BOX_END)))
            xy[corners, 0] = xy[corners.reshape(-1, 2)[:, ::-1].ravel(), 0]
        return xy[None].to(device), torch.from_numpy(self.labels)[None].to(device)


def only_click(prompts: Sequence[Prompt]) -> PointPrompt | None:
    """Return the click where it is all that was said: then the network offers several masks."""
    if len(prompts) == 1 and isinstance(prompts[0], PointPrompt):
        return prompts[0]
    return None
