"""Tracks as a CSV table in the order of napari's columns: track_id, t, (z,) y, x, and parents."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_sam2.io.track_graph import track_graph
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_text
from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.tracks import Tracks

__all__ = ["read_tracks", "write_napari_tracks", "write_tracks"]

_COLUMNS = ("track_id", "t", "y", "x")
_DEEP_COLUMNS = ("track_id", "t", "z", "y", "x")
_PARENTS = "parent_ids"


def write_tracks(path: str | Path, tracks: Tracks, *, overwrite: bool = False) -> Path:
    """Write tracks, one row an object and frame.

    Parameters
    ----------
    path : str or Path
        The file to make.
    tracks : Tracks
        Positions in pixels are written with two digits; parents are joined by ``;``.
    overwrite : bool
        Whether to replace an older file.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    """
    path = Path(path)
    with writing_text(path, overwrite=overwrite, newline="") as file:
        writer = csv.writer(file)
        columns = _COLUMNS if tracks.table.shape[1] == len(_COLUMNS) else _DEEP_COLUMNS
        writer.writerow((*columns, _PARENTS))
        for track, frame, *place in tracks.table:
            parents = ";".join(map(str, tracks.graph.get(int(track), [])))
            writer.writerow((int(track), int(frame), *(f"{one:.2f}" for one in place), parents))
    return path


def write_napari_tracks(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write the centres of objects as the table of a napari Tracks layer; see `write_tracks`.

    Returns
    -------
    list of str
        What the format could not hold.
    """
    objects = TrackedObjects.of(objects)
    graph, notes = track_graph(objects, watch)
    first = 0 if objects.is_deep else 1
    table = np.column_stack([graph.object_ids, graph.times, graph.centres[:, first:]])
    table = table[np.lexsort((graph.times, graph.object_ids))]
    write_tracks(path, Tracks(table, graph.lineage.graph()), overwrite=overwrite)
    return ["masks are not in it: a table of tracks has positions only", *notes]


def read_tracks(path: str | Path) -> Tracks:
    """Read tracks that `write_tracks` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If a column is missing or a value is no number; the message names the line.
    """
    rows: list[tuple[float, ...]] = []
    graph: dict[int, list[int]] = {}
    with Path(path).open(newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        columns = _DEEP_COLUMNS if "z" in (reader.fieldnames or ()) else _COLUMNS
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}: it needs track_id, t, y, x")
        for row in reader:
            try:
                track = int(row["track_id"])
                rows.append((track, *(float(row[name]) for name in columns[1:])))
                parents = [int(parent) for parent in (row.get(_PARENTS) or "").split(";") if parent]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
            if parents:
                graph[track] = parents
    return Tracks(np.array(rows, dtype=np.float64).reshape(-1, len(columns)), graph)
