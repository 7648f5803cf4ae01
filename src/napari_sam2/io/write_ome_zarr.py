"""Labels as OME-Zarr: beside the image of one that is there, or with the movie in a new one.

The library writes the pyramid, NGFF 0.5 in a new folder and the version of the image in an old one.
"""

from __future__ import annotations

import itertools
import math
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.extras import needs
from napari_sam2.io.label_painter import LabelPainter
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import explain_full_disk, writing_folder
from napari_sam2.masklets import MaskletSet

__all__ = ["LABELS", "is_ome_zarr", "write_ome_zarr"]

LABELS = "objects"
"""Name of the labels within ``labels/``."""

_SMALLEST = 128
"""A level of a pyramid is not made smaller than about this."""

_BLOCK_BYTES = 16 * 2**20
"""So much of an image is made at a time."""


def write_ome_zarr(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write labels into an OME-Zarr.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
    path : str or Path
        An OME-Zarr with an image: labels are added to it, and the image is left alone. Or a folder
        to make: with the movie, if that is known, and the labels.
    overwrite : bool
        Whether to replace older labels of this name, or a folder that was made like this.
    watch : callable
        Called with frames done and frames in all.

    Returns
    -------
    list of str
        What the format could not hold.

    Raises
    ------
    FileExistsError
        If there is something that may not be replaced.
    ValueError
        If the image that is there is of another size.
    OSError
        If the disk is full.
    """
    needs("ome_zarr", "OME-Zarr")
    objects, path = TrackedObjects.of(objects), Path(path)
    painter = LabelPainter(objects)
    notes: list[str] = []
    if is_ome_zarr(path) and not (overwrite and _is_made_here(path)):
        _add(objects, painter, path, overwrite, watch)
    else:
        with writing_folder(path, _is_entry, overwrite=overwrite) as folder:
            group = zarr.open_group(str(folder), mode="w")
            if objects.movie is None:
                notes.append("no image beside the labels: the movie is not there")
            else:
                _write_image(objects, group)
            frame = _Frame(objects.axes.lower(), objects.calibration, painter.dtype)
            _write_labels(objects, painter, group, frame, watch)
            group.attrs["napari-sam2"] = {"is_made_here": True}
    return [*painter.notes(), *notes]


def is_ome_zarr(path: Path) -> bool:
    """Whether there is an OME-Zarr image."""
    return "multiscales" in _ome(path)


def _ome(path: Path) -> dict[str, Any]:
    if not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
        return {}
    attributes: dict[str, Any] = zarr.open_group(str(path), mode="r").attrs.asdict()
    return {**attributes, **attributes.get("ome", {})}


def _is_made_here(path: Path) -> bool:
    return "napari-sam2" in _ome(path)


def _is_entry(name: str) -> bool:
    return name in ("zarr.json", "labels") or (name[:1] == "s" and name[1:].isdigit())


def _add(
    objects: TrackedObjects,
    painter: LabelPainter,
    path: Path,
    overwrite: bool,
    watch: Callable[[int, int], None],
) -> None:
    """Write labels beside the image of an OME-Zarr; the list of labels gets its name last."""
    group = zarr.open_group(str(path), mode="r+")
    picture = _ome(path)["multiscales"][0]
    level = group[picture["datasets"][0]["path"]]
    names = [axis["name"] for axis in picture["axes"]]
    sizes = {name: size for name, size in zip(names, level.shape, strict=True) if name != "c"}
    height, width = objects.masks.shape[1:]
    shape = {"t": objects.num_times, "z": objects.planes.slices, "y": height, "x": width}
    axes = "".join(sizes)
    if {"t": 1, "z": 1, **sizes} != shape:
        raise ValueError(
            f"{path} holds an image of {sizes} and the objects are of a movie of {shape}: choose "
            "the OME-Zarr that they were made on, or a new folder"
        )
    there = path / "labels" / LABELS
    if there.exists():
        if not overwrite:
            raise FileExistsError(f"{there} exists: allow overwriting, or choose another OME-Zarr")
        shutil.rmtree(there)
        _forget(path)
    try:
        with explain_full_disk(there, "the image has not changed"):
            frame = _Frame(axes, read_calibration(path), painter.dtype)
            _write_labels(objects, painter, group, frame, watch)
    except BaseException:
        shutil.rmtree(there, ignore_errors=True)
        raise


def _forget(path: Path) -> None:
    """Take a name off the list of labels."""
    labels = zarr.open_group(str(path / "labels"), mode="r+")
    attributes: dict[str, Any] = labels.attrs.asdict()
    for about in (attributes, attributes.get("ome", {})):
        if LABELS in about.get("labels", []):
            about["labels"] = [name for name in about["labels"] if name != LABELS]
    labels.attrs.put(attributes)


def _write_image(objects: TrackedObjects, group: zarr.Group) -> None:
    movie = objects.movie
    if movie is None:
        return
    count = int(movie.shape[3]) if len(movie.shape) == 4 else 1

    def read(plane: int) -> NDArray[Any]:
        pixels = np.asarray(movie[plane])
        return np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]

    axes = "tczyx" if objects.is_deep else "tcyx"
    frame = _Frame(axes, objects.calibration, np.dtype(movie.dtype), count)
    with warnings.catch_warnings(action="ignore"):  # the library's words to its developers
        from ome_zarr.classes import OMEZarrMultiscale

        _store(objects, group, read, frame, OMEZarrMultiscale)


def _write_labels(
    objects: TrackedObjects,
    painter: LabelPainter,
    group: zarr.Group,
    frame: _Frame,
    watch: Callable[[int, int], None],
) -> None:
    done = itertools.count(1)

    def read(plane: int) -> NDArray[Any]:
        labels = painter.paint_plane(plane)
        watch(next(done), len(objects.planes))
        return labels

    with warnings.catch_warnings(action="ignore"):  # the library's words to its developers
        from ome_zarr.classes import OMEZarrLabels
        from ome_zarr.writer import write_label_metadata

        # Else the library would look for labels to give them colours.
        kind = partial(OMEZarrLabels, auto_parse_labels=False)
        _store(objects, group.require_group(f"labels/{LABELS}"), read, frame, kind)
        write_label_metadata(
            group["labels"], LABELS, source={"image": "../../"}, properties=_properties(objects)
        )


def _store(
    objects: TrackedObjects,
    group: zarr.Group,
    read: Callable[[int], NDArray[Any]],
    frame: _Frame,
    kind: Callable[..., Any],
) -> None:
    """Make and write the pyramids of some times after the other.

    Of the whole movie the library would make one graph of tasks, which grows with its length.
    """
    from ome_zarr.classes import OMEZarrImage

    size = math.prod(objects.masks.shape[1:]) * frame.dtype.itemsize * frame.channels
    step = max(1, _BLOCK_BYTES // (size * objects.planes.slices))
    levels = [{"y": 2**n, "x": 2**n} for n in range(1, 5)
              if min(objects.label_shape[-2:]) >> n >= _SMALLEST]  # fmt: skip
    version = "0.5" if group.metadata.zarr_format == 3 else "0.4"
    for first in range(0, objects.num_times, step):
        times = range(first, min(first + step, objects.num_times))
        block = _block(objects, read, frame, times)
        image = OMEZarrImage(block, list(frame.axes), name=objects.name, **frame.about())
        pyramid = kind(image, list(levels))
        if first == 0:
            pyramid.to_ome_zarr(group, version=version, compute=False, overwrite=True)
        for number, level in enumerate(pyramid.images):
            array: Any = group[f"s{number}"]
            if frame.axes[0] != "t":
                array[:] = level.data.compute(scheduler="synchronous")
                continue
            if first == 0:
                array.resize((objects.num_times, *array.shape[1:]))
            array[times.start : times.stop] = level.data.compute(scheduler="synchronous")


def _block(
    objects: TrackedObjects, read: Callable[[int], NDArray[Any]], frame: _Frame, times: range
) -> Any:
    """Return some times as a dask array with the axes of a frame, a plane a chunk."""
    import dask.array as da

    planes = objects.planes
    sizes = {"t": len(times), "c": frame.channels, "z": planes.slices}
    sizes |= dict(zip("yx", objects.masks.shape[1:], strict=True))
    pixels = np.empty([sizes[axis] for axis in "tzcyx"], dtype=frame.dtype)
    for place, time in enumerate(times):
        for z, plane in enumerate(planes.along_z(time)):
            pixels[place, z] = read(plane)
    pixels = np.moveaxis(pixels, 1, 2)  # (T, C, Z, H, W)
    pixels = pixels[tuple(slice(None) if axis in frame.axes else 0 for axis in "tczyx")]
    chunks = [1 if axis in "tz" else sizes[axis] for axis in frame.axes]
    return da.from_array(pixels, chunks=chunks, name=False)


@dataclass(frozen=True, slots=True)
class _Frame:
    """How an image lies: its axes, of t, c, z, y and x, its calibration and its type."""

    axes: str
    calibration: Calibration
    dtype: np.dtype[Any]
    channels: int = 1

    def about(self) -> dict[str, Any]:
        """Return scale and units as the library takes them."""
        known = self.calibration
        scale = {"t": known.interval, "c": 1.0, **dict(zip("zyx", known.pixel, strict=True))}
        units = {"t": known.time_unit} if known.is_in_time else {}
        if known.is_in_space:
            units |= dict.fromkeys("zyx", known.space_unit)
        return {
            "scale": {axis: scale[axis] for axis in self.axes},
            "axes_units": {axis: unit for axis, unit in units.items() if axis in self.axes},
        }


def _properties(objects: TrackedObjects) -> list[dict[str, Any]]:
    """Return what is known of each label."""
    return [
        {
            "label-value": object_id,
            "name": objects.names.get(object_id, ""),
            "parent": objects.lineage.mother_of(object_id),
        }
        for object_id in objects.masks.object_ids()
    ]
