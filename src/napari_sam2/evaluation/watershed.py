"""Cells by thresholding and watershed: the classical segmentation of one frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.metrics import BoolMask

Threshold = Literal["global", "local"]
GreyImage = NDArray[np.float32]

LOCAL_WINDOW = 51
"""Pixels across the window of the local threshold; about two small nuclei or one large."""


@dataclass
class Watershed:
    """Segments frames of one movie at a time, each of them once.

    Parameters
    ----------
    threshold : {"global", "local"}
        See `foreground`.
    """

    threshold: Threshold = "global"
    _movie: AnnotatedMovie | None = field(default=None, init=False, repr=False)
    _labels: dict[int, NDArray[np.uint16]] = field(default_factory=dict, init=False, repr=False)

    def labels(self, movie: AnnotatedMovie, frame: int) -> NDArray[np.uint16]:
        """Return the label image (H, W) of a frame; not to be written to."""
        if self._movie is not movie:
            self._movie, self._labels = movie, {}
        if frame not in self._labels:
            found = watershed_objects(movie.images[frame], self.threshold)
            self._labels[frame] = found.astype(np.uint16)
        return self._labels[frame]


def grey(image: NDArray[Any]) -> GreyImage:
    """Return one channel, scaled to 0..1 between the 0.5 and 99.8 percentiles."""
    values = image.astype(np.float32)
    if values.ndim == 3:
        values = values.mean(axis=2)
    low, high = np.percentile(values, [0.5, 99.8])
    scaled = (values - low) / max(float(high - low), 1e-6)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def foreground(image: NDArray[Any], threshold: Threshold = "global") -> BoolMask:
    """Separate cells from background: the smaller class is the cells.

    Parameters
    ----------
    image : array, (H, W) or (H, W, C)
        Raw intensities; bright on dark and dark on bright both work.
    threshold : {"global", "local"}
        Otsu's threshold of the frame; or, for bright cells beside dim ones, a pixel above half
        of that threshold that is also brighter than its surroundings.
    """
    smooth = ndimage.gaussian_filter(grey(image), 1.0)
    if smooth.max() <= smooth.min():
        return np.zeros(smooth.shape, dtype=bool)
    mask: BoolMask
    if threshold == "global":
        mask = smooth > threshold_otsu(smooth)
    else:
        root = np.sqrt(np.clip(smooth, 0.0, 1.0))
        otsu = threshold_otsu(root)
        around = ndimage.gaussian_filter(root, (LOCAL_WINDOW - 1) / 6)
        mask = ((root > around) & (root > 0.5 * otsu)) | ((root > otsu) & (root > 0.8 * around))
    if mask.mean() > 0.5:
        mask = ~mask
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_opening(mask)))


def watershed_objects(image: NDArray[Any], threshold: Threshold = "global") -> NDArray[np.int32]:
    """Label the cells of one frame by thresholding and a watershed of the distance to the border.

    Seeds are peaks of the smoothed distance, no nearer to each other than 0.6 of the typical
    radius, which the frame itself gives.
    """
    mask = foreground(image, threshold)
    regions, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(mask.shape, dtype=np.int32)
    distance = ndimage.distance_transform_edt(mask)
    radii = np.atleast_1d(ndimage.maximum(distance, regions, np.arange(1, count + 1)))
    radius = float(np.median(radii[radii > 2])) if (radii > 2).any() else 3.0
    smooth = ndimage.gaussian_filter(distance, 1.5)
    spacing = max(2, round(0.6 * radius))
    peaks = peak_local_max(smooth, min_distance=spacing, labels=regions, exclude_border=False)
    seeds = np.zeros(mask.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-smooth, seeds, mask=mask), dtype=np.int32)
