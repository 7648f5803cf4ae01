"""Lets napari save layers: labels as a compressed TIFF, tracks as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2.io.label_stack import write_label_tiff
from napari_sam2.io.tracks import write_tracks
from napari_sam2.tracking.tracks import Tracks


def write_labels(path: str, data: Any, _attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a compressed TIFF, frame by frame; napari has asked to overwrite.

    Raises
    ------
    OSError
        If the disk is full; an older file stays as it was.
    """
    labels = data[0] if isinstance(data, list | tuple) else data  # multiscale: the finest level
    labels = labels if len(labels.shape) > 2 else np.asarray(labels)[None]
    return [str(write_label_tiff(path, labels, overwrite=True))]


def write_track_table(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Tracks layer as CSV, with the parents of each track.

    Raises
    ------
    OSError
        If the disk is full; an older file stays as it was.
    """
    table = np.asarray(data, dtype=np.float64)
    graph = {
        int(daughter): [int(mother) for mother in np.atleast_1d(mothers)]
        for daughter, mothers in attributes.get("graph", {}).items()
    }
    return [str(write_tracks(Path(path), Tracks(table, graph), overwrite=True))]
