"""zarr arrays and the first level of OME-Zarr pictures, versions 2 and 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr

from napari_sam2.io.axes import MovieArray

__all__ = ["has_metadata", "is_address", "is_zarr", "read_zarr"]

_MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_address(path: str | Path) -> bool:
    """Whether a path is an address, such as ``s3://bucket/a.zarr``, and none of this machine."""
    return isinstance(path, str) and "://" in path


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a zarr array or group, or claims to be one by its name."""
    return folder.suffix == ".zarr" or has_metadata(folder)


def has_metadata(folder: Path) -> bool:
    """Whether a folder has the metadata of a zarr array or group."""
    return any((folder / mark).is_file() for mark in _MARKS)


def read_zarr(path: str | Path) -> tuple[MovieArray, str | None]:
    """Open a zarr array, the full-size picture of an OME-Zarr group, or a group's only array.

    Parameters
    ----------
    path : str or Path
        An existing folder, or an address that ``fsspec`` knows.

    Returns
    -------
    array : zarr.Array
        As it is stored; chunks are read when they are indexed.
    axes : str or None
        The axes that the metadata name.

    Raises
    ------
    ValueError
        If the folder holds no array, or several and no word on which.
    RuntimeError
        If the library for addresses of this kind is not installed.
    """
    try:
        node = zarr.open(str(path), mode="r")
    except ImportError as error:
        raise RuntimeError(f"{path} cannot be opened: {error}; install what it names") from error
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is no zarr array or its metadata are damaged ({error}); write it again"
        ) from error
    if isinstance(node, zarr.Array):
        return node, _array_axes(node)
    picture = _first_picture(node)
    if picture is not None:
        level, axes = picture
        if level not in node:
            raise ValueError(
                f"{path} names the array {level!r} and does not hold it; copy it again"
            )
        return node[level], axes
    names = sorted(node.array_keys())
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise ValueError(f"{path} is a group with the arrays {listed}: give the path of one array")
    return node[names[0]], _array_axes(node[names[0]])


def _first_picture(group: zarr.Group) -> tuple[str, str | None] | None:
    """Return the path and the axes of the full-size picture of an OME-Zarr group, if it is one."""
    attributes: Any = group.attrs.asdict()
    pictures = attributes.get("ome", attributes).get("multiscales")
    if not pictures:
        return None
    names = [
        axis["name"] if isinstance(axis, dict) else axis for axis in pictures[0].get("axes", [])
    ]
    return str(pictures[0]["datasets"][0]["path"]), _letters(names)


def _array_axes(array: zarr.Array[Any]) -> str | None:
    """Return the axes of an array from its dimension names (version 3) or xarray's (version 2)."""
    names: Any = getattr(array.metadata, "dimension_names", None)
    return _letters(names or array.attrs.asdict().get("_ARRAY_DIMENSIONS", []))


def _letters(names: Any) -> str | None:
    """Return the first letters of axis names (time, channel, z, y, x), None if some have none."""
    letters = "".join(str(name)[:1].upper() for name in names if name)
    return letters if letters and len(letters) == len(names) else None
