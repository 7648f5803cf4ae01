"""The files of one movie: what was asked for, and a strip of pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.movie_folder import MovieFolder
from napari_sam2.batch.movie_session import MovieSession
from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.contact_sheet import Tile, write_contact_sheet
from napari_sam2.io.export import export
from napari_sam2.io.open_tracked import objects_of
from napari_sam2.io.tracked_objects import TrackedObjects

__all__ = ["write_outputs", "write_strip"]

_TILES = 6
_TILE_SIZE = 200


def write_outputs(job: JobSpec, folder: MovieFolder, opened: MovieSession, movie: Any) -> list[str]:
    """Write every output that the job asks for.

    Returns
    -------
    list of str
        What formats could not hold.

    Raises
    ------
    OSError
        If the disk is full.
    """
    objects = _objects(job, opened, movie)
    notes = list(objects.notes)
    if not objects.masks.object_ids():
        return [*notes, "no object was seen on any frame: there are no outputs"]
    for name in job.outputs:
        done = export(objects, folder.output(name), format=name, overwrite=True)
        notes += [f"{name}: {note}" for note in done.notes]
    return list(dict.fromkeys(notes))


def write_strip(folder: MovieFolder, opened: MovieSession) -> None:
    """Draw a few frames, from the first to the last, with the outlines of their objects."""
    frames = opened.session.num_frames
    chosen = np.unique(np.linspace(0, frames - 1, min(_TILES, frames)).round().astype(int))
    tiles = [
        Tile(t, opened.session.frames.read(t), opened.session.masklets.labels(t, np.dtype("u4")))
        for t in chosen.tolist()
    ]
    write_contact_sheet(
        folder.strip, tiles, tile_size=_TILE_SIZE, overwrite=True, columns=len(tiles)
    )


def _objects(job: JobSpec, opened: MovieSession, movie: Any) -> TrackedObjects:
    path = opened.home.movie.path
    is_local = path is not None and "://" not in path
    return replace(
        objects_of(opened.document, job.title, opened.masks),
        calibration=read_calibration(path) if is_local and path else Calibration(),
        movie=movie,
    )
