"""The order of the axes of a file: what its metadata call them, and the (T, Y, X[, C]) we want."""

from __future__ import annotations

from typing import Any, Protocol

import dask.array as da
import numpy as np

from napari_sam2.planes import AxisLayout

__all__ = ["MovieArray", "as_movie", "as_stacks"]

_MEANING = {"T": "T", "Z": "T", "Y": "Y", "X": "X", "C": "C", "S": "C"}
_MOST_CHANNELS = 16
_EXAMPLES = "name the axes, for example --axes TYX, ZYX, TCYX or YXC"


class MovieArray(Protocol):
    """What readers return: numpy, dask and zarr arrays alike."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        ...

    def __getitem__(self, index: Any, /) -> Any: ...


def as_movie(array: MovieArray, axes: str | None, name: str) -> MovieArray:
    """Return an array with its axes in the order (T, Y, X) or (T, Y, X, C), without reading it.

    Parameters
    ----------
    array : array-like
        As the file has it.
    axes : str or None
        One letter an axis, from T (time), Z (depth, taken as time), C or S (channels), Y and X; any
        other letter is for an axis of length 1. None to judge by the shape.
    name : str
        What to call the array in errors.

    Raises
    ------
    ValueError
        If the array is empty or its axes make no movie.
    """
    sizes = tuple(int(size) for size in array.shape)
    if len(sizes) < 2 or 0 in sizes:
        raise ValueError(f"{name} holds no picture: its shape is {sizes}")
    letters = _guess(sizes, name) if axes is None else _read(axes, sizes, name)
    if letters in ("TYX", "TYXC"):
        return array
    wanted = "TYXC" if "C" in letters else "TYX"
    lazy = array if isinstance(array, da.Array) else da.from_array(array, chunks=_chunks(array))
    lazy = lazy[tuple(slice(None) if letter in wanted else 0 for letter in letters)]
    kept = [letter for letter in letters if letter in wanted]
    if "T" not in kept:
        lazy, kept = lazy[None], ["T", *kept]
    moved: MovieArray = lazy.transpose([kept.index(letter) for letter in wanted])
    return moved


def as_stacks(array: MovieArray, axes: str | None, name: str) -> tuple[MovieArray, str]:
    """Return a movie or a movie of stacks, and its axes, without reading it.

    Parameters
    ----------
    array, axes, name
        As in `as_movie`.

    Returns
    -------
    array : array-like
        (T, Z, Y, X) or (T, Z, Y, X, C) where it has time and depth; else as from `as_movie`.
    axes : str
        ``"TZYX"``, ``"TZYXC"``, ``"TYX"`` or ``"TYXC"``.

    Raises
    ------
    ValueError
        As `as_movie`.
    """
    sizes = tuple(map(int, array.shape))
    layout = None if axes is None or 0 in sizes else AxisLayout.of(axes, sizes)
    if layout is None or layout.grid.is_line:
        movie = as_movie(array, axes, name)
        return movie, "TYX" if len(movie.shape) == 3 else "TYXC"
    wanted = "TZYXC" if "C" in layout.axes else "TZYX"
    lazy = array if isinstance(array, da.Array) else da.from_array(array, chunks=_chunks(array))
    lazy = lazy[tuple(0 if letter == "?" else slice(None) for letter in layout.axes)]
    kept = layout.axes.replace("?", "")
    return lazy.transpose([kept.index(letter) for letter in wanted]), wanted


def _chunks(array: MovieArray) -> Any:
    """Return the chunks that an array is stored in, or those that dask likes."""
    return getattr(array, "chunks", None) or "auto"


def _guess(sizes: tuple[int, ...], name: str) -> str:
    """Return the axes of an array that does not name them."""
    if len(sizes) == 2:
        return "YX"
    if len(sizes) == 3:
        is_colour = sizes[-1] in (3, 4) and min(sizes[:2]) > 4
        return "YXC" if is_colour else "TYX"
    if len(sizes) == 4 and sizes[-1] <= _MOST_CHANNELS:
        return "TYXC"
    raise ValueError(f"{name} has shape {sizes} and does not say which axis is which: {_EXAMPLES}")


def _read(axes: str, sizes: tuple[int, ...], name: str) -> list[str] | str:
    """Return what each named axis means: T, Y, X, C, or ? where it has length 1 and no meaning."""
    named = axes.upper()
    if len(named) != len(sizes) or len(set(named)) != len(named) or not {"Y", "X"} <= set(named):
        raise ValueError(
            f"axes {axes!r} do not describe {name} of shape {sizes}: give one different letter an "
            "axis, Y and X among them"
        )
    letters = ["?"] * len(named)
    for index in sorted(range(len(named)), key=lambda i: sizes[i], reverse=True):
        meaning = _MEANING.get(named[index], "?")
        if meaning != "?" and meaning not in letters:
            letters[index] = meaning
        elif sizes[index] != 1:
            raise ValueError(
                f"axis {named[index]} of {name} (axes {axes}, shape {sizes}) has length "
                f"{sizes[index]}, and a movie has only time or depth, height, width and channels: "
                "save one position or one plane of it first, or open it as a movie of stacks "
                "(read_stacks)"
            )
    return "".join(letters)
