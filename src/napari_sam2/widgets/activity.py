"""Runs in napari's activity dock: a bar, frames per second and time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils import progress
from qtpy.QtCore import QTimer

from napari_sam2.widgets.status import progress_text

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController
    from napari_sam2.widgets.messages import Progress

REDRAW_MILLISECONDS = 200


class Activity:
    """Shows runs of a controller in the activity dock; lives on the window's thread.

    Napari's bar lets Qt handle events whenever it is moved, so it is moved by a timer: in the
    middle of a message, a later message could overtake it.

    Parameters
    ----------
    controller : SegmentationController
    """

    def __init__(self, controller: SegmentationController) -> None:
        self.bar: progress | None = None
        """The bar of the run under way."""
        self._now: Progress | None = None
        self._is_drawing = False
        self._controller = controller
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MILLISECONDS)
        self._timer.timeout.connect(self._draw)
        controller.events.run_changed.connect(self._note_state)
        controller.events.progressed.connect(self._note)

    def close(self) -> None:
        """Take the bar away."""
        self._timer.stop()
        self._now = None
        self._take_away()

    def _take_away(self) -> None:
        bar, self.bar = self.bar, None
        if bar is not None:
            bar.close()

    def _note_state(self, state: str) -> None:
        if state == "idle":
            self._now = None
        self._draw_soon()

    def _note(self, now: Progress) -> None:
        self._now = now
        self._draw_soon()

    def _draw_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        if self._is_drawing:
            self._draw_soon()
            return
        self._is_drawing = True
        try:
            self._show(self._now)
        finally:
            self._is_drawing = False

    def _show(self, now: Progress | None) -> None:
        """Move the bar to where a run is, None for the end of it."""
        if now is None:
            self._take_away()
            return
        if self.bar is None or self.bar.total != now.total:
            self._take_away()
            self.bar = progress(total=now.total)
        bar = self.bar
        name = "" if self._controller.image is None else self._controller.image.name
        is_held = self._controller.run_state == "paused"
        bar.set_description(f"{name}: {'held at ' if is_held else ''}{progress_text(now)}")
        bar.update(now.done - bar.n)
