"""A cell that divides between two frames, with daughters that the network keeps in one mask."""

from __future__ import annotations

from functools import cache

import numpy as np

FRAMES, SIDE, DIVIDES = 14, 128, 8


def truth(frame: int) -> np.ndarray:
    """A disk, and from frame `DIVIDES` on two smaller ones beside each other."""
    y, x = np.ogrid[:SIDE, :SIDE]
    if frame < DIVIDES:
        return (y - 64) ** 2 + (x - 64) ** 2 < 18**2
    return ((y - 64) ** 2 + (x - 79) ** 2 < 10**2) | ((y - 64) ** 2 + (x - 49) ** 2 < 9**2)


@cache
def movie() -> np.ndarray:
    """Return the movie, (T, Y, X) uint16; the same array in every call."""
    noise = np.random.default_rng(0).normal(200, 12, (FRAMES, SIDE, SIDE))
    cells = np.stack([truth(t) for t in range(FRAMES)])
    return (noise + 900 * cells).clip(0).astype(np.uint16)
