"""A click and its mask are drawn in one go: the window waits a moment for the answer."""

from __future__ import annotations

import contextlib
import time

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QWidget

HOLD_MS = 60
"""Longest time that a click is not seen: hardly noticed, and more than a quick answer takes."""


class HeldDrawing(QObject):
    """Keeps a window from being drawn between a click and its answer.

    On a frame that is encoded the network answers sooner than napari draws, and a mask that comes
    while the click alone is being drawn would have to wait for that. Nothing blocks: keys, sliders
    and messages go on, and after `HOLD_MS` the window is drawn in any case.

    Parameters
    ----------
    window : QWidget
        The window of the viewer.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__()
        self._window = window
        self._released = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.release)

    def hold(self) -> None:
        """Wait for an answer; however fast clicks come, the window is drawn in between."""
        is_rested = time.monotonic() - self._released > HOLD_MS / 1000
        if is_rested and not self._timer.isActive():
            self._window.setUpdatesEnabled(False)
            self._timer.start(HOLD_MS)

    def release(self) -> None:
        """Draw what has changed."""
        self._timer.stop()
        self._released = time.monotonic()
        # The window may be gone before the answer has come.
        with contextlib.suppress(RuntimeError):
            if not self._window.updatesEnabled():
                self._window.setUpdatesEnabled(True)
