"""Keeps what is on the screen up with a run, without taking the window away from its user."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.widgets.coordinates import show_frame, shown_frame

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.layers import SegmentationLayers
    from napari_sam2.widgets.route import Route

logger = logging.getLogger(__name__)

REDRAW_SECONDS = 0.08
"""Least time between two redraws: each takes the window's thread, which the user needs too."""


class LiveView:
    """Redraws labels at a bounded rate and lets the slider follow a run.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    route : Route
        Which way runs go through stacks.
    """

    drawn = Signal()
    """Masks that had changed are handed to the screen."""

    def __init__(self, viewer: ViewerModel, route: Route) -> None:
        self.follows = True
        """Whether the slider goes to the frame that a run has just done."""
        self._viewer = viewer
        self._route = route
        self._newest: int | None = None
        self._is_due = False
        self._last = 0.0
        self._is_moving = self._has_scrubbed = False
        viewer.dims.events.current_step.connect(self._on_slider)

    def close(self) -> None:
        """Stop listening to the slider."""
        self._viewer.dims.events.current_step.disconnect(self._on_slider)

    def begin_run(self) -> None:
        """Follow again, even if the user has moved the slider during the last run."""
        self._has_scrubbed = False
        self._newest = None

    def request(self, newest: int | None = None) -> None:
        """Note that masks changed, and the frame that a run has just done."""
        self._is_due = True
        if newest is not None:
            self._newest = newest

    def redraw(self, layers: SegmentationLayers | None) -> float | None:
        """Draw what is due; return the seconds to wait if it is too early, else None."""
        if not self._is_due or layers is None:
            return None
        wait = self._last + REDRAW_SECONDS - time.monotonic()
        if wait > 0:
            return wait
        self._is_due = False
        self._follow(layers)
        layers.canvas.refresh(shown_frame(self._viewer, layers.image))
        self._last = time.monotonic()
        self.drawn.emit()
        return None

    def _follow(self, layers: SegmentationLayers) -> None:
        """Move the slider to the newest frame of a run."""
        frame, self._newest = self._newest, None
        if frame is None or not self.follows or self._has_scrubbed:
            return
        grid = layers.movie.grid
        self._is_moving = True
        try:
            if not grid.is_line and self._route.along == "both":
                # All slices of a time come one after another: the one that is looked at stays.
                z = grid.place(shown_frame(self._viewer, layers.image))[1]
                frame = grid.plane(grid.place(frame)[0], z)
            show_frame(self._viewer, layers.image, frame)
        except Exception:
            # Napari cannot read the frame, as when its file is gone; the engine says so when it
            # comes there, and its messages have to get through.
            logger.exception("frame %d cannot be shown", frame)
            self._has_scrubbed = True
        finally:
            self._is_moving = False

    def _on_slider(self) -> None:
        # Who scrubs during a run wants to look there, not to be pulled away.
        if not self._is_moving:
            self._has_scrubbed = True
