"""Chromosomes of a cell in mitosis: bright spots that gather in a plate and part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FEWEST, _MOST = 4, 11
_SIZE, _LOOSE = (0.09, 0.22), 0.09
_PLATE, _APART = 0.55, 0.5
"""Half the length of a plate, and how far a parted one lies from the centre, in radii."""


def chromosomes(
    label: int, gathered: float, parted: float, strength: float, loosened: float = 0.0
) -> NDArray[np.float64]:
    """Return the bright spots of one cell on one frame.

    Parameters
    ----------
    label : int
        Of the cell; its spots are its own, and the same on every frame.
    gathered : float
        0 strewn over the nucleus, 1 in one plate across it.
    parted : float
        0 in one plate, 1 in two that lie apart along it.
    strength : float
        Brightness of a spot over that of what is around it.
    loosened : float
        0 dense, 1 spread out and hardly brighter than what is around them.

    Returns
    -------
    numpy.ndarray
        (K, 4), as `Body.holes`: place along and across and size in radii, and depth, negative.
    """
    rng = np.random.default_rng((label, 31))
    count = int(rng.integers(_FEWEST, _MOST + 1))
    turn, away = rng.uniform(0, 2 * np.pi, count), 0.65 * np.sqrt(rng.uniform(0, 1, count))
    strewn = np.stack([away * np.cos(turn), away * np.sin(turn)], 1)
    rank = (np.argsort(rng.random(count)) + 0.5) / count
    plate = np.stack([rng.normal(0, _LOOSE, count), _PLATE * (2 * rank - 1)], 1)
    places = strewn + gathered * (plate - strewn)
    size = rng.uniform(*_SIZE, count) * (1 + loosened)
    depth = -strength * rng.uniform(0.5, 1.0, count) * (1 - 0.8 * loosened)
    spots = np.concatenate([places, size[:, None], depth[:, None]], 1)
    if not parted:
        return spots
    # Every chromosome goes both ways.
    moved = parted * np.array([_APART, 0, 0, 0])
    return np.concatenate([spots - moved, spots + moved])
