"""One picture a file: a movie from a folder of PNG, JPEG or TIFF pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_sam2.io.axes import MovieArray

__all__ = ["PICTURES", "list_pictures", "read_series"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Endings of the pictures that make a series."""

_PLAIN_MODES = {"1", "L", "I", "F", "I;16", "I;16B", "RGB", "RGBA"}


def list_pictures(paths: Iterable[Path]) -> list[Path]:
    """Return those of the paths that are pictures, by the numbers in their names."""
    found = [path for path in paths if path.suffix.lower() in PICTURES and path.is_file()]
    return sorted(found, key=_natural)


def read_series(paths: Sequence[Path]) -> tuple[MovieArray, str]:
    """Open pictures of one size as a movie; each is read when its frame is asked for.

    Parameters
    ----------
    paths : sequence of Path
        The frames in order.

    Returns
    -------
    array : dask.array.Array
        (T, Y, X) or (T, Y, X, C).
    axes : str
        ``"TYX"`` or ``"TYXC"``.

    Raises
    ------
    ValueError
        If a file is no picture, is truncated, or is not like the first.
    """
    first = _read_picture(paths[0])
    for path in paths[1:]:
        _check_like(path, first.shape, paths[0])

    def read(block_id: tuple[int, ...]) -> NDArray[Any]:
        picture = _read_picture(paths[block_id[0]])
        if picture.shape != first.shape:
            raise ValueError(_unlike(paths[block_id[0]], picture.shape, first.shape, paths[0]))
        return picture.astype(first.dtype, copy=False)[None]

    chunks = ((1,) * len(paths), *((size,) for size in first.shape))
    array: MovieArray = da.map_blocks(
        read, chunks=chunks, dtype=first.dtype, meta=np.empty((0,) * (first.ndim + 1), first.dtype)
    )
    return array, "TYX" if first.ndim == 2 else "TYXC"


def _natural(path: Path) -> list[Any]:
    """Sort key that puts frame 9 before frame 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))]


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _read_picture(path: Path) -> NDArray[Any]:
    """Return one picture, (H, W) or (H, W, C)."""
    try:
        if _is_tiff(path):
            picture = np.asarray(tifffile.imread(path))
        else:
            with Image.open(path) as image:
                plain = image if image.mode in _PLAIN_MODES else image.convert("RGB")
                picture = np.asarray(plain)
    except (UnidentifiedImageError, tifffile.TiffFileError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is no picture that can be read, or is truncated ({error}): "
            "remove it from the series or export it again"
        ) from error
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[-1] > 4):
        raise ValueError(
            f"{path} has shape {picture.shape}, and in a series each file is one picture (H, W): "
            "give this file alone as the movie"
        )
    return picture


def _check_like(path: Path, shape: tuple[int, ...], first: Path) -> None:
    """Refuse a picture whose header says another size than the first has; pixels are not read."""
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes): remove it from the series or export it again")
    if _is_tiff(path):
        return  # its header costs as much as reading it; checked when it is read
    try:
        with Image.open(path) as image:
            size = (image.height, image.width)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no picture: remove it from the series") from error
    if size != shape[:2]:
        raise ValueError(_unlike(path, size, shape, first))


def _unlike(path: Path, shape: tuple[int, ...], wanted: tuple[int, ...], first: Path) -> str:
    return (
        f"{path} has shape {shape} and {first} has {wanted[: len(shape)]}: "
        "the pictures of a series have one size and kind"
    )
