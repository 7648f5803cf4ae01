"""Rows of a batch: what an object brings to a frame, and what the network says of it there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from napari_sam2.predictor.memory_bank import Center, FrameMemory, Selection
from napari_sam2.predictor.motion import Expected
from napari_sam2.predictor.transforms import View

__all__ = ["Remembered", "Tracked"]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One object's part of a batch: what it attends to, in the view of this frame."""

    object_id: int
    view: View
    selection: Selection
    memories: dict[int, FrameMemory]
    center: Center | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of spatial memories and of pointers; rows of a batch share it."""
        return len(self.selection.spatial), len(self.selection.pointers)

    def expecting(self, expected: Expected | None) -> Remembered:
        """Return the same with where the object should be; None looks where it was."""
        return self if expected is None else replace(self, center=expected.center)


@dataclass(frozen=True, slots=True)
class Tracked:
    """The network's answer for one object on one frame: one row of a prediction."""

    object_id: int
    view: View
    logits: Tensor
    iou: float
    object_score: float
