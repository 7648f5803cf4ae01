"""What other tools made, as a session to be corrected here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_sam2.editing.document import Document
from napari_sam2.editing.lives import end_mothers
from napari_sam2.editing.objects import ObjectInfo, ReviewState
from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.read_geff import GeffTracks, is_geff, read_geff
from napari_sam2.io.read_planes import PlaneMovie, read_planes
from napari_sam2.io.session_file import SUFFIX, MovieStamp, SessionFolder
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_folder
from napari_sam2.masklets import MaskletSet
from napari_sam2.prompts import MaskPrompt, PointPrompt

__all__ = ["Imported", "document_of", "import_session"]


@dataclass(frozen=True, slots=True)
class Imported:
    """A session that was made.

    Attributes
    ----------
    path : Path
        The session.
    num_objects, num_divisions : int
    notes : tuple of str
        What could not be taken over.
    """

    path: Path
    num_objects: int
    num_divisions: int
    notes: tuple[str, ...] = ()


def import_session(
    source: str | Path,
    movie: str | Path,
    out: str | Path,
    *,
    axes: str | None = None,
    calibration: Calibration | None = None,
) -> Imported:
    """Make a session from the objects of another tool.

    Parameters
    ----------
    source : str or Path
        A folder of the Cell Tracking Challenge (results or ground truth), a GEFF with or without
        masks, a label stack, or results of ``napari-sam2 track``.
    movie : str or Path
        The movie that it was made on.
    out : str or Path
        The session to make, by custom ``NAME.sam2``; nothing is ever replaced.
    axes : str, optional
        The order of the axes of the movie where its file does not say it.
    calibration : Calibration, optional
        Of the movie where its file does not say it.

    Returns
    -------
    Imported

    Raises
    ------
    FileNotFoundError
        If source or movie is not there.
    FileExistsError
        If there is something at `out`.
    ValueError
        If the source is none of these, is damaged, or is of a movie of another size.
    OSError
        If the disk is full; nothing is left behind.
    """
    place = Path(out).expanduser()
    place = place if place.suffix == SUFFIX else place.with_name(place.name + SUFFIX)
    if place.exists():
        raise FileExistsError(f"{place} exists: a session is never replaced; choose a new name")
    pixels = read_planes(movie, axes)
    known = calibration or read_calibration(movie)
    document, notes = _document(Path(source).expanduser(), pixels, known)
    origin = str(Path(source).expanduser().absolute())
    settings: dict[str, Any] = {"imported_from": origin, **known.as_settings()}
    if axes is not None:
        settings["axes"] = axes
    stamp = MovieStamp.of(pixels, movie)
    with writing_folder(place, lambda _: False, overwrite=False) as unfinished:
        SessionFolder(unfinished, stamp).write_all(document, settings)
    mothers = set(document.lineage.values())
    return Imported(place, len(document.object_ids), len(mothers), notes)


def document_of(objects: TrackedObjects) -> Document:
    """Return objects as what a person corrects.

    Returns
    -------
    Document
        Each object has its mask on the first frame as a prompt, so that a correction elsewhere is
        seen on the background of how the object looks.
    """
    document = Document(MaskletSet(objects.masks.shape), objects.planes)
    first: dict[int, tuple[int, int, int]] = {}
    for plane in range(objects.masks.shape[0]):
        time, _ = objects.planes.place(plane)
        for object_id, record in objects.masks.on(plane).items():
            document.masklets.write(object_id, plane, record)
            known = first.get(object_id)
            if known is None or (known[0] == time and record.area > known[1]):
                first[object_id] = time, record.area, plane
    size = objects.masks.shape[1:]
    for object_id, (_, _, plane) in sorted(first.items()):
        record = objects.masks.on(plane)[object_id]
        document.masklets.write(object_id, plane, replace(record, prompted=True))
        document.prompts.add(MaskPrompt(object_id, plane, record.mask(size)))
    _describe(document, objects)
    return document


def _describe(document: Document, objects: TrackedObjects | GeffTracks) -> None:
    """Note parents, names and what was accepted; mothers end where their daughters begin."""
    for object_id in document.object_ids:
        mother = objects.lineage.mother_of(object_id)
        name = objects.names.get(object_id, "")
        is_accepted = object_id in objects.accepted
        if mother is not None or name or is_accepted:
            state: ReviewState = "accepted" if is_accepted else "in work"
            document.objects[object_id] = ObjectInfo(object_id, name, state, mother)
    masks = {one.object_id: one.first_visible for one in document.masklets}
    begins = {i: min(document.prompts.frames(i), default=None) for i in document.object_ids}
    begins |= {i: first for i, first in masks.items() if first is not None}
    end_mothers(document, {i: first for i, first in begins.items() if first is not None})


def _document(
    source: Path, movie: PlaneMovie, calibration: Calibration
) -> tuple[Document, tuple[str, ...]]:
    """Read any source for a movie; return it with what could not be taken over."""
    shape = movie.shape[:3]
    if is_geff(source):
        tracks = read_geff(source, calibration)
        if tracks.masks is None:
            return _clicks(tracks, movie)
        objects = TrackedObjects(
            tracks.masks, tracks.lineage, names=tracks.names, accepted=tracks.accepted,
            notes=tracks.notes,
        )  # fmt: skip
    else:
        objects = open_tracked(source)
    if objects.masks.shape != shape:
        raise ValueError(
            f"{source} has masks of {objects.masks.shape} (frames, height, width) and the movie "
            f"has {shape}: give the movie that they were made on"
        )
    objects = replace(objects, grid=movie.grid, movie=None)
    document = document_of(objects)
    if not document.object_ids:
        raise ValueError(f"{source} holds no object: there is nothing to correct")
    return document, objects.notes


def _clicks(tracks: GeffTracks, movie: PlaneMovie) -> tuple[Document, tuple[str, ...]]:
    """Return the nodes of a graph without masks as clicks, one a frame."""
    planes, height, width = movie.shape[:3]
    document = Document(MaskletSet((planes, height, width)), movie.grid)
    outside = 0
    for object_id, time, (z, y, x) in zip(
        tracks.object_ids.tolist(), tracks.times.tolist(), tracks.centres.tolist(), strict=True
    ):
        plane = movie.grid.plane(time, round(z)) if movie.grid.times > 1 else int(time + round(z))
        if 0 <= plane < planes and -0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5:
            document.prompts.add(PointPrompt(object_id, plane, (y, x)))
        else:
            outside += 1
    if not document.object_ids:
        raise ValueError(
            "no node of the graph lies in the movie: give the movie that it was made on, or its "
            "pixel size"
        )
    _describe(document, tracks)
    notes = ["the graph has no masks: its nodes are clicks, for a run to answer"]
    if outside:
        notes.append(f"{outside} nodes outside the movie left out")
    return document, (*notes, *tracks.notes)
