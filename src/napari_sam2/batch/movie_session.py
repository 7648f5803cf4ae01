"""The session of a job: begun from prompts or from another session, or gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sam2.batch.checkpoint import Checkpoint, Progress
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.movie_folder import MovieFolder
from napari_sam2.batch.seeding import prompts_of
from napari_sam2.batch.sources import frames_of
from napari_sam2.editing.document import Document
from napari_sam2.editing.lives import end_mothers
from napari_sam2.io.read_planes import PlaneMovie
from napari_sam2.io.session_file import MovieStamp, SessionFolder, SessionRecord, read_session
from napari_sam2.io.spilled_masks import SpilledMasks
from napari_sam2.predictor.automatic_state import SearchState
from napari_sam2.predictor.frames import ArrayFrames, IntensityMapping
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.stack_state import StackState
from napari_sam2.predictor.video import VideoPredictor

__all__ = ["MovieSession"]

_HELD = 64
"""Frames whose masks are held in memory."""


class MovieSession:
    """The movie of a job with prompts and masks, in memory and on disk.

    Parameters
    ----------
    session : VideoSession
        What the engine sees; its masks are spilled.
    document : Document
        What a person sees.
    home : SessionFolder
        Where it is saved.
    masks : SpilledMasks
    settings : dict
        What the session says beside that.
    """

    def __init__(
        self,
        session: VideoSession,
        document: Document,
        home: SessionFolder,
        masks: SpilledMasks,
        settings: dict[str, Any],
    ) -> None:
        self.session = session
        self.document = document
        self.home = home
        self.masks = masks
        self.settings = settings

    @classmethod
    def begin(
        cls, job: JobSpec, folder: MovieFolder, movie: PlaneMovie, predictor: VideoPredictor
    ) -> MovieSession:
        """Take the prompts of a job, or the session that it names with its masks.

        Raises
        ------
        ValueError
            If there is nothing to track, or a prompt lies outside the movie.
        """
        shutil.rmtree(folder.session, ignore_errors=True)
        stamp = MovieStamp.of(movie, None if "://" in job.movie else job.movie or None)
        record = None if job.session is None else read_session(job.session, with_masks=False)
        is_same = record is not None and record.movie.problem_with(stamp) is None
        if record is not None and is_same:
            _copy_masks(Path(job.session or ""), folder.session)
        settings: dict[str, Any] = {} if record is None else dict(record.settings)
        if not is_same:
            settings.pop("intensities", None)
        home = SessionFolder(folder.session, _named(stamp, job, record))
        opened = cls._open(job, home, settings, movie)
        if record is None:
            for prompt in prompts_of(job, movie.grid):
                opened.session.add(prompt)
        else:
            opened._take(record, with_objects=is_same)
        if not (opened.session.prompts.object_ids() or job.automatic):
            raise ValueError("no object has a prompt: there is nothing to track")
        predictor.restore(opened.session)
        opened.save_head()
        return opened

    @classmethod
    def go_on(
        cls,
        job: JobSpec,
        folder: MovieFolder,
        movie: PlaneMovie,
        predictor: VideoPredictor,
        checkpoint: Checkpoint,
    ) -> tuple[MovieSession, Progress, StackState | None]:
        """Go on where a run was ended, with all that the engine remembered.

        Raises
        ------
        ValueError
            If the folder is damaged.
        """
        record = read_session(folder.session, with_masks=False)
        home = SessionFolder(folder.session, record.movie)
        opened = cls._open(job, home, dict(record.settings), movie)
        opened._take(record, with_objects=True)
        session = opened.session
        predictor.restore(session, [])
        progress, waiting, stack = checkpoint.load(session, str(predictor.runtime.device))
        if progress.search is not None:
            opened._forget_but(SearchState.from_json(progress.search).object_ids)
        elif job.divided == "daughters":
            opened._forget_but(session.objects)
            opened._take_daughters(progress.mothers)
        for frame, records in waiting.items():
            for object_id in set(opened.masks.on(frame)) - set(records):
                session.masklets.remove(object_id, [frame])
            for object_id, one in records.items():
                session.masklets.write(object_id, frame, one)
        opened.masks.flush()
        for object_id, state in session.objects.items():
            frames = opened.masks.frames_of(object_id).tolist()
            state.tracked = dict.fromkeys(frames, state.revision)
        return opened, progress, stack

    @classmethod
    def _open(
        cls, job: JobSpec, home: SessionFolder, settings: dict[str, Any], movie: PlaneMovie
    ) -> MovieSession:
        frames = frames_of(movie)
        session = VideoSession.open(frames, _mapping(job, frames, settings))
        # Through the planes of a time one goes again and again.
        held = max(_HELD, 2 * frames.grid.slices)
        masks = SpilledMasks(home.masks, session.shape, held)
        if frames.grid.slices > 1:
            settings.setdefault("axes", movie.axes)
        session.masklets = masks.masklets
        shown = session.mapping
        settings["intensities"] = {
            "low": list(shown.low),
            "high": list(shown.high),
            "channels": list(shown.channels),
            "gamma": list(shown.gamma),
        }
        return cls(session, Document(masks.masklets), home, masks, settings)

    def save_head(self) -> None:
        """Save everything but the masks."""
        document = self.document
        document.prompts = self.session.prompts
        self.home.write_head(document, self.settings)

    def finish(self, parents: dict[int, int]) -> None:
        """Save all of it, with the mothers that are known by now."""
        for daughter, mother in parents.items():
            info = self.document.info(daughter)
            self.document.objects[daughter] = replace(info, parent=mother)
        seen = {daughter: self.masks.first_seen(daughter) for daughter in parents}
        end_mothers(self.document, {i: first for i, first in seen.items() if first is not None})
        self.masks.compact()
        self.save_head()

    def _forget_but(self, found: Container[int]) -> None:
        """Forget objects that were found after the state was kept: they are found again."""
        for object_id in self.session.prompts.object_ids():
            if object_id not in found:
                self.session.prompts.remove_object(object_id)

    def _take_daughters(self, mothers: dict[int, int]) -> None:
        """Take what a run has found out of divisions; lives of daughters begin where they do."""
        # Those of the session that the job was begun with may have no prompt.
        taken_on = {i: one for i, one in mothers.items() if i not in self.session.mothers}
        self.session.mothers |= taken_on
        for daughter in taken_on:
            self.session.locks.limit(daughter, min(self.session.prompts.frames(daughter)), None)

    def _take(self, record: SessionRecord, *, with_objects: bool) -> None:
        """Take prompts and, of the same movie, what is known of objects; rejected ones rest."""
        document = record.document
        rejected = {i for i, info in document.objects.items() if info.state == "rejected"}
        for prompt in document.prompts.all():
            if prompt.object_id not in rejected:
                self.session.add(prompt)
        if not with_objects:
            return
        self.session.mothers = dict(document.lineage)
        self.document.objects = dict(document.objects)
        for object_id, info in document.objects.items():
            self.session.locks.add(object_id, info.locked)
            self.session.locks.limit(object_id, info.first, info.last)
            if info.is_fixed:
                self.session.locks.add(object_id)


def _mapping(job: JobSpec, frames: ArrayFrames, settings: dict[str, Any]) -> IntensityMapping:
    """Return the intensities that were saved, or those that are asked for."""
    shown = settings.get("intensities")
    if shown is not None:
        gamma = tuple(shown.get("gamma", ()))
        return IntensityMapping(
            tuple(shown["low"]), tuple(shown["high"]), tuple(shown["channels"]), gamma
        )
    channels = None
    if job.channels is not None:
        numbers = [int(part) for part in job.channels.split(",")]
        red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
        channels = red, green, blue
    found = IntensityMapping.from_percentiles(frames, channels=channels)
    count = len(found.low)
    return IntensityMapping(
        found.low if job.low is None else (job.low,) * count,
        found.high if job.high is None else (job.high,) * count,
        found.channels,
    )


def _named(stamp: MovieStamp, job: JobSpec, record: SessionRecord | None) -> MovieStamp:
    """Return the stamp with the place of the movie, which may be known to the session only."""
    if job.movie or record is None:
        return replace(stamp, path=job.movie if "://" in job.movie else stamp.path)
    return replace(stamp, path=record.movie.path)


def _copy_masks(source: Path, target: Path) -> None:
    source = source.parent if source.name == "session.json" else source
    target.mkdir(parents=True)
    shutil.copytree(source / "masks.zarr", target / "masks.zarr")
    if (source / "scores.jsonl").is_file():
        shutil.copy2(source / "scores.jsonl", target / "scores.jsonl")
