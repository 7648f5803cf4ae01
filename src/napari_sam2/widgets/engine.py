"""The part of the widget that lives on the worker's thread: model, predictor and sessions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_sam2.widgets.messages import (
    Failed,
    FrameTracked,
    Message,
    ModelLoading,
    ModelReady,
    Outcome,
    Predicted,
    Progress,
    RunEnded,
    Seen,
    Task,
    Tested,
    TracksChanged,
)
from napari_sam2.widgets.session_edits import take_over
from napari_sam2.widgets.source import Movie

if TYPE_CHECKING:
    from napari_sam2.editing.change import Change
    from napari_sam2.predictor.frames import IntensityMapping
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import Prompt
    from napari_sam2.tracking.tracks import Tracks


class _Run:
    """A propagation in progress: the predictor's generator and the time spent in it."""

    def __init__(self, number: int, results: Iterator[FrameResult], total: int) -> None:
        self.number = number
        self._results = results
        self._total = total
        self._done = 0
        self._seconds = 0.0

    @property
    def progress(self) -> Progress:
        """How far it has come; waiting for clicks, pauses or the window does not count as time."""
        return Progress(self._done, max(self._total, self._done), self._seconds)

    def step(self) -> FrameResult | None:
        """Track one more frame; None when there is none left."""
        started = time.perf_counter()
        result = next(self._results, None)
        self._seconds += time.perf_counter() - started
        if result is not None:
            self._done += 1
        return result

    def close(self) -> None:
        """Leave the session at the last frame that was done."""
        close = getattr(self._results, "close", None)
        if close is not None:
            close()


