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
