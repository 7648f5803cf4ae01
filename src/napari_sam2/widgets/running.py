"""A run in progress, on the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.messages import Found, FrameTracked, Message, Outcome, Progress, RunEnded
from napari_sam2.widgets.search import Search, SearchOrder
from napari_sam2.widgets.session_tracks import tracks_of

if TYPE_CHECKING:
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor

_END: Any = object()


class Run:
    """A propagation or a search in progress: its generator and the time spent in it.

    Parameters
    ----------
    number : int
        Of the run.
    results : iterable of FrameResult or None
        None is a breath within a frame.
    total, work_total : int
        Frames and masks that it will make, 0 where that is not known.
    search : Search, optional
        What finds objects by itself.
    """

    def __init__(
        self,
        number: int,
        results: Iterable[FrameResult | None] = (),
        total: int = 0,
        work_total: int = 0,
        search: Search | None = None,
    ) -> None:
        self.number = number
        self.search = search
        self._results = iter(results)
        self._total = total
        self._work_total = work_total
        self._done = self._work = 0
        self._seconds = 0.0

    @classmethod
    def of(
        cls,
        number: int,
        predictor: VideoPredictor,
        session: VideoSession,
        order: PropagateOptions | SearchOrder,
    ) -> Run:
        """Begin a run.

        Raises
        ------
        ValueError
            If there is nothing to propagate or the range is not in the movie.
        """
        if isinstance(order, SearchOrder):
            search = Search(predictor, session, order)
            return cls(number, search.steps(), search.most_results, search=search)
        from napari_sam2.predictor.plane_runs import count_results

        total, work = count_results(session, order), masks_of_run(session, order)
        return cls(number, predictor.propagate(session, order), total, work)

    @property
    def progress(self) -> Progress:
        """How far it has come; waiting for clicks, pauses or the window does not count as time."""
        total = max(self._total, self._done)
        work_total = max(self._work_total, self._work) if self._work_total else 0
        return Progress(self._done, total, self._seconds, self._work, work_total)

    def step(self, movie: str) -> FrameTracked | Found | None:
        """Do one more frame, or a part of it; None when there is none left."""
        started = time.perf_counter()
        result: FrameResult | None = next(self._results, _END)
        self._seconds += time.perf_counter() - started
        if result is _END:
            return None
        if result is not None:
            self._done += 1
        if self.search is not None:
            news = self.search.report() if self.search.is_due() else None
            return Found(movie, self.number, self.progress, news)
        assert result is not None
        self._work += len(result.objects)
        return FrameTracked(movie, self.number, result, self.progress)

    def ended(self, movie: str, outcome: Outcome, session: VideoSession | None) -> list[Message]:
        """Return what there is to tell when it is over: the last finds, and all tracks."""
        tracks = None if session is None else tracks_of(session)
        end = RunEnded(movie, self.number, outcome, self.progress, tracks)
        if self.search is None:
            return [end]
        # What it would have done at most is not what there was to do.
        whole = replace(self.progress, total=self._done)
        last = Found(movie, self.number, whole, self.search.report())
        return [last, replace(end, is_search=True)]

    def close(self) -> None:
        """Leave the session at the last frame that was done."""
        close = getattr(self._results, "close", None)
        if close is not None:
            close()


def masks_of_run(session: VideoSession, options: PropagateOptions) -> int:
    """Count the masks that a run will make; 0 in a movie of stacks, where nobody knows."""
    from napari_sam2.predictor.composed_frames import grid_of
    from napari_sam2.predictor.run_plan import plan_runs

    if not grid_of(session.frames).is_line:
        return 0
    runs = plan_runs(session, options)
    return sum(len(run.objects_on(frame)) for run in runs for frame in run.frames)
