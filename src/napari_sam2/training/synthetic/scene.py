"""What every kind of synthetic movie hands over before the camera sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scene:
    """A movie as light, before camera noise and digitisation.

    Attributes
    ----------
    signal : numpy.ndarray
        (T, Y, X) float32, about 0 to 1.
    labels : numpy.ndarray
        (T, Y, X) uint16; 0 is background, an object keeps its id over time.
    lineage : dict of int to int
        Daughter id to mother id.  A division ends the mother's id.
    """

    signal: NDArray[np.float32]
    labels: NDArray[np.uint16]
    lineage: dict[int, int] = field(default_factory=dict)


def number_from_one(
    labels: NDArray[np.uint16], lineage: dict[int, int]
) -> tuple[NDArray[np.uint16], dict[int, int]]:
    """Return ids 1, 2, ... of the objects that are seen, and the lineage between them.

    Parameters
    ----------
    labels : numpy.ndarray
        (T, Y, X) uint16.
    lineage : dict of int to int
        Daughter id to mother id.

    Returns
    -------
    tuple
        The same with new ids.
    """
    seen = np.flatnonzero(np.bincount(labels.ravel()))
    seen = seen[seen > 0]
    table = np.zeros(int(labels.max()) + 1, np.uint16)
    table[seen] = np.arange(1, len(seen) + 1)
    number = {int(old): int(table[old]) for old in seen}
    kept = {number[c]: number[m] for c, m in lineage.items() if c in number and m in number}
    return table[labels], kept
