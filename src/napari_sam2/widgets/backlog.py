"""How far saving is behind the run that makes frames; a run waits for it, the window never does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_sam2.widgets.messages import Found

if TYPE_CHECKING:
    from napari_sam2.widgets.autosave import Autosave
    from napari_sam2.widgets.messages import FollowedUp, FrameTracked, Message


class Backlog:
    """Frames that were handed to the window and are not on disk yet.

    Parameters
    ----------
    on_change : callable
        Called from any thread when there may be fewer of them.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._on_their_way = 0
        self._savers: dict[str, Autosave] = {}

    def watch(self, key: str, saver: Autosave) -> None:
        """Count what this saver has not written of a movie."""
        self._savers[key] = saver
        saver.written.connect(self._on_change)

    def leave(self, key: str) -> None:
        """Stop counting for a movie: it is not saved any more."""
        self._savers.pop(key, None)
        self._on_change()

    def hand_over(self) -> None:
        """Note that a frame goes to the window."""
        with self._lock:
            self._on_their_way += 1

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Note at the end that the window has taken a frame, and told the saver."""
        try:
            yield
        finally:
            with self._lock:
                self._on_their_way -= 1
            self._on_change()

    def count(self, key: str) -> int:
        """Count the frames of a movie that are not on disk; none where it is not saved."""
        saver = self._savers.get(key)
        return 0 if saver is None else self._on_their_way + saver.unsaved


class Outlet:
    """Posts messages in their order, and frames only when those before are on disk.

    So what a crash can take is one frame that was shown, and the one in flight.

    Parameters
    ----------
    post : callable
        Takes a message for the window.
    backlog : Backlog
    """

    def __init__(self, post: Callable[[Message], None], backlog: Backlog) -> None:
        self._post = post
        self._backlog = backlog
        self._held: FrameTracked | FollowedUp | None = None

    @property
    def is_holding(self) -> bool:
        """Whether a frame waits until those before it are saved."""
        return self._held is not None

    @property
    def is_due(self) -> bool:
        """Whether a frame that waited can go."""
        return self._held is not None and self._backlog.count(self._held.movie) == 0

    def is_open(self, key: str) -> bool:
        """Whether another frame of a movie may be made: at most one is not on disk."""
        return self._held is None and self._backlog.count(key) <= 1

    def commit(self, frame: FrameTracked | FollowedUp | Found) -> None:
        """Post a frame, now or when the one before it is saved; finds are edits, and go at once."""
        self.flush()
        if isinstance(frame, Found):
            self._post(frame)
            return
        self._held = frame
        if self.is_due:
            self.flush()

    def flush(self) -> None:
        """Post the frame that waits."""
        frame, self._held = self._held, None
        if frame is not None:
            self._backlog.hand_over()
            self._post(frame)

    def __call__(self, message: Message) -> None:
        """Post a message, after the frame that waits."""
        self.flush()
        self._post(message)
