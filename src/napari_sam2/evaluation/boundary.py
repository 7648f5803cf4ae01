"""How well outlines agree: the boundary measure F of the DAVIS benchmark.

Definition: Perazzi et al., "A benchmark dataset and evaluation methodology for video object
segmentation" (2016). J of the same benchmark is `metrics.iou`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.evaluation.metrics import BoolMask

TOLERANCE = 0.008
"""How far an outline may be off, as a part of the diagonal of the frame."""


def tolerance_in_pixels(shape: tuple[int, ...], part: float = TOLERANCE) -> int:
    """Return the tolerance of the boundary measure for frames of a shape (H, W), in pixels."""
    return math.ceil(part * math.hypot(*shape))


def outline(mask: BoolMask) -> BoolMask:
    """Return the pixels (H, W) that differ from the next one to the right, below or diagonally.

    The edge of the frame is no outline: what lies beyond it is not known.
    """
    following = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return np.asarray(
        (mask != following[:-1, 1:]) | (mask != following[1:, :-1]) | (mask != following[1:, 1:])
    )


def boundary_measure(mask: BoolMask, truth: BoolMask, tolerance: int | None = None) -> float:
    """Return the boundary F-measure of a mask.

    Parameters
    ----------
    mask, truth : bool array, (H, W)
        Masks of one object on one frame.
    tolerance : int, optional
        Pixels that an outline may be off; 0.008 of the diagonal of the frame by default.

    Returns
    -------
    float
        In 0..1: harmonic mean of the share of the answer's outline that lies near the true one
        (precision) and the share of the true outline that lies near the answer's (recall).
        1.0 where neither has an outline, 0.0 where only one has.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if mask.shape != truth.shape:
        raise ValueError(
            f"masks of shape {mask.shape} and {truth.shape} cannot be compared; "
            "bring both to the frame's shape"
        )
    radius = tolerance_in_pixels(mask.shape) if tolerance is None else tolerance
    found, true = outline(mask), outline(truth)
    if not found.any() or not true.any():
        return float(found.any() == true.any())
    precision = np.count_nonzero(found & widened(true, radius)) / np.count_nonzero(found)
    recall = np.count_nonzero(true & widened(found, radius)) / np.count_nonzero(true)
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def widened(lines: BoolMask, radius: int) -> NDArray[np.bool_]:
    """Dilate by a disk: all pixels within `radius` of a line, found by their distance to it."""
    return np.asarray(ndimage.distance_transform_edt(~lines) <= radius)
