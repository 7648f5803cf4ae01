"""What corrections and divisions leave to be done, on the worker's thread, a frame at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from napari_sam2.widgets.messages import Progress

if TYPE_CHECKING:
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor

Results = Generator["FrameResult", None, None]


class FollowUp:
    """Draws the consequences of corrections, then tracks daughters on.

    A click interrupts it and is answered first; what it was about is done after it. Nothing of a
    correction is lost by that: the session itself knows which frames are out of date.
    """

    def __init__(self) -> None:
        self.is_automatic = True
        """Whether a correction is followed up without being asked for."""
        self._is_suspended = False
        self._is_due = False
        self._extensions: deque[PropagateOptions] = deque()
        self._results: Results | None = None
        self._extension: PropagateOptions | None = None
        self._done = 0
        self._seconds = 0.0

    @property
    def has_work(self) -> bool:
        """Whether there is something to do."""
        is_pending = self._is_due or bool(self._extensions) or self._results is not None
        return is_pending and not self._is_suspended

    @property
    def progress(self) -> Progress:
        """Frames done since it last had nothing to do; how many are left nobody knows."""
        return Progress(self._done, 0, self._seconds)

    def note(self) -> None:
        """Learn of a correction: what is under way begins anew after it."""
        self.interrupt()
        self._is_due = True
        self._is_suspended = False

    def extend(self, options: PropagateOptions) -> None:
        """Learn of objects that are to be tracked on."""
        self._extensions.append(replace(options, resume=True))
        self._is_suspended = False

    def interrupt(self) -> None:
        """Leave what is under way at the last frame that was done, to go on there later."""
        if self._results is None:
            return
        self._results.close()
        self._results = None
        if self._extension is not None:
            self._extensions.appendleft(self._extension)
        else:
            self._is_due = True

    def suspend(self, is_suspended: bool) -> None:
        """Hold it between two frames, or let it go on."""
        if is_suspended:
            self.interrupt()
        self._is_suspended = is_suspended

    def stop(self) -> None:
        """Forget what is left; what was done stays."""
        self.interrupt()
        self._is_due = False
        self._extensions.clear()
        self._reset()

    def step(self, predictor: VideoPredictor, session: VideoSession) -> FrameResult | None:
        """Compute one more frame; None when there is nothing left to do."""
        started = time.perf_counter()
        while self._results is not None or self._begin(predictor, session):
            assert self._results is not None
            result = next(self._results, None)
            if result is not None:
                self._done += 1
                self._seconds += time.perf_counter() - started
                return result
            self._results = self._extension = None
        return None

    def end(self) -> Progress:
        """Return how far it came, and count from nothing again."""
        progress = self.progress
        self._reset()
        return progress

    def _begin(self, predictor: VideoPredictor, session: VideoSession) -> bool:
        """Take up what comes next; False when there is nothing."""
        if self._is_due:
            self._is_due = False
            self._extension = None
            self._results = cast(Results, predictor.correct(session))
            return True
        while self._extensions:
            options = self._extensions.popleft()
            known = session.prompts.object_ids()
            objects = tuple(i for i in options.objects or known if i in known)
            if objects:  # others were deleted, or never born, meanwhile
                self._extension = replace(options, objects=objects)
                self._results = cast(Results, predictor.propagate(session, self._extension))
                return True
        return False

    def _reset(self) -> None:
        self._results = self._extension = None
        self._done, self._seconds = 0, 0.0


def is_correction(session: VideoSession, object_id: int, frame: int) -> bool:
    """Whether prompts on a frame change what was tracked around it."""
    from napari_sam2.predictor.composed_frames import grid_of
    from napari_sam2.predictor.plane_corrections import is_tracked

    if not grid_of(session.frames).is_line:
        return is_tracked(session, object_id, frame)
    state = session.objects.get(object_id)
    if state is None or frame not in state.tracked:
        return False
    return any(other not in state.bank.prompted for other in state.tracked if other != frame)
