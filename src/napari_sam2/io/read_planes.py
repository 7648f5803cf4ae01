"""A movie of stacks, or any other, plane by plane: what measurements and exports look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.axes import MovieArray
from napari_sam2.io.read import open_array
from napari_sam2.planes import AxisLayout, PlaneGrid

__all__ = ["PlaneMovie", "read_planes"]


class PlaneMovie:
    """The planes of an array with named axes, time by time and slice by slice; read one by one.

    Parameters
    ----------
    array : array-like
        Numpy, zarr or dask.
    layout : AxisLayout
        Which of its axes is which.
    """

    def __init__(self, array: MovieArray, layout: AxisLayout) -> None:
        self._array = array
        self._layout = layout

    @property
    def grid(self) -> PlaneGrid:
        """Times and slices."""
        return self._layout.grid

    @property
    def shape(self) -> tuple[int, ...]:
        """Planes, height, width and, where there are some, channels."""
        channels = (self._layout.length("C"),) if "C" in self._layout.axes else ()
        return len(self.grid), self._layout.length("Y"), self._layout.length("X"), *channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._array.dtype

    def __getitem__(self, plane: int) -> NDArray[Any]:
        pixels: NDArray[Any] = np.asarray(self._array[self._layout.index(plane)])
        return pixels.transpose(self._layout.order)


def read_planes(path: str | Path, axes: str | None = None) -> PlaneMovie:
    """Open a movie plane by plane; unlike `read_movie` it takes time and depth at once.

    Parameters
    ----------
    path : str or Path
        What `read_movie` opens.
    axes : str, optional
        The order of the axes where the file does not say it, or says it wrong; ``?`` for an axis
        of length 1 without a meaning.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_movie`, and if the axes do not describe the file.
    """
    array, named = open_array(path)
    letters = _spelled(axes) or named or _guess(tuple(map(int, array.shape)), str(path))
    return PlaneMovie(array, AxisLayout.of(letters, array.shape))


def _spelled(axes: str | None) -> str | None:
    """Give axes without a meaning letters of their own."""
    spare = iter("ABDEFGHIJKLM")
    return axes and "".join(next(spare) if letter == "?" else letter for letter in axes)


def _guess(sizes: tuple[int, ...], name: str) -> str:
    is_colour = len(sizes) >= 3 and sizes[-1] in (3, 4) and min(sizes[-3:-1]) > 4
    guesses = {2: "YX", 3: "YXC" if is_colour else "TYX", 4: "TYXC" if sizes[-1] <= 16 else "TZYX"}
    if len(sizes) not in guesses:
        raise ValueError(f"{name} has shape {sizes} and does not name its axes: give --axes")
    return guesses[len(sizes)]