class Engine:
    """Answers clicks and runs propagations, one small step at a time.

    Only the worker's thread may call it, so the session needs no lock. Clicks go before frames of
    a run, the newest first. Torch is imported here, when a network is first asked for, so opening
    the dock costs the window nothing.

    Parameters
    ----------
    post : callable
        Takes every `Message` for the window; may wait while the window is busy.
    """

    def __init__(self, post: Callable[[Message], None]) -> None:
        self._post = post
        self._predictor: VideoPredictor | None = None
        self._sessions: dict[str, VideoSession] = {}
        self._session: VideoSession | None = None
        self._key = ""
        self._asked: dict[tuple[int, int], int] = {}  # (object, frame) -> ticket, newest last
        self._run: _Run | None = None
        self._is_paused = False
        # By session: objects whose memories are older than their masks.
        self._edited: dict[str, set[int]] = {}
        self._look: tuple[Movie, int, int] | None = None  # a picture that is wanted
        self._limits: Movie | None = None  # new contrast that waits for the end of a run
        self._name = ""
        self._cache_bytes: int | None = None

    def has_work(self) -> bool:
        """Whether a click waits for its answer or a run for its next frame."""
        if self._predictor is None or self._session is None:
            return False
        return (
            bool(self._asked)
            or self._look is not None
            or (self._run is not None and not self._is_paused)
        )

    def advance(self) -> None:
        """Answer the newest click or, when there is none, track one frame."""
        if self._asked:
            (object_id, frame), ticket = self._asked.popitem()
            self._attempt("predict", lambda: self._answer(object_id, frame, ticket))
        elif self._look is not None:
            look, self._look = self._look, None
            self._attempt("movie", lambda: self._show(*look))
        elif self._run is not None:
            self._track_frame(self._run)

    def fail(self, error: Exception) -> None:
        """Say that something went wrong where nobody expected it."""
        self._post(Failed("run", error))

    def close(self) -> None:
        """End the run and let go of network and sessions."""
        self._attempt("run", self._stop)
        self._predictor = self._session = None
        self._sessions.clear()
        self._asked.clear()

    # Commands. Each is one entry of the worker's queue.

    def load(self, name: str, device: str | None = None, dtype: str | None = None) -> None:
        """Load a network, downloading it when it is not there yet; a run is cancelled first."""

        def work() -> None:
            self._post(ModelLoading(name))
            started = time.perf_counter()
            from napari_sam2.model.checkpoint import load_model, weights_hash
            from napari_sam2.predictor.runtime import Runtime, devices
            from napari_sam2.predictor.video import VideoPredictor

            _leave_a_core_to_the_window()
            runtime = Runtime.auto(device, dtype)
            model = load_model(name)
            predictor = VideoPredictor(model, runtime=runtime)
            self.cancel()
            self._predictor = predictor
            seconds = time.perf_counter() - started
            self._name = name
            here = runtime.describe()
            self._post(ModelReady(name, here, seconds, weights_hash(name), devices()))

        self._attempt("model", work)

    def test(self) -> None:
        """Measure the network in use on this machine; a run is cancelled first."""

        def work() -> None:
            from napari_sam2.widgets.self_test import measure

            self.cancel()
            if self._predictor is None:
                raise RuntimeError("no network is loaded; choose one first")
            self._post(Tested(self._name, measure(self._predictor)))

        self._attempt("test", work)

    def set_cache_bytes(self, most: int) -> None:
        """Keep at most so many bytes of encoded frames for each movie."""
        self._cache_bytes = most
        for session in self._sessions.values():
            session.features.resize(most)

    def open(self, key: str, movie: Movie) -> None:
        """Go to the session of a movie, beginning it when there is none under this key."""

        def work() -> None:
            self.cancel()
            self._asked.clear()
            self._session = None
            if key not in self._sessions:
                self._sessions[key] = _open_session(movie)
                if self._cache_bytes is not None:
                    self._sessions[key].features.resize(self._cache_bytes)
            self._session, self._key = self._sessions[key], key

        self._attempt("movie", work)

    def set_contrast(self, movie: Movie) -> None:
        """Let the network see the movie in work as it is shown now; a run ends as it began.

        One mapping holds for the whole movie, so memories made with the old one are dropped; the
        next run makes them again from the prompts.
        """
        if self._run is not None:
            self._limits = movie
        elif self._session is not None:
            self._session.show(movie.data, _mapping(movie))

    def look(self, movie: Movie, object_id: int, frame: int) -> None:
        """Have a picture made of what the network sees from the next request on."""
        self._look = movie, object_id, frame

    def _show(self, movie: Movie, object_id: int, frame: int) -> None:
        from napari_sam2.predictor.preview import picture, view_on

        session = self._opened()
        if self._predictor is None or movie.shape != session.shape:
            return
        view = view_on(self._predictor, session, object_id, frame)
        seen = picture(view, movie.data.read(frame), _mapping(movie))
        self._post(Seen(self._key, seen, view.clipped))

    def forget(self, key: str) -> None:
        """Drop the session of a movie."""
        session = self._sessions.pop(key, None)
        self._edited.pop(key, None)
        if session is not None and session is self._session:
            self.cancel()
            self._asked.clear()
            self._session = None

    def add(self, prompt: Prompt, ticket: int) -> None:
        """Take a prompt and answer it soon."""

        def work() -> None:
            self._opened().add(prompt)
            self._ask(prompt.object_id, prompt.frame, ticket)

        self._attempt("prompt", work, prompt)

    def remove(self, prompt: Prompt, ticket: int) -> None:
        """Take a prompt back and answer what is left on its frame soon."""

        def work() -> None:
            prompts = self._opened().prompts
            # A mask drawn later has already taken its place.
            if prompt in prompts.on(prompt.object_id, prompt.frame):
                prompts.remove(prompt)
            self._ask(prompt.object_id, prompt.frame, ticket)

        self._attempt("prompt", work)

    def clear(self, object_id: int, frame: int, ticket: int) -> None:
        """Take back every prompt of an object on a frame, and its mask there."""

        def work() -> None:
            self._opened().prompts.clear(object_id, frame)
            self._ask(object_id, frame, ticket)

        self._attempt("prompt", work)

    def apply(self, change: Change) -> None:
        """Take over an edit: masks, prompts, locks; memories are made again when needed."""

        def work() -> None:
            session = self._opened()
            for place in (*change.masks, *change.prompts):
                self._asked.pop(place, None)
            take_over(session, change)
            edited = self._edited.setdefault(self._key, set())
            edited |= change.object_ids & set(session.prompts.object_ids())
            if change.masks or change.objects:
                self._post(TracksChanged(self._key, self._tracks(session)))

        self._attempt("prompt", work)

    def start(self, options: PropagateOptions, number: int) -> None:
        """Begin a run; one that is under way is cancelled first."""
        from napari_sam2.predictor.plane_runs import count_results

        self.cancel()
        # A run that cannot begin ends all the same, so its end is always told.
        self._run = run = _Run(number, iter(()), 0)
        try:
            session = self._opened()
            if self._predictor is None:
                raise RuntimeError("no network is loaded; choose another model")
            self._take_up()
            total = count_results(session, options)
            self._run = _Run(number, self._predictor.propagate(session, options), total)
        except Exception as error:
            self._run = run
            self._end_run("failed")
            self._post(Failed("run", error))

    def pause(self, paused: bool) -> None:
        """Hold the run between two frames, or let it go on; clicks are answered meanwhile."""
        self._is_paused = paused

    def cancel(self) -> None:
        """End the run between two frames and keep what it has done."""
        if self._run is not None:
            self._end_run("cancelled")

    def _answer(self, object_id: int, frame: int, ticket: int) -> None:
        """Post the mask for the prompts of an object on a frame."""
        session, predictor = self._opened(), self._predictor
        if not session.prompts.on(object_id, frame):
            session.masklets.remove(object_id, [frame])
            self._post(Predicted(self._key, object_id, frame, ticket, None))
            return
        assert predictor is not None  # has_work
        self._take_up(object_id)
        result = predictor.predict_frame(session, object_id=object_id, frame=frame)
        (answer,) = (one for one in result.objects if one.object_id == object_id)
        self._post(Predicted(self._key, object_id, frame, ticket, answer.record, result.seconds))

    def _track_frame(self, run: _Run) -> None:
        """Do one frame of the run and post it."""
        try:
            result = run.step()
        except Exception as error:
            self._end_run("failed")
            self._post(Failed("run", error))
            return
        if result is None:
            self._end_run("finished")
        else:
            self._post(FrameTracked(self._key, run.number, result, run.progress))

    def _end_run(self, outcome: Outcome) -> None:
        """Close the run and post the tracks of everything that is known by now."""
        run, session = self._run, self._session
        if run is None:
            return
        self._stop()
        tracks = None if session is None else self._tracks(session)
        self._post(RunEnded(self._key, run.number, outcome, run.progress, tracks))

    def _stop(self) -> None:
        """Close the run, if there is one."""
        run, self._run = self._run, None
        self._is_paused = False
        if run is not None:
            run.close()
        limits, self._limits = self._limits, None
        if limits is not None:
            self.set_contrast(limits)

    def _take_up(self, object_id: int | None = None) -> None:
        """Let the predictor take the masks of edited objects, or of one, for its own."""
        edited = self._edited.get(self._key, set())
        chosen = edited & {object_id} if object_id is not None else set(edited)
        if self._predictor is not None and chosen:
            edited -= chosen
            self._predictor.restore(self._opened(), sorted(chosen))

    def _tracks(self, session: VideoSession) -> Tracks:
        from napari_sam2.predictor.composed_frames import grid_of
        from napari_sam2.tracking.tracks import tracks_from_masklets

        return tracks_from_masklets(session.masklets, grid=grid_of(session.frames))

    def _ask(self, object_id: int, frame: int, ticket: int) -> None:
        """Note that prompts changed; an older request for the same place is replaced."""
        self._asked.pop((object_id, frame), None)
        self._asked[object_id, frame] = ticket

    def _opened(self) -> VideoSession:
        """Return the session in work."""
        if self._session is None:
            raise RuntimeError("no movie is open: choose an image layer first")
        return self._session

    def _attempt(self, task: Task, work: Callable[[], None], prompt: Prompt | None = None) -> None:
        """Do something and post its failure instead of letting it end the thread."""
        try:
            work()
        except Exception as error:
            self._post(Failed(task, error, prompt))


def _open_session(movie: Movie) -> VideoSession:
    """Begin a session on a movie, which the network sees as the layer shows it."""
    from napari_sam2.predictor.session import VideoSession

    return VideoSession.open(movie.data, mapping=_mapping(movie))


def _mapping(movie: Movie) -> IntensityMapping:
    """Return what turns a movie's values into what its layer shows."""
    from napari_sam2.predictor.frames import IntensityMapping

    return IntensityMapping(movie.low, movie.high, movie.channels, movie.gamma)


def _leave_a_core_to_the_window() -> None:
    """Let the network use one thread fewer than there are cores.

    Its threads spin while they wait for one another: where drawing takes one of their cores, a
    frame can take many times as long. Other threads that are running keep their number.
    """
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
