"""A first lesson that needs no sight: ellipses around the click, fitted to the box.

A few dozen steps of it carry the mask decoder over the plateau on which every prompt gets the
same mask, the whole foreground, and on which training on real masks can rest for long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from napari_sam2.training.clips import ClipBatch

_MARGIN = 16.0
_SMALLEST, _LARGEST = 8.0, 40.0


def random_blobs(rng: np.random.Generator, count: int, size: tuple[int, int]) -> torch.Tensor:
    """Draw filled ellipses of random place, size and direction.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
    size : (int, int)
        Height and width in pixels.

    Returns
    -------
    Tensor, (count, H, W) bool, none of them empty
    """
    low, high = np.full(2, _MARGIN), np.array(size) - _MARGIN
    centre = torch.from_numpy(low + rng.random((count, 2)) * (high - low)).float()
    axes = torch.from_numpy(_SMALLEST * (_LARGEST / _SMALLEST) ** rng.random((count, 2))).float()
    angle = torch.from_numpy(rng.uniform(0.0, math.pi, count)).float()[:, None, None]
    y = torch.arange(size[0])[None, :, None] - centre[:, 0, None, None]
    x = torch.arange(size[1])[None, None, :] - centre[:, 1, None, None]
    along = (y * angle.cos() + x * angle.sin()) / axes[:, 0, None, None]
    across = (x * angle.cos() - y * angle.sin()) / axes[:, 1, None, None]
    return along.square() + across.square() < 1.0


def with_blobs(batch: ClipBatch, rng: np.random.Generator) -> torch.Tensor:
    """Return masks of the shape of the batch's, (B, T, N, H, W) bool, of ellipses alone."""
    height, width = batch.masks.shape[-2:]
    count = math.prod(batch.masks.shape[:-2])
    return random_blobs(rng, count, (height, width)).reshape(batch.masks.shape)
