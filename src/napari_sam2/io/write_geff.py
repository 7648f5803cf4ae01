"""Tracks as a GEFF graph, with the masks as a label stack beside it that the graph points to."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2.io.extras import needs
from napari_sam2.io.label_painter import LabelPainter
from napari_sam2.io.track_graph import TrackGraph, track_graph
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_folder
from napari_sam2.masklets import MaskletSet

__all__ = ["is_geff_entry", "masks_path", "write_geff"]


def is_geff_entry(name: str) -> bool:
    """Whether a name is one that a GEFF folder has at its top."""
    return name in ("nodes", "edges", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")


def masks_path(path: Path) -> Path:
    """Return where the masks lie: ``cells_masks.zarr`` beside ``cells.geff``."""
    return path.with_name(f"{path.stem}_masks.zarr")


def write_geff(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write tracks as GEFF, and masks beside it; see `masks_path`.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
    path : str or Path
        The folder, by custom ``NAME.geff``.
    overwrite : bool
        Whether to replace older ones.
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
    OSError
        If the disk is full.
    """
    needs("geff", "GEFF")
    objects, path = TrackedObjects.of(objects), Path(path)
    total = 2 * objects.num_times
    # Both appear when both are complete: the one points to the other.
    with (
        writing_folder(masks_path(path), _is_chunk, overwrite=overwrite) as masks,
        writing_folder(path, is_geff_entry, overwrite=overwrite) as folder,
    ):
        painter = _write_masks(objects, masks, lambda done: watch(done, total))
        graph, notes = track_graph(objects, lambda done, _: watch(objects.num_times + done, total))
        _write_graph(objects, graph, folder, masks_path(path).name)
    return [*painter.notes(), *notes]


def _is_chunk(name: str) -> bool:
    return re.fullmatch(r"c|zarr\.json|\.zarray|\.zattrs", name) is not None


def _write_masks(
    objects: TrackedObjects, folder: Path, watch: Callable[[int], None]
) -> LabelPainter:
    import zarr

    painter = LabelPainter(objects)
    shape = (objects.num_times, *objects.label_shape)
    array: zarr.Array[Any] = zarr.create_array(
        str(folder),
        shape=shape,
        chunks=(1,) * (len(shape) - 2) + shape[-2:],
        dtype=painter.dtype,
        dimension_names=tuple(objects.axes.lower()),
        fill_value=0,
        overwrite=True,
    )
    for time in range(objects.num_times):
        array[time] = painter.paint(time)
        watch(time + 1)
    return painter


def _write_graph(objects: TrackedObjects, graph: TrackGraph, folder: Path, masks: str) -> None:
    from geff import GeffMetadata
    from geff.core_io import write_arrays

    metadata = GeffMetadata(
        directed=True,
        axes=_axes(objects),
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet_id", "lineage": "lineage_id"},
        related_objects=[{"type": "labels", "path": f"../{masks}", "node_prop": "object_id"}],
        extra={"napari-sam2": {"names": {str(i): name for i, name in objects.names.items()}}},
    )
    with warnings.catch_warnings():
        # zarr warns that text and consolidated metadata are not in its specification yet.
        warnings.simplefilter("ignore")
        write_arrays(
            str(folder), graph.nodes.astype(np.uint64), _node_props(objects, graph),
            graph.edges.astype(np.uint64), {}, metadata, overwrite=True,
        )  # fmt: skip


def _axes(objects: TrackedObjects) -> list[dict[str, Any]]:
    """Return the axes: positions are in pixels and frames, with the factor to units."""
    known = objects.calibration
    in_time = {"scale": known.interval, "scaled_unit": known.time_unit} if known.is_in_time else {}
    axes: list[dict[str, Any]] = [{"name": "t", "type": "time", "unit": "frame", **in_time}]
    for name, size in zip("zyx", known.pixel, strict=True):
        if name != "z" or objects.is_deep:
            there = {"scale": size, "scaled_unit": known.space_unit} if known.is_in_space else {}
            axes.append({"name": name, "type": "space", "unit": "pixel", **there})
    return axes


def _node_props(objects: TrackedObjects, graph: TrackGraph) -> dict[str, Any]:
    z, y, x = graph.centres.T
    values = {
        "t": graph.times,
        **({"z": z} if objects.is_deep else {}),
        "y": y,
        "x": x,
        "object_id": graph.object_ids.astype(np.uint64),
        "tracklet_id": graph.tracklets(),
        "lineage_id": graph.roots(),
        "area": graph.areas,
        "accepted": np.isin(graph.object_ids, sorted(objects.accepted)),
    }
    if objects.masks.has_scores:
        values |= {"predicted_iou": graph.scores[:, 0], "object_score": graph.scores[:, 1]}
    return {name: {"values": value, "missing": None} for name, value in values.items()}
