"""Writes a session while it is worked on, on a thread of its own."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam2.io.session_file import MovieStamp, SessionFolder
from napari_sam2.io.session_masks import records_on

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document

RETRY_SECONDS = 5.0
"""After a failure, as of a full disk, the writing is tried again so often."""

logger = logging.getLogger(__name__)


class Autosave:
    """Keeps a folder up with a document.

    The folder is made at the first change. Masks are packed and never changed in place, so the
    thread reads them while the window goes on; what changes meanwhile is written next.

    Parameters
    ----------
    root : Path
        The session folder.
    stamp : callable
        Returns by what the movie is known again; called on the thread, since it reads frames.
    document : Document
    settings : callable
        Returns what else to write, as JSON.
    wake : callable
        Called from the thread when `error` has come or gone.
    """

    written = Signal()
    """Something was written, or could not be; emitted on the thread."""

    def __init__(
        self,
        root: Path,
        stamp: Callable[[], MovieStamp],
        document: Document,
        settings: Callable[[], Mapping[str, Any]],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.root = root
        self.error: Exception | None = None
        """What keeps it from writing at present."""
        self._stamp = stamp
        self._document = document
        self._settings = settings
        self._wake = wake
        self._changed = threading.Condition()
        self._dirty: set[int] = set()
        self._is_head_dirty = self._is_closing = False
        self._is_writing = False
        self._in_work: set[int] = set()
        self._folder: SessionFolder | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_saved(self) -> bool:
        """Whether everything is on disk."""
        with self._changed:
            return not (self._dirty or self._is_head_dirty or self._is_writing)

    @property
    def unsaved(self) -> int:
        """Frames that are not on disk yet; 0 while nothing can be written."""
        with self._changed:
            return 0 if self.error is not None else len(self._dirty | self._in_work)

    def note(self, frames: Iterable[int] = ()) -> None:
        """Say that prompts or objects changed, and the masks of these frames."""
        with self._changed:
            self._dirty.update(frames)
            self._is_head_dirty = True
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="napari-sam2 autosave", daemon=True
            )
            self._thread.start()
            # Python waits at its end until what was done is written.
            atexit.register(self.close)

    def close(self, timeout: float = 10.0) -> bool:
        """Write what is left and end; whether it ended within `timeout` seconds."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if not (self._dirty or self._is_head_dirty):
                    return
                frames, self._dirty = self._dirty, set()
                with_head, self._is_head_dirty = self._is_head_dirty, False
                self._is_writing, self._in_work = True, frames
            done = self._attempt(frames, with_head)
            with self._changed:
                self._is_writing, self._in_work = False, set()
                self._changed.notify_all()
                if not done:
                    self._dirty |= frames
                    self._is_head_dirty |= with_head
                    if self._is_closing:
                        return
            self.written.emit()
            if not done:
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closing, RETRY_SECONDS)

    def _has_work(self) -> bool:
        return self._is_closing or self._is_head_dirty or bool(self._dirty)

    def _attempt(self, frames: set[int], with_head: bool) -> bool:
        """Write; whether that worked."""
        try:
            if self._folder is None:
                self._folder = SessionFolder(self.root, self._stamp())
            if with_head:
                self._folder.write_head(self._document, self._settings())
            for frame in sorted(frames):
                self._folder.masks.write(frame, records_on(self._document.masklets, frame))
        except Exception as error:
            # Whatever it is: the window must not lose its work to it, and is told.
            logger.exception("the session could not be saved to %s", self.root)
            self._set_error(error)
            return False
        self._set_error(None)
        return True

    def _set_error(self, error: Exception | None) -> None:
        is_news = str(error) != str(self.error)
        self.error = error
        if is_news:
            self._wake()
