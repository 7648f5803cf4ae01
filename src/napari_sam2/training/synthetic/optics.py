"""Random fields that textures and uneven light are made from."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_sam2.training.synthetic.shapes import FloatArray


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> FloatArray:
    """Make a tileable random field of mean 0 and standard deviation 1; ``sigma`` in pixels."""
    coarse = max(1, int(sigma / 3))
    small = (max(shape[0] // coarse, 4), max(shape[1] // coarse, 4))
    noise = rng.standard_normal(small, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma / coarse, mode="wrap")
    if coarse > 1:
        zoom = (shape[0] / small[0], shape[1] / small[1])
        noise = ndimage.zoom(noise, zoom, order=1, mode="grid-wrap", grid_mode=True)
    noise -= noise.mean()
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def texture_tile(rng: np.random.Generator, grain: float, spots: float = 1.0) -> FloatArray:
    """Make a 256 x 256 tileable texture, mean about 0, deviation about 1.

    ``grain`` is the size of the fine part in pixels; ``spots`` is 1 for dark and -1 for bright
    spots.
    """
    fine = smooth_noise(rng, (256, 256), grain)
    coarse = smooth_noise(rng, (256, 256), 3 * grain)
    marks = np.maximum(smooth_noise(rng, (256, 256), 1.5 * grain) - 1.3, 0)
    share = rng.dirichlet((2, 2, 1))
    return np.asarray(
        1.6 * (share[0] * fine + share[1] * coarse - 3 * spots * share[2] * marks), np.float32
    )
