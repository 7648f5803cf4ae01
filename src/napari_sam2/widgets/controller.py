"""Decides what happens: between the viewer's layers and the worker, without any Qt.

Everything here runs on the window's thread and returns at once. What the worker has to say waits
until `SegmentationController.poll` is called, which the dock does when it is woken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2.predictor.options import Direction, PropagateOptions
from napari_sam2.widgets import messages, status
from napari_sam2.widgets.divisions import Divisions
from napari_sam2.widgets.edits import Edits
from napari_sam2.widgets.engine import Engine
from napari_sam2.widgets.events import ControllerEvents, RunState
from napari_sam2.widgets.following import Following
from napari_sam2.widgets.forecast import Forecast
from napari_sam2.widgets.frame_range import FrameRange
from napari_sam2.widgets.idle import Idle
from napari_sam2.widgets.inbox import Inbox, Parts
from napari_sam2.widgets.layers import SegmentationLayers, Tool
from napari_sam2.widgets.live_view import LiveView
from napari_sam2.widgets.models import Models
from napari_sam2.widgets.object_choice import ObjectChoice
from napari_sam2.widgets.open_movies import OpenMovies
from napari_sam2.widgets.pace import Pace
from napari_sam2.widgets.preview import Preview
from napari_sam2.widgets.prompting import Prompting
from napari_sam2.widgets.review import Review
from napari_sam2.widgets.route import Route
from napari_sam2.widgets.session_settings import SessionSettings
from napari_sam2.widgets.sessions import Sessions
from napari_sam2.widgets.source_choice import SourceChoosing
from napari_sam2.widgets.status import Status
from napari_sam2.widgets.worker import Worker

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2.widgets.open_movie import OpenMovie


class SegmentationController:
    """One user at work in one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    wake : callable
        Called from any thread when `poll` has something to do; it must not call it directly.

    Attributes
    ----------
    events : ControllerEvents
        What happens.
    objects : ObjectChoice
        The object in work: new, next, previous, sign.
    edits : Edits
        Merge, split, swap, divide, review; undo and redo.
    models : Models
        The network in use: load, test, memory.
    review : Review
        The objects as a table, their quality, doubtful frames.
    prompting : Prompting
        Picking; also `candidates` of a click, `seeds` from labels, `finding` without a click.
    sessions : Sessions
        Saving and reopening.
    live : LiveView
        Whether the slider follows a run.
    source : SourceChoosing
        Axes, level and channels of the image in work.
    preview : Preview
        What the network sees.
    route : Route
        Which way runs go through a movie of stacks.
    frames : FrameRange
        First and last frame of the next run.
    following : Following
        Whether and when corrections are followed up.
    divisions : Divisions
        Mothers, daughters, proposals.
    pace, forecast : Pace, Forecast
        How long runs take here, and how many masks the next one will make.
    """

    def __init__(self, viewer: ViewerModel, wake: Callable[[], None]) -> None:
        self.events, self.route, self.pace = ControllerEvents(), Route(), Pace()
        self.live = LiveView(viewer, self.route)
        self.objects: ObjectChoice = ObjectChoice(self._known_objects)
        self.edits: Edits = Edits(lambda: self._movie)
        self.review: Review = Review(viewer, lambda: self._movie, self.objects, self.edits, wake)
        self._viewer, self._wake = viewer, wake
        self._worker = Worker(wake)
        self._engine = Engine(self._worker.post, self._worker.backlog)
        self._movies = OpenMovies(viewer, self._worker, self._engine)
        self.models = Models(self._worker, self._engine)
        self.prompting: Prompting = Prompting(
            viewer, lambda: self._movie, self.objects, self._worker, self._engine, wake
        )
        self.candidates, self.seeds = self.prompting.candidates, self.prompting.seeds
        self.finding = self.prompting.finding
        self.source = SourceChoosing(viewer, lambda: self.image, self._reopen)
        settings = SessionSettings(viewer, self.models, self.route, self.source)
        self.sessions = Sessions(viewer, lambda: self._movie, self.set_image, wake, settings)
        self.preview = Preview(
            viewer, lambda: self._movie, self.objects, self._worker, self._engine
        )
        self.frames: FrameRange = FrameRange()
        self.forecast: Forecast = Forecast(lambda: self._movie, self.pace, self.route)
        self.following: Following = Following(self._worker, self._engine)
        self.divisions: Divisions = Divisions(
            viewer, lambda: self._movie, self.objects, self.following, self._onward
        )
        self._run_state: RunState = "idle"
        self._run_number = 0
        self._is_closed = False
        self._idle = Idle(self._worker, self._engine, self._is_busy)
        told = (self._movies, self.models, self.live, self.preview, self.pace)
        self._inbox = Inbox(Parts(self.events, *told, self.following, self.divisions, self.finding))
        self._connect()
        self._worker.start(self._engine)

    def _connect(self) -> None:
        """Listen to the parts."""
        self._inbox.ended.connect(self._on_ended)
        self._inbox.halted.connect(self._idle.come)
        self._movies.opened.connect(self._on_opened)
        self._movies.dropped.connect(self.sessions.detach)
        self._movies.refused.connect(self.source.refuse)
        self._movies.left.connect(self._on_left)
        parts: tuple[Any, ...] = (self.edits, self.review, self.sessions, self.models, self.source)
        for part in (*parts, self.divisions, self.prompting):
            part.told.connect(self._tell)
        for listener in (self._redraw_soon, self.divisions.refresh):
            self.edits.done.connect(listener)
        self.models.changed.connect(lambda: self.pace.use(self.models.name, self.models.device))
        self.source.changed.connect(self.preview.watch)
        self.sessions.restored.connect(self.following.go_along)
        self.route.changed.connect(self.reset_range)
        self.prompting.redrawn.connect(self._redraw_soon)
        self.prompting.picker.divided.connect(self.divisions.begin)
        self.finding.begun.connect(self._begin_run)

    @property
    def _movie(self) -> OpenMovie | None:
        return self._movies.current

    @property
    def image(self) -> Image | None:
        """The image layer in work."""
        return None if self._movie is None else self._movie.image

    @property
    def layers(self) -> SegmentationLayers | None:
        """The layers of the image in work."""
        return None if self._movie is None else self._movie.layers

    @property
    def num_frames(self) -> int:
        """Frames of the movie in work, 0 without one."""
        return 0 if self._movie is None else self._movie.layers.movie.shape[0]

    @property
    def shown_place(self) -> int:
        """Where that lies on the way that runs go: the frame, and in stacks the time or slice."""
        if self._movie is None:
            return 0
        return self.route.position(self._movie.layers.movie.grid, self._movie.frame)

    def reset_range(self) -> None:
        """Let runs cover the whole way that they go."""
        layers = self.layers
        self.frames.reset(0 if layers is None else self.route.length(layers.movie.grid))

    @property
    def run_state(self) -> RunState:
        """Whether a run is under way."""
        return self._run_state

    @property
    def worker_is_alive(self) -> bool:
        """Whether the thread that runs the network is there."""
        return self._worker.is_alive

    def load_model(
        self, name: str = "bundled", device: str | None = None, dtype: str | None = None
    ) -> None:
        """Load a network in the background; see `Models.load`."""
        self.models.load(name, device, dtype)

    def set_image(self, image: Image | None) -> None:
        """Work on this image layer from now on; going back to an earlier one goes on there."""
        if image is self.image:
            return
        self.cancel()
        self.divisions.stop()
        if image is not None:
            self.sessions.prepare(image)
        self._movies.go_to(image)
        self._begin()

    def _begin(self) -> None:
        """Take up the movie that is in work now."""
        self.reset_range()
        if self._movie is not None:
            self._movie.enter()
            self.prompting.enter()
            self.use("points")
        self.review.enter()
        self.events.image_changed.emit(self.image)
        self.preview.watch()

    def use(self, tool: Tool) -> None:
        """Take up a tool: ``points``, ``boxes``, ``polygon``, ``lasso`` or ``paint``."""
        if self._movie is not None:
            self._movie.layers.use(tool)

    def new_object(self) -> int:
        """Begin an object and take up the points; return its id."""
        fresh = self.objects.new()
        self.use("points")
        return fresh

    def clear_frame(self) -> None:
        """Take back the prompts and the mask of the object in work on the frame that is shown."""
        self.edits.clear(self.objects.current)

    def delete_object(self) -> None:
        """Remove the object in work everywhere, and go to a neighbour."""
        if self.objects.is_known:
            self.edits.delete(self.objects.current)
        self.objects.leave()

    def undo(self) -> None:
        """Take back what was done last: a run under way, which is cancelled for it."""
        self.divisions.stop()
        self._idle.when(self.edits.undo)

    def redo(self) -> None:
        """Do once more what was last taken back."""
        self._idle.when(self.edits.redo)

    def propagate(
        self,
        direction: Direction = "both",
        start: int | None = None,
        stop: int | None = None,
        objects: Sequence[int] | None = None,
        resume: bool = False,
    ) -> None:
        """Track through the movie in the background; a run under way is replaced.

        Parameters
        ----------
        direction : {"both", "forward", "backward"}
            From the prompts to later frames, to earlier ones, or both.
        start, stop : int, optional
            First and last frame of the range.
        objects : sequence of int, optional
            Ids of the objects to track; all that have prompts by default.
        resume : bool
            Leave frames alone whose masks still agree with the prompts.
        """
        chosen = None if objects is None else tuple(objects)
        if (movie := self._ready_to_run(chosen)) is None:
            return
        movie.send_contrast()
        options = PropagateOptions(chosen, direction, start, stop, resume)
        news = Status(self.forecast.of(options).text, "busy")
        options = self.route.apply(options, movie.layers.movie.grid, movie.frame)
        self._begin_run(partial(self._engine.start, options), news)

    def _begin_run(self, command: Callable[[int], None], news: Status) -> None:
        self._run_number += 1
        self._worker.submit(partial(command, self._run_number))
        self.live.begin_run()
        self._set_run_state("running")
        self._tell(news)

    def pause(self) -> None:
        """Hold the run; clicks are still answered."""
        if self._run_state == "running":
            self._worker.submit(partial(self._engine.pause, True))
            self._set_run_state("paused")

    def resume(self) -> None:
        """Let a run that is held go on."""
        if self._run_state == "paused":
            self._worker.submit(partial(self._engine.pause, False))
            self._set_run_state("running")

    def cancel(self) -> None:
        """End run and follow-up after the frame they are in; what they have done is kept."""
        if self._run_state != "idle" or self.following.is_active:
            self._worker.submit(self._engine.cancel)

    def close(self) -> None:
        """End the thread and stop listening; the layers stay."""
        if self._is_closed:
            return
        self._is_closed = True
        self.live.close()
        self.preview.close()
        self._movies.close()
        self.models.close()
        self.prompting.close()
        self._worker.close()

    def poll(self) -> float | None:
        """Do what waits to be done on the window's thread.

        Returns
        -------
        float or None
            Seconds after which to call again, None if that is not needed.
        """
        for message in self._worker.take():
            self._inbox.receive(message)
        self.sessions.watch()
        for movie in self._movies:
            movie.settle()
        delays = [self.live.redraw(self.layers), self.review.refresh()]
        delays += [self.prompting.settle(), self._worker.delay]
        return min((delay for delay in delays if delay is not None), default=None)

    def _on_ended(self, message: messages.RunEnded) -> None:
        # A run that another one has replaced ends, too, when the other is already under way.
        if message.number == self._run_number:
            self.pace.note_run(message.progress.work, message.progress.seconds)
            self._set_run_state("idle")
            self._tell(status.run_status(message, self.finding.count))

    def _reopen(self, image: Image) -> None:
        """Begin anew on an image whose axes or level are others now."""
        self.cancel()
        self._movies.reopen(image)
        self._begin()

    def _on_left(self, text: str) -> None:
        self._begin()
        self._tell(Status(text))

    def _on_touched(self, movie: OpenMovie) -> None:
        # Who draws on another movie wants to work on it.
        if movie is not self._movie:
            self.set_image(movie.image)

    def _on_opened(self, movie: OpenMovie) -> None:
        """Listen to a movie that is new."""
        movie.touched.connect(self._on_touched)
        movie.asked.connect(self.objects.note)
        movie.noted.connect(self.edits.changed.emit)
        movie.told.connect(self._tell)
        movie.unsettled.connect(self._wake)
        self.prompting.attach(movie)
        movie.layers.taken_back.connect(lambda is_undo: self.undo() if is_undo else self.redo())
        self.review.attach(movie)
        self.sessions.attach(movie)

    def _onward(self, objects: Sequence[int], frame: int) -> PropagateOptions:
        """Return the options of a run that tracks objects from a frame to the end of the range."""
        assert self._movie is not None
        return self.route.onward(self._movie.layers.movie.grid, frame, objects, self.frames.stop)

    def _ready_to_run(self, objects: Sequence[int] | None) -> OpenMovie | None:
        """Return the movie that a run can begin on, or say why it cannot."""
        has_objects = self._movie is not None and bool(self._movie.layers.object_ids)
        unknown = next((i for i in objects or () if i not in self._known_objects()), None)
        problem = status.run_problem(self._movie is not None, has_objects, unknown)
        if problem is not None:
            self._tell(problem)
            return None
        return self._movie

    def _known_objects(self) -> set[int]:
        return set() if self._movie is None else self._movie.layers.object_ids

    def _is_busy(self) -> bool:
        """Whether frames are being computed, or will be as soon as a click is answered."""
        may_follow = self._movie is not None and self._movie.may_follow
        is_running = self._run_state != "idle" or self.following.is_active
        return is_running or (may_follow and self.following.is_automatic)

    def _redraw_soon(self) -> None:
        self.live.request()
        self._wake()

    def _set_run_state(self, state: RunState) -> None:
        if state != self._run_state:
            self._run_state = state
            self.events.run_changed.emit(state)

    def _tell(self, news: Status) -> None:
        self.events.status_changed.emit(news)
