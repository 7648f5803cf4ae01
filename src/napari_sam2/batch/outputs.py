"""The files of one movie: what was asked for, and a strip of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.movie_folder import MovieFolder
from napari_sam2.batch.movie_session import MovieSession
from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.contact_sheet import Tile, write_contact_sheet
from napari_sam2.io.export import export
from napari_sam2.io.spilled_masks import SpilledMasks
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.masklets import MaskRecord
from napari_sam2.tracking.lineage import Lineage

__all__ = ["write_outputs", "write_strip"]

_TILES = 6
_TILE_SIZE = 200


class _PlaneByPlane:
    """Spilled masks as the exports ask for them: a plane is read when it is its turn."""

    has_scores = True

    def __init__(self, masks: SpilledMasks, without: frozenset[int]) -> None:
        self._masks = masks
        self._without = without
        self.shape = masks.shape

    def object_ids(self) -> tuple[int, ...]:
        """Objects that are seen, ascending."""
        return tuple(i for i in self._masks.seen() if i not in self._without)

    def on(self, plane: int) -> Mapping[int, MaskRecord]:
        """Return the visible masks of a plane by object."""
        return {
            i: one
            for i, one in self._masks.on(plane).items()
            if one.visible and i not in self._without
        }


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
    document = opened.document
    rejected = frozenset(i for i, one in document.objects.items() if one.state == "rejected")
    mothers = {
        daughter: mother
        for daughter, mother in document.lineage.items()
        if not rejected & {daughter, mother}
    }
    path = opened.home.movie.path
    is_local = path is not None and "://" not in path
    return TrackedObjects(
        _PlaneByPlane(opened.masks, rejected),
        Lineage.from_mothers(mothers),
        calibration=read_calibration(path) if is_local and path else Calibration(),
        movie=movie,
        name=job.title,
        names={i: one.name for i, one in document.objects.items() if one.name},
        accepted=frozenset(i for i, one in document.objects.items() if one.state == "accepted"),
    )
