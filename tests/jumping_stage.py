"""Cells that all look much alike, under a stage that jumps by more than a cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SHAPE = (160, 200)

JUMP, JUMPS = 26, 3
"""Pixels to the right: the neighbour comes to where a cell was; and the frame of the jump."""


def disk(center: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2


def cells(
    centers: list[tuple[float, float]],
    radius: float,
    seed: int = 0,
    contrast: float = 2500.0,
    light: float = 700.0,
) -> NDArray[np.uint16]:
    """Draw cells, each with a texture of its own, on camera noise."""
    rng = np.random.default_rng(seed)
    image = rng.normal(300, 15, SHAPE)
    for number, (y, x) in enumerate(centers):
        texture = ndimage.gaussian_filter(np.random.default_rng(number).normal(0, 1, SHAPE), 3)
        moved = np.roll(texture, (round(y), round(x)), (0, 1))
        image += disk((y, x), radius) * (light + contrast * moved)
    return image.clip(0, 65535).astype(np.uint16)


def jumping(frames: int = 6) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Make a movie whose stage jumps once, and the masks of one cell, both (T, Y, X)."""
    places = [(y, x + 24 * n) for n in range(4) for y, x in ((40.0, 45.0), (110.0, 40.0))]
    images, masks = [], []
    for t in range(frames):
        right = JUMP if t >= JUMPS else 0
        now = [(y, x + right) for y, x in places]
        # So light that no part of a cell is as dark as what is around it.
        images.append(cells(now, 10, t, light=1100))
        masks.append(disk(now[2], 10))
    return np.stack(images), np.stack(masks)
