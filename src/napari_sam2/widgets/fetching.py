"""Brings weights to this machine on a thread of its own, so that clicks are answered meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

from napari_sam2.model.download import download
from napari_sam2.model.registry import ModelFile
from napari_sam2.widgets.messages import DownloadStopped, Failed, Message, ModelLoading


class _StoppedError(Exception):
    """The user has stopped it."""


class Fetching:
    """One download under way. What has arrived is kept, and gone on with the next time.

    Parameters
    ----------
    file : ModelFile
        What to fetch; size and hash are checked at the end.
    post : callable
        Takes what there is to tell, from the thread.
    then : callable
        Called from the thread when the file is there.
    """

    def __init__(
        self, file: ModelFile, post: Callable[[Message], None], then: Callable[[], None]
    ) -> None:
        self._file = file
        self._post = post
        self._then = then
        self._is_stopped = threading.Event()
        self._told = -1
        # A daemon: a line that hangs must not keep Python from ending.
        self._thread = threading.Thread(target=self._run, name="napari-sam2 download", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it with the piece that is under way."""
        self._is_stopped.set()

    def _run(self) -> None:
        try:
            download(self._file, progress=self._note)
        except _StoppedError:
            self._post(DownloadStopped(self._file.name))
        except Exception as error:
            self._post(Failed("model", error))
        else:
            if not self._is_stopped.is_set():
                self._then()

    def _note(self, done: int, total: int) -> None:
        """Tell every percent."""
        if self._is_stopped.is_set():
            raise _StoppedError
        percent = 100 * done // total if total else 0
        if percent > self._told:
            self._told = percent
            self._post(ModelLoading(self._file.name, done, total))
