"""Things that wait until no frame is being computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.worker import Worker


class Idle:
    """Does one thing once the engine has posted its last frame, and lets it go on afterwards.

    Parameters
    ----------
    worker, engine : Worker, Engine
    is_busy : callable
        Whether frames are being computed, or will be in a moment.
    """

    def __init__(self, worker: Worker, engine: Engine, is_busy: Callable[[], bool]) -> None:
        self._worker = worker
        self._engine = engine
        self._is_busy = is_busy
        self._then: Callable[[], None] | None = None

    def when(self, action: Callable[[], None]) -> None:
        """Do something at once or, when frames are being computed, after the last has come."""
        if self._is_busy():
            self._then = action
            self._worker.submit(self._engine.halt)
        else:
            action()

    def come(self) -> None:
        """Do what waits: the last frame has come."""
        if (then := self._then) is not None:
            self._then = None
            then()
            self._worker.submit(self._engine.go_on)
