"""The follow-up of corrections as the window sees it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from napari_sam2.predictor.options import Along, PropagateOptions
    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.worker import Worker


class Following:
    """Whether corrections are followed up by themselves, and whether that is under way.

    Parameters
    ----------
    worker, engine : Worker, Engine
        Who does it.
    """

    changed = Signal(bool)
    """Whether frames are being computed."""
    automatic_changed = Signal(bool)
    """Whether a correction is followed up without being asked for."""

    def __init__(self, worker: Worker, engine: Engine) -> None:
        self._worker = worker
        self._engine = engine
        self._is_automatic = True
        self._is_active = False

    @property
    def is_active(self) -> bool:
        """Whether frames are being computed."""
        return self._is_active

    @property
    def is_automatic(self) -> bool:
        """Whether a correction is followed up without being asked for."""
        return self._is_automatic

    @is_automatic.setter
    def is_automatic(self, value: bool) -> None:
        if value == self._is_automatic:
            return
        self._is_automatic = value
        self._worker.submit(partial(self._engine.set_automatic, value))
        self.automatic_changed.emit(value)

    def apply(self) -> None:
        """Follow up every correction that waits for it, now."""
        self._worker.submit(self._engine.follow_up)
        self.note(True)

    def extend(self, options: PropagateOptions) -> None:
        """Track objects on, after the clicks that wait for their answers."""
        self._worker.submit(partial(self._engine.extend, options))
        self.note(True)

    def go_along(self, key: str, along: Along) -> None:
        """Follow corrections of a movie of stacks this way, as the runs of its session went."""
        self._worker.submit(partial(self._engine.go_along, key, along))

    def note(self, is_active: bool) -> None:
        """Learn that it begins or has ended."""
        if is_active != self._is_active:
            self._is_active = is_active
            self.changed.emit(is_active)
