"""The part of the widget that lives on the worker's thread: model, predictor and sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_sam2.widgets import messages
from napari_sam2.widgets.backlog import Backlog, Outlet
from napari_sam2.widgets.division_look import DivisionLook
from napari_sam2.widgets.encoding_ahead import EncodingAhead
from napari_sam2.widgets.engine_start import load_predictor, mapping_of, open_session, ready, tested
from napari_sam2.widgets.follow_up import FollowUp, is_correction
from napari_sam2.widgets.messages import Message, Outcome, Task
from napari_sam2.widgets.network_view import seen_by
from napari_sam2.widgets.running import Run
from napari_sam2.widgets.session_edits import take_over
from napari_sam2.widgets.session_tracks import tracks_of
from napari_sam2.widgets.source import Movie

if TYPE_CHECKING:
    from napari_sam2.editing.change import Change
    from napari_sam2.predictor.gaze import Gaze
    from napari_sam2.predictor.options import Along, PropagateOptions
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import Prompt
    from napari_sam2.widgets.search import SearchOrder


class Engine:
    """Answers clicks, follows corrections up and runs propagations, one small step at a time.

    Only the worker's thread may call it, so the session needs no lock. Clicks go first, the newest
    before older ones, then what follows from corrections, also while a run is held, then frames of
    the run. Torch is imported when a network is first asked for: opening the dock costs nothing.

    Parameters
    ----------
    post : callable
        Takes every `Message` for the window; may wait while the window is busy.
    backlog : Backlog, optional
        Runs wait until their frames are on disk.
    """

    def __init__(self, post: Callable[[Message], None], backlog: Backlog | None = None) -> None:
        self._post = Outlet(post, Backlog() if backlog is None else backlog)
        self._predictor: VideoPredictor | None = None
        self._sessions: dict[str, VideoSession] = {}
        self._session: VideoSession | None = None
        self._key = ""
        self._asked: dict[tuple[int, int], int] = {}  # (object, frame) -> ticket, newest last
        self._run: Run | None = None
        self._is_paused = False
        # By session: objects whose memories are older than their masks.
        self._edited: dict[str, set[int]] = {}
        self._look: tuple[Movie, int, int] | None = None  # a picture that is wanted
        self._limits: Movie | None = None  # new contrast that waits for the end of a run
        self._name = ""
        self._cache_bytes: int | None = None
        self._ahead = EncodingAhead()
        self._follow_up = FollowUp()
        self._divisions = DivisionLook(post)

    def has_work(self) -> bool:
        """Whether a click waits for its answer, or a follow-up or run for its next frame."""
        if self._predictor is None or self._session is None:
            return False
        if self._asked or self._look is not None:
            return True
        if not self._post.is_open(self._key):
            return self._post.is_due
        is_running = self._run is not None and not self._is_paused
        return is_running or self._follow_up.has_work or self._ahead.has_work

    def advance(self) -> None:
        """Answer the newest click, else compute one frame, else encode one view ahead."""
        if self._asked:
            (object_id, frame), ticket = self._asked.popitem()
            self._attempt("predict", lambda: self._answer(object_id, frame, ticket))
        elif self._look is not None:
            look, self._look = self._look, None
            self._attempt("movie", lambda: self._show(*look))
        elif self._post.is_holding:
            self._post.flush()
        elif self._follow_up.has_work:
            self._follow_frame()
        elif self._run is not None and not self._is_paused:
            self._track_frame(self._run)
        else:
            self._ahead.step()

    def fail(self, error: Exception) -> None:
        """Say that something went wrong where nobody expected it."""
        self._post(messages.Failed("run", error))

    def close(self) -> None:
        """End the run and let go of network and sessions."""
        self._attempt("run", self._stop)
        self._follow_up.stop()
        self._predictor = self._session = None
        self._sessions.clear()
        self._asked.clear()

    def load(self, name: str, device: str | None = None, dtype: str | None = None) -> None:
        """Load a network, downloading it when it is not there yet; a run is cancelled first."""

        def work() -> None:
            self._post(messages.ModelLoading(name))
            started = time.perf_counter()
            predictor = load_predictor(name, device, dtype)
            self.cancel()
            self._predictor = predictor
            self._ahead.begin(predictor, self._session)
            seconds = time.perf_counter() - started
            self._name = name
            self._post(ready(name, predictor, seconds))

        self._attempt("model", work)

    def test(self) -> None:
        """Measure the network in use on this machine; a run is cancelled first."""

        def work() -> None:
            self.cancel()
            self._post(tested(self._name, self._predictor))

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
            self._ahead.stop()
            if key not in self._sessions:
                self._sessions[key] = open_session(movie, self._cache_bytes)
            self._session, self._key = self._sessions[key], key
            self._divisions.begin()

        self._attempt("movie", work)

    def set_contrast(self, movie: Movie) -> None:
        """Let the network see the movie in work as it is shown now; a run ends as it began.

        Memories made with the old mapping are dropped; the next run makes them from the prompts.
        """
        self._follow_up.interrupt()
        if self._run is not None:
            self._limits = movie
        elif self._session is not None:
            self._session.show(movie.data, mapping_of(movie))

    def go_along(self, key: str, along: Along) -> None:
        """Let corrections in a movie of stacks go this way, as the last run did."""
        if key in self._sessions:
            self._sessions[key].followed.along = along

    def look(self, movie: Movie, object_id: int, frame: int) -> None:
        """Have a picture made of what the network sees from the next request on."""
        self._look = movie, object_id, frame

    def _show(self, movie: Movie, object_id: int, frame: int) -> None:
        session = self._opened()
        if self._predictor is not None and movie.shape == session.shape:
            self._post(seen_by(self._predictor, session, self._key, movie, object_id, frame))

    def forget(self, key: str) -> None:
        """Drop the session of a movie."""
        session = self._sessions.pop(key, None)
        self._edited.pop(key, None)
        self._divisions.forget(key)
        if session is not None and session is self._session:
            self.cancel()
            self._asked.clear()
            self._session = None
            self._ahead.stop()

    def gaze_at(self, gaze: Gaze) -> None:
        """Encode, as soon as there is nothing else to do, what is likely to be clicked next."""
        self._ahead.gaze = gaze
        self._ahead.begin(self._predictor, self._session)

    def add(self, prompt: Prompt, ticket: int) -> None:
        """Take a prompt and answer it soon."""

        def work() -> None:
            self._opened().add(prompt)
            self.ask(prompt.object_id, prompt.frame, ticket)

        self._attempt("prompt", work, prompt)

    def remove(self, prompt: Prompt, ticket: int) -> None:
        """Take a prompt back and answer what is left on its frame soon."""

        def work() -> None:
            prompts = self._opened().prompts
            # A mask drawn later has already taken its place.
            if prompt in prompts.on(prompt.object_id, prompt.frame):
                prompts.remove(prompt)
            self.ask(prompt.object_id, prompt.frame, ticket)

        self._attempt("prompt", work)

    def exchange(
        self, object_id: int, frame: int, prompts: tuple[Prompt, ...], ticket: int
    ) -> None:
        """Set the prompts of an object on a frame and answer them soon; none take the mask back."""

        def work() -> None:
            self._opened().prompts.replace(object_id, frame, prompts)
            self.ask(object_id, frame, ticket)

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
            # What it was about to compute may have been taken back.
            self._follow_up.interrupt()
            if change.masks or change.objects:
                self._post(messages.TracksChanged(self._key, tracks_of(session)))
                self._divisions.look(self._key, self._session)

        self._attempt("prompt", work)

    def start(self, order: PropagateOptions | SearchOrder, number: int) -> None:
        """Begin a run, or a search; one that is under way is cancelled first."""
        self.cancel()
        self._run = run = Run(number)  # one that cannot begin ends all the same: that is told
        try:
            session = self._opened()
            if self._predictor is None:
                raise RuntimeError("no network is loaded; choose another model")
            self._take_up()
            self._run = Run.of(number, self._predictor, session, order)
        except Exception as error:
            self._run = run
            self._end_run("failed")
            self._post(messages.Failed("run", error))

    def pause(self, paused: bool) -> None:
        """Hold the run between two frames, or let it go on; clicks are answered meanwhile."""
        self._is_paused = paused

    def cancel(self) -> None:
        """End run and follow-up between two frames and keep what they have done."""
        if self._run is not None:
            self._end_run("cancelled")
        if self._follow_up.has_work:
            self._follow_up.stop()
            self._end_following(is_finished=False)

    def halt(self) -> None:
        """Cancel the run, hold the follow-up, and say when the last frame has been posted."""
        if self._run is not None:
            self._end_run("cancelled")
        self._follow_up.suspend(True)
        self._post(messages.Halted())

    def go_on(self) -> None:
        """Let the follow-up go on."""
        self._follow_up.suspend(False)

    def set_automatic(self, is_automatic: bool) -> None:
        """Follow corrections up without being asked for, or not."""
        self._follow_up.is_automatic = is_automatic

    def follow_up(self) -> None:
        """Follow up every correction that has not been."""
        self._follow_up.note()

    def extend(self, options: PropagateOptions) -> None:
        """Track objects on, after what is to be done before."""
        self._follow_up.extend(options)

    def ask(self, object_id: int, frame: int, ticket: int) -> None:
        """Answer what prompts are left on a frame; an older request for it is replaced."""
        self._asked.pop((object_id, frame), None)
        self._asked[object_id, frame] = ticket

    def _answer(self, object_id: int, frame: int, ticket: int) -> None:
        """Post the mask for the prompts of an object on a frame."""
        session, predictor = self._opened(), self._predictor
        if not session.prompts.on(object_id, frame):
            session.masklets.remove(object_id, [frame])
            self._post(messages.Predicted(self._key, object_id, frame, ticket, None))
            return
        assert predictor is not None  # has_work
        self._take_up(object_id, frame)
        is_followed = self._follow_up.is_automatic and is_correction(session, object_id, frame)
        result = predictor.predict_frame(session, object_id=object_id, frame=frame)
        (answer,) = (one for one in result.objects if one.object_id == object_id)
        place, seen = (self._key, object_id, frame), (answer.record, result.seconds)
        self._post(messages.Predicted(*place, ticket, *seen, is_followed, answer.candidates))
        if is_followed:
            self._follow_up.note()
        # Its view may be another one now, and those of the frames around with it.
        self._ahead.begin(predictor, session)

    def _track_frame(self, run: Run) -> None:
        """Do one frame of the run and post it."""
        try:
            if run.search is None:  # memories of what it finds are made when they are needed
                self._take_up()
            news = run.step(self._key)
        except Exception as error:
            self._end_run("failed")
            self._post(messages.Failed("run", error))
            return
        if news is None:
            self._end_run("finished")
        else:
            self._post.commit(news)
            if self._divisions.is_due:
                self._divisions.look(self._key, self._session)

    def _follow_frame(self) -> None:
        """Do one frame of the follow-up and post it."""
        assert self._predictor is not None  # has_work
        try:
            self._take_up()
            result = self._follow_up.step(self._predictor, self._opened())
        except Exception as error:
            self._follow_up.stop()
            self._end_following(is_finished=False)
            self._post(messages.Failed("run", error))
            return
        if result is None:
            self._end_following(is_finished=True)
        else:
            self._post.commit(messages.FollowedUp(self._key, result, self._follow_up.progress))

    def _end_following(self, *, is_finished: bool) -> None:
        """Post what a follow-up has led to."""
        session, progress = self._session, self._follow_up.end()
        tracks = None if session is None or not progress.done else tracks_of(session)
        self._post(messages.FollowUpEnded(self._key, is_finished, progress, tracks))
        self._divisions.look(self._key, self._session)

    def _end_run(self, outcome: Outcome) -> None:
        """Close the run and post the tracks of everything that is known by now."""
        if (run := self._run) is None:
            return
        self._stop()
        for news in run.ended(self._key, outcome, self._session):
            self._post(news)
        self._divisions.look(self._key, self._session)

    def _stop(self) -> None:
        """Close the run, if there is one."""
        run, self._run = self._run, None
        self._is_paused = False
        if run is not None:
            run.close()
        limits, self._limits = self._limits, None
        if limits is not None:
            self.set_contrast(limits)
        self._ahead.begin(self._predictor, self._session)

    def _take_up(self, object_id: int | None = None, frame: int = -1) -> None:
        """Let the predictor take the masks of edited objects, or of one, for its own.

        But not those on frames with prompts that wait for an answer, as on `frame`.
        """
        edited = self._edited.get(self._key, set())
        chosen = edited & {object_id} if object_id is not None else set(edited)
        if self._predictor is not None and chosen:
            edited -= chosen
            unanswered = {*self._asked, *([] if object_id is None else [(object_id, frame)])}
            self._predictor.restore(self._opened(), sorted(chosen), unanswered)

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
            self._post(messages.Failed(task, error, prompt))
