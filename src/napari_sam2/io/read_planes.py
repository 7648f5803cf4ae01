"""A movie of stacks, or any other, plane by plane: what measurements and exports look at."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.axes import MovieArray
from napari_sam2.io.read import open_array
from napari_sam2.planes import AxisLayout, PlaneGrid

__all__ = ["PlaneMovie", "read_fitting", "read_planes"]


class PlaneMovie:
    """The planes of an array with named axes, time by time and slice by slice; read one by one.

    Parameters
    ----------
    array : array-like
        Numpy, zarr or dask.
    layout : AxisLayout
        Which of its axes is which.

    Attributes
    ----------
    array : array-like
        As it was given.
    """

    def __init__(self, array: MovieArray, layout: AxisLayout) -> None:
        self.array = array
        self._layout = layout

    @property
    def grid(self) -> PlaneGrid:
        """Times and slices."""
        return self._layout.grid

    @property
    def axes(self) -> str:
        """One letter an axis of the array, each another one."""
        return _spelled(self._layout.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Planes, height, width and, where there are some, channels."""
        channels = (self._layout.length("C"),) if "C" in self._layout.axes else ()
        return len(self.grid), self._layout.length("Y"), self._layout.length("X"), *channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.array.dtype

    def __getitem__(self, plane: int) -> NDArray[Any]:
        pixels: NDArray[Any] = np.asarray(self.array[self._layout.index(plane)])
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
    sizes = tuple(map(int, array.shape))
    letters = _spelled(axes) if axes else named or _guess(sizes, str(path))
    return PlaneMovie(array, AxisLayout.of(letters, sizes))


def read_fitting(
    path: str | Path, axes: Sequence[str | None], shape: tuple[int, ...]
) -> PlaneMovie:
    """Open a movie with the first axes that make it one of a size, or else with the last.

    Parameters
    ----------
    path : str or Path
    axes : sequence of str or None
        At least one.
    shape : tuple of int
        Planes, height and width.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_planes` with the last axes.
    """
    for letters in axes[:-1]:
        with contextlib.suppress(ValueError):
            movie = read_planes(path, letters)
            if movie.shape[:3] == shape:
                return movie
    return read_planes(path, axes[-1])


def _spelled(axes: str) -> str:
    """Give axes without a meaning letters of their own."""
    spare = iter("ABDEFGHIJKLM")
    return "".join(next(spare) if letter == "?" else letter for letter in axes)


def _guess(sizes: tuple[int, ...], name: str) -> str:
    is_colour = len(sizes) >= 3 and sizes[-1] in (3, 4) and min(sizes[-3:-1]) > 4
    guesses = {2: "YX", 3: "YXC" if is_colour else "TYX", 4: "TYXC" if sizes[-1] <= 16 else "TZYX"}
    if len(sizes) not in guesses:
        raise ValueError(f"{name} has shape {sizes} and does not name its axes: give --axes")
    return guesses[len(sizes)]
