"""Labels as OME-Zarr: beside the image of one that is there, or with the movie in a new one.

The library writes the pyramid, NGFF 0.5 in a new folder and the version of the image in an old one.
"""

from __future__ import annotations

import itertools
import shutil
import warnings
from collections.abc import Callable
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
            frame = objects.axes.lower(), objects.calibration
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
            _write_labels(objects, painter, group, (axes, read_calibration(path)), watch)
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
    first = objects.image(0)
    if first is None:
        return

    def read(time: int) -> NDArray[Any]:
        return np.moveaxis(np.asarray(objects.image(time)), -1, 0)  # (C, Z, H, W)

    axes = "tczyx" if objects.is_deep else "tcyx"
    planes, height, width = objects.planes.slices, *objects.masks.shape[1:]
    stack = _lazily(objects, read, (first.shape[-1], planes, height, width), first.dtype)
    stack = stack if objects.is_deep else stack[:, :, 0]
    about = _about(objects, axes, objects.calibration)
    with warnings.catch_warnings(action="ignore"):  # the library's words to its developers
        from ome_zarr.writer import write_image

        steps = write_image(
            stack, group, name=objects.name, axes=list(axes), compute=False, **about
        )
        _compute(steps)


def _write_labels(
    objects: TrackedObjects,
    painter: LabelPainter,
    group: zarr.Group,
    frame: tuple[str, Calibration],
    watch: Callable[[int, int], None],
) -> None:
    """Write the labels with these axes, of t, z, y and x, and this calibration."""
    axes, calibration = frame
    done = itertools.count(1)  # dask chooses the order of the times

    def read(time: int) -> NDArray[Any]:
        labels = painter.paint(time)
        watch(next(done), objects.num_times)
        return labels if objects.is_deep else labels[None]

    shape = (objects.planes.slices, *objects.masks.shape[1:])
    stack = _lazily(objects, read, shape, painter.dtype)
    stack = stack[tuple(slice(None) if axis in axes else 0 for axis in "tzyx")]
    about = _about(objects, axes, calibration)
    properties = {"source": {"image": "../../"}, "properties": _properties(objects)}
    with warnings.catch_warnings(action="ignore"):  # the library's words to its developers
        from ome_zarr.writer import write_labels

        steps = write_labels(
            stack, group, name=LABELS, scaler=None, axes=list(axes), label_metadata=properties,
            compute=False, **about,
        )  # fmt: skip
        _compute(steps)


def _compute(steps: Any) -> None:
    """Write a chunk after the other: the movie's reader need not be safe for several threads."""
    import dask

    dask.compute(*steps, scheduler="synchronous")


def _lazily(
    objects: TrackedObjects,
    read: Callable[[int], NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Any:
    """Return a dask array (T, ...) of which a time is made when it is written."""
    import dask
    import dask.array as da

    make = dask.delayed(read, pure=False)
    times = [da.from_delayed(make(time), shape, dtype) for time in range(objects.num_times)]
    return da.stack(times).rechunk((1,) * (len(shape) - 1) + shape[-2:])


def _about(objects: TrackedObjects, axes: str, known: Calibration) -> dict[str, Any]:
    """Return scale, units and the levels of the pyramid."""
    scale = {"t": known.interval, "c": 1.0, **dict(zip("zyx", known.pixel, strict=True))}
    units = {"t": known.time_unit} if known.is_in_time else {}
    if known.is_in_space:
        units |= dict.fromkeys("zyx", known.space_unit)
    side = min(objects.label_shape[-2:])
    levels = [{"y": 2**n, "x": 2**n} for n in range(1, 5) if side >> n >= _SMALLEST]
    return {
        "scale": {axis: scale[axis] for axis in axes},
        "axes_units": {axis: unit for axis, unit in units.items() if axis in axes},
        "scale_factors": levels,
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
