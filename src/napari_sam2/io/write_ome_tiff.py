"""Labels as one OME-TIFF, with the size of pixels and the time between frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.io.calibration import Calibration
from napari_sam2.io.label_painter import LabelPainter
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_whole
from napari_sam2.masklets import MaskletSet

__all__ = ["write_ome_tiff"]

_OME_SYMBOLS = {"um": "µm"}
_BIG = 3 * 2**30


def write_ome_tiff(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write labels, (T, Y, X) or (T, Z, Y, X), compressed; a frame at a time.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
    path : str or Path
        The file.
    overwrite : bool
        Whether to replace an older file.
    watch : callable
        Called with frames done and frames in all.

    Returns
    -------
    list of str
        What the format could not hold.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    OSError
        If the disk is full.
    """
    objects = TrackedObjects.of(objects)
    painter = LabelPainter(objects)
    shape = (objects.num_times, *objects.label_shape)
    with writing_whole(Path(path), overwrite=overwrite) as unfinished:
        tifffile.imwrite(
            unfinished,
            _planes(objects, painter, watch),
            shape=shape,
            dtype=painter.dtype,
            ome=True,
            compression="zlib",
            predictor=True,
            photometric="minisblack",
            bigtiff=int(np.prod(shape)) * painter.dtype.itemsize > _BIG,
            metadata={
                "axes": objects.axes,
                # The same objects make the same bytes: not the random one of the library.
                "UUID": str(uuid5(NAMESPACE_OID, f"{objects.name} {shape} {painter.dtype}")),
                **_sizes(objects.calibration),
            },
        )
    count = len(objects.lineage.graph())
    lost = [
        f"mothers of {count} daughter{'s' * (count != 1)} are not in it: CTC, GEFF and the "
        "tables have them"
    ]
    return [*painter.notes(), *(lost if count else [])]


def _planes(
    objects: TrackedObjects, painter: LabelPainter, watch: Callable[[int, int], None]
) -> Iterator[NDArray[Any]]:
    """Yield one plane after the other."""
    for time in range(objects.num_times):
        labels = painter.paint(time)
        yield from labels if objects.is_deep else (labels,)
        watch(time + 1, objects.num_times)


def _sizes(calibration: Calibration) -> dict[str, Any]:
    """Return the attributes of OME's Pixels."""
    sizes: dict[str, Any] = {}
    if calibration.is_in_space:
        unit = _OME_SYMBOLS.get(calibration.space_symbol, calibration.space_symbol)
        for axis, size in zip("ZYX", calibration.pixel, strict=True):
            sizes |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    if calibration.is_in_time:
        sizes |= {
            "TimeIncrement": calibration.interval,
            "TimeIncrementUnit": calibration.time_symbol,
        }
    return sizes
