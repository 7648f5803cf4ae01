"""J and F of packed masks, looking only at the part of the frame where either of them is."""

from __future__ import annotations

import numpy as np

from napari_sam2.evaluation.boundary import boundary_measure, tolerance_in_pixels
from napari_sam2.evaluation.metrics import BoolMask, iou
from napari_sam2.masklets import MaskRecord


def region_and_boundary(
    answer: MaskRecord, truth: MaskRecord, shape: tuple[int, int]
) -> tuple[float, float]:
    """Return J and F of one object on one frame.

    Parameters
    ----------
    answer, truth : MaskRecord
        Either may be empty.
    shape : tuple of int
        Height and width of the frame: F's tolerance is a part of its diagonal.

    Returns
    -------
    j, f : float
        Exactly those of the whole frames.
    """
    if not answer.visible or not truth.visible:
        both = float(answer.visible == truth.visible)
        return both, both
    # One pixel more than the masks: an outline lies on both sides of it.
    boxes = np.array([answer.bbox, truth.bbox])
    y0, x0 = (int(max(low - 1, 0)) for low in boxes[:, :2].min(axis=0))
    y1, x1 = (
        int(min(high + 1, size)) for high, size in zip(boxes[:, 2:].max(axis=0), shape, strict=True)
    )
    found, true = (_cut(record, (y0, x0, y1, x1)) for record in (answer, truth))
    return iou(found, true), boundary_measure(found, true, tolerance_in_pixels(shape))


def _cut(record: MaskRecord, window: tuple[int, int, int, int]) -> BoolMask:
    """Return the part of a mask inside a window that holds all of it."""
    y0, x0, y1, x1 = window
    out = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    top, left, bottom, right = record.bbox
    out[top - y0 : bottom - y0, left - x0 : right - x0] = record.crop()
    return out
