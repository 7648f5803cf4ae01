"""A run in progress, on the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from napari_sam2.widgets.messages import Progress

if TYPE_CHECKING:
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor


class Run:
    """A propagation in progress: the predictor's generator and the time spent in it."""

    def __init__(
        self, number: int, results: Iterator[FrameResult], total: int, work_total: int = 0
    ) -> None:
        self.number = number
        self._results = results
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
        options: PropagateOptions,
    ) -> Run:
        """Begin a run.

        Raises
        ------
        ValueError
            If there is nothing to propagate or the range is not in the movie.
        """
        from napari_sam2.predictor.plane_runs import count_results

        total, work = count_results(session, options), masks_of_run(session, options)
        return cls(number, predictor.propagate(session, options), total, work)

    @property
    def progress(self) -> Progress:
        """How far it has come; waiting for clicks, pauses or the window does not count as time."""
        total = max(self._total, self._done)
        work_total = max(self._work_total, self._work) if self._work_total else 0
        return Progress(self._done, total, self._seconds, self._work, work_total)

    def step(self) -> FrameResult | None:
        """Track one more frame; None when there is none left."""
        started = time.perf_counter()
        result = next(self._results, None)
        self._seconds += time.perf_counter() - started
        if result is not None:
            self._done += 1
            self._work += len(result.objects)
        return result

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
