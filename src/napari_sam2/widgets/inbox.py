"""What the worker has to say, brought to whom it concerns."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.prompts import say_absent
from napari_sam2.widgets import messages, status
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.tracking.tracks import Tracks
    from napari_sam2.widgets.divisions import Divisions
    from napari_sam2.widgets.events import ControllerEvents
    from napari_sam2.widgets.finding import Finding
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.live_view import LiveView
    from napari_sam2.widgets.models import Models
    from napari_sam2.widgets.open_movies import OpenMovies
    from napari_sam2.widgets.pace import Pace
    from napari_sam2.widgets.preview import Preview

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """Those who are told."""

    events: ControllerEvents
    movies: OpenMovies
    models: Models
    live: LiveView
    preview: Preview
    pace: Pace
    following: Following
    divisions: Divisions
    finding: Finding


class Inbox:
    """Takes messages on the window's thread.

    Parameters
    ----------
    parts : Parts
    """

    ended = Signal(messages.RunEnded)
    """A run has ended, this one or an older one."""
    halted = Signal()
    """The last frame of what was under way has come."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def receive(self, message: messages.Message) -> None:
        """Take one message."""
        match message:
            case (
                messages.ModelLoading()
                | messages.ModelReady()
                | messages.DownloadStopped()
                | messages.Tested()
            ):
                self._parts.models.receive(message)
            case messages.Predicted():
                movie = self._parts.movies.find(message.movie)
                if movie is not None and movie.take_answer(message):
                    self._parts.live.request()
                    self._tell(_answered(message, movie.document))
                    self._parts.preview.refresh()
                    self._parts.pace.note_click(message.seconds)
                if message.is_followed:
                    self._parts.following.note(True)
            case messages.FrameTracked():
                self._receive_frame(message)
            case messages.RunEnded():
                self._receive_end(message)
            case messages.Seen():
                self._parts.preview.receive(message)
            case messages.TracksChanged():
                self._show_tracks(message.movie, message.tracks)
            case messages.Failed():
                self._receive_failure(message)
            case _:
                self._receive_consequence(message)

    def _receive_frame(self, message: messages.FrameTracked) -> None:
        """Show the masks of a frame of a run."""
        movie, result = self._parts.movies.find(message.movie), message.result
        with self._parts.movies.backlog.taking():
            if movie is None:
                return
            movie.take_frame(message.number, result)
        if movie is self._parts.movies.current:
            self._parts.live.request(result.frame)
            self._parts.events.progressed.emit(message.progress)

    def _receive_consequence(self, message: messages.Message) -> None:
        """Take what follows from corrections and runs."""
        match message:
            case messages.Found():
                self._receive_found(message)
            case messages.FollowedUp():
                self._receive_followed(message)
            case messages.FollowUpEnded():
                self._receive_follow_up_end(message)
            case messages.DivisionsProposed(movie=key, proposals=proposals):
                self._parts.divisions.take(key, proposals)
            case messages.Halted():
                self.halted.emit()

    def _receive_found(self, message: messages.Found) -> None:
        """Show the objects that a search has found."""
        if (movie := self._parts.movies.find(message.movie)) is None:
            return
        is_shown = movie is self._parts.movies.current
        if self._parts.finding.take(movie, message) and is_shown:
            self._parts.live.request()
        if is_shown:
            self._parts.events.progressed.emit(message.progress)

    def _receive_followed(self, message: messages.FollowedUp) -> None:
        """Show masks that a correction has changed; the slider stays where it is."""
        with self._parts.movies.backlog.taking():
            if (movie := self._parts.movies.find(message.movie)) is None:
                return
            movie.take_followed(message.result)
        self._parts.following.note(True)
        if movie is self._parts.movies.current:
            self._parts.live.request()
            where = movie.document.grid.name(message.result.frame)
            self._tell(Status(status.following_text(message, where), "busy"))

    def _receive_follow_up_end(self, message: messages.FollowUpEnded) -> None:
        self._parts.following.note(False)
        if message.tracks is not None:
            self._show_tracks(message.movie, message.tracks)
        if message.progress.done:
            self._tell(status.followed_status(message))

    def _receive_end(self, message: messages.RunEnded) -> None:
        """Show the tracks that a run leaves."""
        if message.tracks is not None:
            self._show_tracks(message.movie, message.tracks)
        self.ended.emit(message)

    def _show_tracks(self, key: str, tracks: Tracks) -> None:
        if (movie := self._parts.movies.find(key)) is not None:
            movie.layers.show_tracks(tracks.with_lineage(movie.document.lineage))

    def _receive_failure(self, failure: messages.Failed) -> None:
        """Say what went wrong and take back the prompt that was to blame."""
        logger.error("%s failed", failure.task, exc_info=failure.error)
        current = self._parts.movies.current
        if failure.prompt is not None and current is not None:
            current.take_back(failure.prompt)
        if failure.task in ("model", "test"):
            self._parts.models.receive(failure)
        self._tell(status.failure_status(failure))

    def _tell(self, news: Status) -> None:
        self._parts.events.status_changed.emit(news)


def _answered(answer: messages.Predicted, document: Document) -> Status:
    """Describe an answer to what a person said."""
    said = document.prompts.on(answer.object_id, answer.frame)
    where = document.grid.name(answer.frame)
    return status.answer_status(answer, where, is_absent=say_absent(said))
