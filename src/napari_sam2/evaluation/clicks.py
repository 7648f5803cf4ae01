"""Simulated clicks: where a careful user would put them, without chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.evaluation.metrics import BoolMask

PointYX = tuple[float, float]
BoxYXYX = tuple[float, float, float, float]


def innermost_point(mask: BoolMask) -> PointYX:
    """Return the pixel of the mask that is farthest from its border.

    Parameters
    ----------
    mask : bool array, (H, W)
        Non-empty; the border of the frame counts as a border.

    Returns
    -------
    (y, x) : float
        A pixel centre, in pixels. Of several equals, the one nearest to their mean, so that
        the click sits in the middle of a straight body and not at its first end.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no innermost point; give a mask with pixels")
    y0, x0, y1, x1 = (int(value) for value in box_of(mask))
    crop = np.pad(mask[y0 : y1 + 1, x0 : x1 + 1], 1)
    distance = ndimage.distance_transform_edt(crop)
    ties = np.argwhere(distance >= distance.max() - 1e-6)
    best = ties[((ties - ties.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return float(best[0] - 1 + y0), float(best[1] - 1 + x0)


def corrective_click(mask: BoolMask, truth: BoolMask) -> tuple[PointYX, bool] | None:
    """Return the click that corrects the largest error.

    Parameters
    ----------
    mask, truth : bool array, (H, W)
        The answer so far, and the true mask.

    Returns
    -------
    ((y, x), positive) or None
        The innermost point of the largest connected error region; positive where the answer
        misses something, negative where it has too much. None where there is no error.
    """
    missing, surplus = _largest_region(truth & ~mask), _largest_region(mask & ~truth)
    if not missing.any() and not surplus.any():
        return None
    positive = bool(missing.sum() >= surplus.sum())
    return innermost_point(missing if positive else surplus), positive


def box_of(mask: BoolMask) -> BoxYXYX:
    """Return the tight box of a non-empty mask as pixel centres ``(y0, x0, y1, x1)``."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not ys.size:
        raise ValueError("an empty mask has no box; give a mask with pixels")
    return float(ys[0]), float(xs[0]), float(ys[-1]), float(xs[-1])


def _largest_region(mask: BoolMask) -> BoolMask:
    """Keep the largest connected region of a mask."""
    regions: NDArray[np.int32]
    regions, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return regions == int(sizes.argmax())
