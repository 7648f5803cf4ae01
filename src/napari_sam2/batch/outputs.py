"""The files of one movie: what was asked for, and a strip of pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.movie_folder import MovieFolder
from napari_sam2.batch.movie_session import MovieSession
from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.contact_sheet import Tile, write_contact_sheet
from napari_sam2.io.export import export
from napari_sam2.io.open_tracked import objects_of
from napari_sam2.io.read_planes import PlaneMovie
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.predictor.composed_frames import grid_of

__all__ = ["write_outputs", "write_strip"]

_TILES = 6
_TILE_SIZE = 200


def write_outputs(
    job: JobSpec, folder: MovieFolder, opened: MovieSession, movie: PlaneMovie
) -> list[str]:
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
    """Draw a few frames, from the first to the last, with the outlines of their objects.

    Of a movie of stacks, the middle slice of a few times.
    """
    grid = grid_of(opened.session.frames)
    planes = range(len(grid)) if grid.is_line else grid.along_time(grid.slices // 2)
    count = min(_TILES, len(planes))
    chosen = np.unique(np.linspace(0, len(planes) - 1, count).round().astype(int)).tolist()
    tiles = [
        Tile(
            number,
            opened.session.frames.read(planes[number]),
            opened.session.masklets.labels(planes[number], np.dtype("u4")),
        )
        for number in chosen
    ]
    write_contact_sheet(
        folder.strip, tiles, tile_size=_TILE_SIZE, overwrite=True, columns=len(tiles)
    )


def _objects(job: JobSpec, opened: MovieSession, movie: PlaneMovie) -> TrackedObjects:
    path = opened.home.movie.path
    known = Calibration.from_settings(opened.settings)
    if known == Calibration() and path is not None and "://" not in path:
        known = read_calibration(path)
    return replace(
        objects_of(opened.document, job.title, opened.masks),
        calibration=known,
        movie=movie,
        grid=movie.grid,
    )
