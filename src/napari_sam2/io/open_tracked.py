"""What was saved, opened for export: a session, the results of a run, or a label stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2.editing.document import Document
from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.challenge import find_challenge_folder
from napari_sam2.io.read_ctc import read_ctc, with_tracks_beside
from napari_sam2.io.read_geff import is_geff, read_geff
from napari_sam2.io.read_planes import PlaneMovie, read_fitting, read_planes
from napari_sam2.io.read_zarr import is_address
from napari_sam2.io.session_file import read_session
from napari_sam2.io.session_masks import SessionMasks
from napari_sam2.io.spilled_masks import SpilledMasks
from napari_sam2.io.tracked_objects import LabelMasks, MaskletMasks, SpilledPlanes, TrackedObjects
from napari_sam2.io.tracks import read_tracks
from napari_sam2.tracking.lineage import Lineage

__all__ = ["objects_of", "open_tracked"]

_LEAST_EVEN = 0.5
"""Share of pixels that are like their neighbour: more in any labels, fewer in a grey picture."""


def open_tracked(
    path: str | Path, movie: str | Path | None = None, axes: str | None = None
) -> TrackedObjects:
    """Open what was saved.

    Parameters
    ----------
    path : str or Path
        A session (``NAME.sam2``), the folder that ``napari-sam2 track`` wrote, a folder of the Cell
        Tracking Challenge, a GEFF with masks, or a label stack. Objects that were rejected are left
        out.
    movie : str or Path, optional
        The movie, if it is not where it was, or is not named.
    axes : str, optional
        The order of the axes of the movie where its file does not say it.

    Returns
    -------
    TrackedObjects
        With the movie, if it is there, and what the session or else the movie says of the size of
        its pixels.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path` or `movie`.
    ValueError
        If it is nothing of these, or the movie is of another size.
    """
    where = Path(path).expanduser()
    if (where / "session.json").is_file() or where.name == "session.json":
        folder = where.parent if where.name == "session.json" else where
        record = read_session(folder, with_masks=False)
        shape = record.movie.shape
        masks = SpilledMasks(SessionMasks(folder, shape), shape)
        objects = objects_of(record.document, Path(record.movie.path or folder).stem, masks)
        shown = record.settings.get("axes")
        objects = _with_movie(objects, movie, record.movie.path, axes, shown)
        noted = Calibration.from_settings(record.settings)
        return objects if noted == Calibration() else replace(objects, calibration=noted)
    if (where / "run.json").is_file():
        return _open_results(where, movie, axes)
    if find_challenge_folder(where) is not None:
        return _with_movie(read_ctc(where), movie, None, axes)
    if is_geff(where):
        return _with_movie(_of_geff(where), movie, None, axes)
    objects = with_tracks_beside(_of_labels(read_planes(where), where), where)
    return _with_movie(objects, movie, None, axes)


def objects_of(
    document: Document, name: str = "movie", masks: SpilledMasks | None = None
) -> TrackedObjects:
    """Return the objects of a document as they are now, without those that were rejected.

    Parameters
    ----------
    document : Document
        May be changed afterwards.
    name : str
        What the movie is called.
    masks : SpilledMasks, optional
        The masks, where they are on disk; those of the document by default.
    """
    infos = dict(document.objects)
    rejected = frozenset(i for i, info in infos.items() if info.state == "rejected")
    mothers = {
        daughter: mother
        for daughter, mother in document.lineage.items()
        if not rejected & {daughter, mother}
    }
    count = len(rejected)
    notes = (f"{count} rejected object{'s' * (count != 1)} left out",) if rejected else ()
    return TrackedObjects(
        MaskletMasks(document.masklets, rejected)
        if masks is None
        else SpilledPlanes(masks, rejected),
        Lineage.from_mothers(mothers),
        name=name,
        names={i: info.name for i, info in infos.items() if info.name and i not in rejected},
        accepted=frozenset(i for i, info in infos.items() if info.state == "accepted"),
        notes=notes,
    )


def _open_results(folder: Path, movie: str | Path | None, axes: str | None) -> TrackedObjects:
    """Open the labels and tracks that a run wrote, and the movie that it names."""
    run: Mapping[str, Any] = json.loads((folder / "run.json").read_text())
    stack = folder / "labels.zarr"
    objects = _of_labels(read_planes(stack if stack.is_dir() else folder / "labels.tif"), folder)
    if (folder / "tracks.csv").is_file():
        graph = read_tracks(folder / "tracks.csv").graph
        lineage = Lineage.from_mothers({daughter: found[0] for daughter, found in graph.items()})
        objects = replace(objects, lineage=lineage)
    return _with_movie(objects, movie, run.get("movie"), axes)


def _of_geff(path: Path) -> TrackedObjects:
    tracks = read_geff(path)
    if tracks.masks is None or tracks.labels is None:
        raise ValueError(f"{path} is a graph without masks: only one with masks can be exported")
    return TrackedObjects(
        tracks.masks, tracks.lineage, tracks.labels.grid, names=tracks.names,
        accepted=tracks.accepted, name=path.stem, notes=tracks.notes,
    )  # fmt: skip


def _of_labels(labels: PlaneMovie, path: Path) -> TrackedObjects:
    if len(labels.shape) != 3 or labels.dtype.kind not in "uib":
        raise ValueError(
            f"{path} holds {labels.dtype} of shape {labels.shape} and not labels: give a session, "
            "the results of a run, or integers, one id an object"
        )
    first = labels[0]
    if first.shape[1] > 1 and np.mean(first[:, 1:] == first[:, :-1]) < _LEAST_EVEN:
        raise ValueError(
            f"{path} looks like a picture and not like labels: neighbours differ in most places of "
            "its first frame; give a session, the results of a run, or a label stack"
        )
    name = path.name.partition(".")[0]
    return TrackedObjects(
        LabelMasks(labels), grid=labels.grid, calibration=read_calibration(path), name=name
    )


def _with_movie(
    objects: TrackedObjects,
    given: str | Path | None,
    noted: str | None,
    axes: str | None,
    shown: str | None = None,
) -> TrackedObjects:
    """Add the movie that is given, or the one that was noted if it is still there.

    `shown` are the axes of the layer that it was; the file may have one for channels, too.
    """
    path = given if given is not None else noted
    if path is None:
        return objects
    if given is None and not is_address(path) and not Path(path).exists():
        return objects.noting(f"the movie is not at {path} any more: name it with --movie")
    letters = (axes,) if axes else (shown, f"{shown}C", None)
    movie = read_fitting(path, letters, objects.masks.shape)
    if given is None and movie.shape[:3] != objects.masks.shape:
        return objects.noting(f"{path} has another size now: name the movie with --movie")
    found = read_calibration(path)
    return replace(
        objects,
        movie=movie,
        grid=movie.grid,
        calibration=found if found != Calibration() else objects.calibration,
        name=Path(path).name.partition(".")[0],
    )
