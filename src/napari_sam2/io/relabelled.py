"""Label stacks of other tools under the ids that their objects have here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.axes import MovieArray

__all__ = ["Relabelled"]


class Relabelled:
    """A label stack with other labels, changed plane by plane as it is read.

    Parameters
    ----------
    labels : array-like of int, shape (P, H, W)
    ids : callable
        Returns label to object id of a plane; labels that are not in it become background.
    """

    def __init__(self, labels: MovieArray, ids: Callable[[int], Mapping[int, int]]) -> None:
        self._labels = labels
        self._ids = ids

    @property
    def shape(self) -> tuple[int, ...]:
        """Planes, height and width."""
        return self._labels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(np.int64)

    def __getitem__(self, plane: int) -> NDArray[np.int64]:
        found, where = np.unique(np.asarray(self._labels[plane]), return_inverse=True)
        ids = self._ids(plane)
        new = np.array([ids.get(int(label), 0) for label in found], dtype=np.int64)
        return new[where].reshape(self.shape[1:])
