"""Objects of a stack that fall into two, as seen from above."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_sam2.masklets import MaskRecord
from napari_sam2.tracking.projection import flattened
from napari_sam2.tracking.regions import Region
from napari_sam2.tracking.splitting import halves

__all__ = ["stack_halves"]

Slices = dict[int, MaskRecord]


def stack_halves(slices: Mapping[int, MaskRecord]) -> tuple[Slices, Slices] | None:
    """Part the masks of an object at one time.

    Parameters
    ----------
    slices : mapping of int to MaskRecord
        By plane, as `planes.PlaneGrid` numbers them.

    Returns
    -------
    (dict, dict) or None
        The masks of the two halves by plane, the larger one first; None if it is in one piece.
    """
    region = Region.of(1, 0, slices)
    parts = None if region is None else halves(flattened(region))
    if region is None or parts is None:
        return None
    first, second = (_within(region, part) for part in parts)
    return first, second


def _within(region: Region, part: MaskRecord) -> Slices:
    """Return what of each slice lies in a part of the mask that is seen from above."""
    z0, y0, x0, *_ = region.box
    pixels = region.crop()
    inside = np.zeros(pixels.shape[1:], bool)
    top, left, bottom, right = part.bbox
    inside[top - y0 : bottom - y0, left - x0 : right - x0] = part.crop()
    found = {}
    for plane, record in region.slices:
        mask = pixels[plane - z0] & inside
        if mask.any():
            score = record.object_score
            found[plane] = MaskRecord.from_mask(mask, object_score=score, origin=(y0, x0))
    return found
