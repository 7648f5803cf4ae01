"""One movie of a batch, from the beginning or from where it was ended, to its files."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import psutil

from napari_sam2.batch.checkpoint import Checkpoint, Progress
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.movie_folder import MovieFolder
from napari_sam2.batch.movie_report import (
    MovieReport,
    describe_objects,
    divisions_of,
    qualities_of,
)
from napari_sam2.batch.movie_session import MovieSession
from napari_sam2.batch.network import describe_network, predictor_of
from napari_sam2.batch.outputs import write_outputs, write_strip
from napari_sam2.batch.plan import PlannedJob, propagate_options
from napari_sam2.batch.seeding import search_of
from napari_sam2.batch.sources import Sources
from napari_sam2.predictor.automatic_masklets import AutomaticMasklets
from napari_sam2.predictor.automatic_state import SearchState
from napari_sam2.predictor.plane_runs import count_results, propagate_planes
from napari_sam2.predictor.results import FrameResult
from napari_sam2.predictor.stack_state import StackState
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.tracking.lineage import Lineage
from napari_sam2.tracking.quality import ObjectQuality

__all__ = ["Watch", "run_movie"]

Watch = Callable[[str, int, int], bool | None]
"""Called with title, frames done and frames in all; True stops after this frame."""


def run_movie(
    planned: PlannedJob, watch: Watch = lambda title, done, total: None, *, overwrite: bool = False
) -> MovieReport:
    """Track one movie and write its outputs; finished ones are left as they are.

    Parameters
    ----------
    planned : PlannedJob
    watch : callable
        Is told of every frame.
    overwrite : bool
        Whether to begin anew what is there.

    Returns
    -------
    MovieReport

    Raises
    ------
    ValueError, OSError, RuntimeError
        If the movie cannot be read, the disk is full, or another process works on it. What was
        tracked stays, and the next run goes on from there.

    Notes
    -----
    The state of the engine is kept after each frame and nothing encoded outlives one, so that a run
    that is killed and gone on with computes the very same numbers as one that is not.
    """
    folder = planned.folder
    with folder.held():
        if overwrite:
            folder.clear(planned.spec)
        if folder.is_finished:
            return MovieReport.from_json({**folder.result(), "outcome": "was done"})
        folder.begin(planned.spec)
        run = _MovieRun(planned, folder)
        try:
            if not run.track(watch):
                return run.stopped()
            return run.finish()
        except Exception as error:
            folder.note("failed", error=f"{type(error).__name__}: {error}")
            raise


class _MovieRun:
    """The run of one movie in this process."""

    def __init__(self, planned: PlannedJob, folder: MovieFolder) -> None:
        self._job = planned.spec
        self._folder = folder
        self._checkpoint = Checkpoint(folder.memories)
        self._process = psutil.Process()
        self._peak = 0
        self._open()
        self._saved_prompts = self._opened.session.prompts.revision

    def _open(self) -> None:
        job, folder = self._job, self._folder
        sources = Sources.of(job)
        model = sources.model
        # The files of the movie are opened once for reading and for the outputs.
        self._movie = sources.open()
        self._predictor = _predictor(self._job, model)
        self._is_line = self._movie.grid.is_line
        self._stack = None if self._is_line else StackState(forgets=True)
        if self._checkpoint.index.is_file():
            self._opened, self._progress, self._stack = MovieSession.go_on(
                job, folder, self._movie, self._predictor, self._checkpoint
            )
        else:
            self._opened = MovieSession.begin(job, folder, self._movie, self._predictor)
            about = describe_network(model, self._predictor.model)
            self._opened.settings |= {"model": model, "model_sha256": about["sha256"]}
            self._opened.save_head()
            self._progress = Progress(0, -1, 0, 0.0)
        folder.note("started", frames_done=self._progress.count)

    def track(self, watch: Watch) -> bool:
        """Track what is not tracked yet; return whether that is all of it."""
        session = self._opened.session
        if self._is_line:
            self._predictor.commit(session)
        before, started = self._progress, time.perf_counter()
        search = self._search()
        results, total = self._of_prompts() if search is None else self._of_search(search)
        for result in results:
            spent = before.seconds + time.perf_counter() - started
            self._keep(result, search, spent)
            if watch(self._job.title, self._progress.count, total):
                return False
        if search is not None:
            search.decide()
            self._progress = replace(self._progress, search=search.state.as_json())
            self._checkpoint.save(session, self._progress, {})
            for _ in search.conclude():
                pass
            watch(self._job.title, total, total)
        return True

    def _search(self) -> AutomaticMasklets | None:
        kept = self._progress.search
        state = None if kept is None else SearchState.from_json(kept)
        return search_of(self._job, self._predictor, self._opened.session, state)

    def _of_prompts(self) -> tuple[Iterator[FrameResult], int]:
        """Return the results of the objects that have prompts, and how many they are in all."""
        session, before = self._opened.session, self._progress
        options = propagate_options(self._job, resume=True)
        if self._stack is not None:
            run = propagate_planes(self._predictor, session, options, self._stack)
            return run, count_results(session, options)
        begun = {1: (1,), -1: (1, -1)}.get(before.step, ())
        left = count_results(session, options)
        return self._predictor.propagate(session, options, begun), before.count + left

    def _of_search(self, search: AutomaticMasklets) -> tuple[Iterator[FrameResult], int]:
        """Return the results of a search, and how many they are at most."""
        return search.follow(), search.most_results()

    def _keep(self, result: FrameResult, search: AutomaticMasklets | None, spent: float) -> None:
        """Bring the state after a frame to the disk."""
        session, masks = self._opened.session, self._opened.masks
        # Prompts first: those that the state does not know are found again.
        if session.prompts.revision != self._saved_prompts:
            self._opened.save_head()
            self._saved_prompts = session.prompts.revision
        self._progress = Progress(
            result.step,
            result.frame,
            self._progress.count + 1,
            spent,
            None if search is None else search.state.as_json(),
            dict(session.mothers),
        )
        if self._is_line:
            # What was encoded for this frame must not decide how the next one is computed.
            session.features.clear()
        self._checkpoint.save(session, self._progress, masks.waiting(), self._stack)
        masks.flush()
        self._peak = max(self._peak, self._process.memory_info().rss)

    def finish(self) -> MovieReport:
        """Write the session and the outputs, measure, and give the folder its name."""
        opened, folder = self._opened, self._folder
        opened.masks.flush()
        grid = self._movie.grid
        qualities = qualities_of(opened.session.masklets, grid)
        opened.finish(self._parents(qualities))
        notes = write_outputs(self._job, folder, opened, self._movie)
        write_strip(folder, opened)
        folder.note("finished", frames_done=self._progress.count)
        report = self._report("done", describe_objects(qualities, grid), tuple(notes))
        folder.finish(report.as_json())
        return report

    def _parents(self, qualities: Mapping[int, ObjectQuality]) -> dict[int, int]:
        """Return who is whose daughter, as far as nobody has said it yet."""
        if self._progress.search is not None:
            return SearchState.from_json(self._progress.search).mothers
        # The planes of one time are no times of their own: divisions are looked for in movies.
        known, session = self._opened.document.lineage, self._opened.session
        taken_on = {i: mother for i, mother in session.mothers.items() if i not in known}
        if known or self._movie.grid.slices > 1:
            return taken_on
        found = Lineage.from_mothers(divisions_of(session.masklets, qualities))
        return found.completing(taken_on).mothers

    def stopped(self) -> MovieReport:
        """Say how far it came."""
        peak = round(self._peak / 2**20, 1)
        self._folder.note("stopped", frames_done=self._progress.count, peak_mb=peak)
        return self._report("stopped", {}, ())

    def _report(
        self, outcome: Literal["done", "stopped"], objects: dict[str, Any], notes: tuple[str, ...]
    ) -> MovieReport:
        events = self._folder.events()
        handed_over = sum(event["event"] == "handed over" for event in events)
        earlier = max((event.get("peak_mb", 0.0) for event in events), default=0.0)
        return MovieReport(
            title=self._job.title,
            folder=str(self._folder.final if outcome == "done" else self._folder.work),
            outcome=outcome,
            frames=len(self._movie.grid),
            slices=self._movie.grid.slices,
            seconds=round(self._progress.seconds, 3),
            peak_mb=max(earlier, round(self._peak / 2**20, 1)),
            starts=sum(event["event"] == "started" for event in events) - handed_over,
            blocks=handed_over + 1,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            notes=notes,
            **objects,
        )


def _predictor(job: JobSpec, model: str) -> VideoPredictor:
    return predictor_of(model, job.device, job.dtype, job.predictor_options)
