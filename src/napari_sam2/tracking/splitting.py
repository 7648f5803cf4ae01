"""Masks that fall into two: the halves of one object that are its daughters."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_sam2.masklets import MaskRecord

__all__ = ["halves"]

CORE = 0.6
"""Of the depth of a mask: pixels deeper than this part of it are the cores of its halves."""

_TOUCHING = np.ones((3, 3), bool)


def halves(record: MaskRecord, similarity: float = 0.4) -> tuple[MaskRecord, MaskRecord] | None:
    """Part a mask that is two pieces, or two lobes with a waist.

    Parameters
    ----------
    record : MaskRecord
    similarity : float
        Least area of the smaller half as a part of the larger one.

    Returns
    -------
    (MaskRecord, MaskRecord) or None
        The larger one first; together they have every pixel of the mask. None if it is in one
        piece, or if its pieces differ too much to be daughters.
    """
    if not record.visible:
        return None
    pixels = np.pad(record.crop(), 1)
    seeds = _two_largest(pixels, similarity)
    if seeds is None:
        depth = ndimage.distance_transform_edt(pixels)
        seeds = _two_largest(depth > CORE * depth.max(), similarity)
    if seeds is None:
        return None
    # Each pixel goes to the half that is nearer: specks find their owner, and lobes part at the
    # waist.
    distances = [ndimage.distance_transform_edt(~seed) for seed in seeds]
    is_second = distances[1] < distances[0]
    parts = [pixels & ~is_second, pixels & is_second]
    areas = [int(part.sum()) for part in parts]
    if min(areas) < similarity * max(areas):
        return None
    parts.sort(key=lambda part: -int(part.sum()))
    larger, smaller = (_record(part, record) for part in parts)
    return larger, smaller


def _two_largest(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], similarity: float
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] | None:
    """Return the two largest pieces if they are of similar size."""
    labels, count = ndimage.label(pixels, _TOUCHING)
    if count < 2:
        return None
    areas = np.bincount(labels.ravel())[1:]
    second, first = np.argsort(areas)[-2:]
    if areas[second] < similarity * areas[first]:
        return None
    return [labels == 1 + first, labels == 1 + second]


def _record(part: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], whole: MaskRecord) -> MaskRecord:
    """Pack a half, which lies in the padded box of its mask."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    crop = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    origin = (whole.bbox[0] + int(rows[0]) - 1, whole.bbox[1] + int(columns[0]) - 1)
    return MaskRecord.from_mask(crop, object_score=whole.object_score, origin=origin)
