"""Open a movie: TIFF, OME-TIFF, zarr, OME-Zarr, npy or a series of pictures; frames stay there."""

from __future__ import annotations

from glob import glob
from pathlib import Path

import numpy as np

from napari_sam2.io.axes import MovieArray, as_movie, as_stacks
from napari_sam2.io.read_microscope import MICROSCOPES, read_microscope
from napari_sam2.io.read_series import PICTURES, list_pictures, read_series
from napari_sam2.io.read_tiff import read_tiff
from napari_sam2.io.read_zarr import is_address, is_zarr, read_zarr

__all__ = ["open_array", "read_movie", "read_stacks"]

_TIFF = (".tif", ".tiff", ".btf", ".tf8", ".lsm")
_KINDS = "TIFF, OME-TIFF, zarr, OME-Zarr, npy, or a folder or pattern of PNG, JPEG or TIFF pictures"


def read_movie(path: str | Path, axes: str | None = None) -> MovieArray:
    """Open a movie, or a stack as one, without reading its frames.

    Parameters
    ----------
    path : str or Path
        A TIFF, an ``.npy`` file, a zarr folder or its address (``"s3://..."``), an ND2, CZI or LIF
        file, a folder of pictures, or a pattern of picture names such as ``"day1/*.png"``, which
        are taken in the order of the numbers in their names.
    axes : str, optional
        The order of the axes where the file does not say it, or says it wrong, such as ``"TCYX"``.

    Returns
    -------
    array-like
        (T, Y, X) or (T, Y, X, C), lazy, of the file's own type: numpy (memory map), zarr or dask.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is no movie, is truncated or empty, or its axes make no movie.
    """
    array, named = open_array(path)
    return as_movie(array, axes or named, str(path))


def open_array(path: str | Path) -> tuple[MovieArray, str | None]:
    """Open what `read_movie` opens as it is stored; return the array and the axes that it names.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is no movie, is truncated or empty.
    """
    if is_address(path):
        return read_zarr(path)
    where = Path(path).expanduser()
    return _open(where) if where.exists() else _from_pattern(where)


def read_stacks(path: str | Path, axes: str | None = None) -> tuple[MovieArray, str]:
    """Open a movie that may have depth, too, without reading its planes.

    Parameters
    ----------
    path, axes
        As in `read_movie`.

    Returns
    -------
    array : array-like
        (T, Z, Y, X[, C]) where the file has time and depth, else (T, Y, X[, C]).
    axes : str
        The letters of its axes.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_movie`.
    """
    array, named = open_array(path)
    return as_stacks(array, axes or named, str(Path(path).expanduser()))


def _from_pattern(where: Path) -> tuple[MovieArray, str | None]:
    """Open the pictures that a pattern names."""
    if not set("*?[") & set(str(where)):
        raise FileNotFoundError(f"{where} does not exist: check the path")
    # pathlib globs below a folder only; a pattern may have its first star anywhere.
    found = list_pictures(map(Path, glob(str(where), recursive=True)))  # noqa: PTH207
    if not found:
        raise FileNotFoundError(f"no picture matches {where}: check the pattern (quote it)")
    return read_series(found)


def _open(where: Path) -> tuple[MovieArray, str | None]:
    """Return the array of a file or folder and the axes that it names."""
    if where.is_dir():
        return _open_folder(where)
    if where.stat().st_size == 0:
        raise ValueError(f"{where} is empty (0 bytes): copy or export it again")
    suffix = where.suffix.lower()
    if suffix in _TIFF:
        return read_tiff(where)
    if suffix == ".npy":
        return _open_npy(where), None
    if suffix in PICTURES:
        return read_series([where])
    if suffix in MICROSCOPES:
        return read_microscope(where)
    raise ValueError(f"{where} is no movie that can be read here: give {_KINDS}")


def _open_folder(where: Path) -> tuple[MovieArray, str | None]:
    """Return the array of a zarr folder or a folder of pictures."""
    if is_zarr(where):
        return read_zarr(where)
    found = list_pictures(where.iterdir())
    if not found:
        raise ValueError(f"{where} holds neither a zarr array nor pictures: give {_KINDS}")
    return read_series(found)


def _open_npy(where: Path) -> MovieArray:
    """Return a numpy file as a memory map."""
    try:
        array: MovieArray = np.load(where, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{where} is no numpy array that can be read: it is truncated, holds objects, or is of "
            f"another kind ({error}); write it again with numpy.save"
        ) from error
    return array
