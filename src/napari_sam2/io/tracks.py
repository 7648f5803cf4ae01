"""Tracks as a CSV table in the order of napari's columns: track_id, t, y, x, and the parents."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from napari_sam2.io.writing import writing_whole
from napari_sam2.tracking.tracks import Tracks

__all__ = ["read_tracks", "write_tracks"]

_COLUMNS = ("track_id", "t", "y", "x", "parent_ids")


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
    with (
        writing_whole(path, overwrite=overwrite) as unfinished,
        unfinished.open("w", newline="") as file,
    ):
        writer = csv.writer(file)
        has_depth = tracks.table.shape[1] == 5
        writer.writerow((*_COLUMNS[:2], "z", *_COLUMNS[2:]) if has_depth else _COLUMNS)
        for track, frame, *place in tracks.table:
            parents = ";".join(map(str, tracks.graph.get(int(track), [])))
            writer.writerow((int(track), int(frame), *(f"{one:.2f}" for one in place), parents))
    return path


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
        missing = [name for name in _COLUMNS[:4] if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}: it needs track_id, t, y, x")
        places = ("z", "y", "x") if "z" in (reader.fieldnames or ()) else ("y", "x")
        for row in reader:
            try:
                track = int(row["track_id"])
                rows.append((track, float(row["t"]), *(float(row[one]) for one in places)))
                parents = [
                    int(parent) for parent in (row.get("parent_ids") or "").split(";") if parent
                ]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
            if parents:
                graph[track] = parents
    return Tracks(np.array(rows, dtype=np.float64).reshape(-1, 2 + len(places)), graph)
