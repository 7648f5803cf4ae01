"""Masks that have come apart: the cell that they show has divided.

Nothing tells the network whose daughter to follow, and mostly it follows both: the mask falls into
two halves of like size. Or it follows one of them and a piece of the other, which lies apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.newborns import is_newborn
from napari_sam2.predictor.session import VideoSession

__all__ = ["comes_apart"]

_SIDE = 128
"""Pixels from which on a mask is thinned out before it is looked at: halves are no small thing."""

# Chosen on synthetic movies that no network was trained on: of 300 masks with a piece apart, on
# cells that had not divided, none passes all of these.
_SURE = 0.7
"""Predicted IoU: less, and a mask in pieces is mostly a bad mask of one cell."""

_EVEN, _WHOLE = 0.4, 1.3
"""Part of the larger piece that the smaller one is, for both to be daughters; and times the area
of what was one cell that both may have. More, and a daughter has taken in her sister."""

_PIECE, _LEFT, _GAP = 0.1, 0.75, 0.4
"""Part of one daughter that a piece of the other is at least, part of what was one cell that one
daughter has at most, and the gap between both in sides of a square of the larger one's area."""


def comes_apart(
    session: VideoSession, object_id: int, place: tuple[int, int], record: MaskRecord
) -> bool:
    """Say whether the mask of an object on a frame is that of two daughters that lie apart.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    record : MaskRecord
        The mask there; visible.

    Returns
    -------
    bool
        Of a daughter never: her mask often takes in her sister for some frames.
    """
    frame, _ = place
    window = session.objects[object_id].bank.pointer_window
    earlier = (session.masklets.record(object_id, t) for t in range(frame - window, frame))
    most = max((one.area for one in earlier if one is not None), default=0)
    return not is_newborn(session, object_id, place) and _lies_apart(record, most)


def _lies_apart(record: MaskRecord, most: int) -> bool:
    """Say whether a mask is one daughter and the other, or a piece of her.

    Parameters
    ----------
    record : MaskRecord
        Visible.
    most : int
        Largest area that the object had on the frames before, in pixels.
    """
    if record.predicted_iou < _SURE:
        return False
    pieces = _Pieces.of(_thinned(record))
    if pieces is None:
        return False
    if pieces.smaller >= _EVEN * pieces.larger:
        return record.area <= _WHOLE * most
    is_left = pieces.larger * record.area <= _LEFT * most
    return is_left and pieces.smaller >= _PIECE * pieces.larger and pieces.gap >= _GAP


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The two largest pieces of a mask that is not in one.

    Attributes
    ----------
    larger, smaller : float
        Their parts of the area.
    gap : float
        Between both, in sides of a square of the larger one's area.
    """

    larger: float
    smaller: float
    gap: float

    @classmethod
    def of(cls, pixels: NDArray[np.bool_]) -> _Pieces | None:
        labels, count = ndimage.label(pixels, np.ones((3, 3), bool))
        if count < 2:
            return None
        areas = np.bincount(labels.ravel())[1:]
        second, first = np.argsort(areas)[-2:]
        away = ndimage.distance_transform_edt(labels != 1 + first)
        gap = float(away[labels == 1 + second].min()) / math.sqrt(areas[first])
        whole = areas.sum()
        return cls(float(areas[first] / whole), float(areas[second] / whole), gap)


def _thinned(record: MaskRecord) -> NDArray[np.bool_]:
    """Return the pixels of a mask in its box, every other one where there are many."""
    pixels = record.crop()
    step = max(1, max(pixels.shape) // _SIDE)
    return pixels[::step, ::step]
