"""How large the objects of a frame are, guessed without a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

__all__ = ["estimate_diameter"]


def estimate_diameter(rgb: NDArray[np.float32]) -> float:
    """Estimate the diameter of the typical object of a frame, in pixels.

    Parameters
    ----------
    rgb : ndarray, (H, W, 3)
        Intensities in 0 to 1.

    Returns
    -------
    float
        Twice the median of the largest inner radii of what Otsu's threshold separates; an eighth
        of the frame's shorter side where it separates nothing.
    """
    grey = ndimage.gaussian_filter(np.sqrt(rgb.mean(axis=-1).clip(0, 1)), 1.0)
    fallback = max(min(grey.shape) / 8, 3.0)
    if grey.max() <= grey.min():
        return fallback
    mask = grey > threshold_otsu(grey)
    if mask.mean() > 0.5:
        mask = ~mask
    distance = ndimage.distance_transform_edt(ndimage.binary_fill_holes(mask))
    regions, count = ndimage.label(distance > 0)
    radii = np.atleast_1d(ndimage.maximum(distance, regions, np.arange(1, count + 1)))
    radii = radii[radii > 2.5]
    return float(np.clip(2 * np.median(radii), 3.0, min(grey.shape))) if radii.size else fallback
