"""Tells the engine where the user looks, once slider and mouse have come to rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_sam2.predictor.gaze import Gaze
from napari_sam2.widgets.coordinates import frame_yx

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.open_movie import OpenMovie

REST_SECONDS = 0.08
"""Who scrubs through a movie does not want every frame encoded that passes by."""


class LookAhead:
    """Watches slider and mouse.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    movie : callable
        Returns the movie in work, None without one.
    look : callable
        Takes a `Gaze`.
    wake : callable
        Has `settle` called soon.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        look: Callable[[Gaze], None],
        wake: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._look = look
        self._wake = wake
        self._moved: float | None = None
        self._told: tuple[OpenMovie, Gaze] | None = None
        self._step = 1
        viewer.dims.events.current_step.connect(self.note)
        viewer.cursor.events.position.connect(self.note)

    def close(self) -> None:
        """Stop watching."""
        self._viewer.dims.events.current_step.disconnect(self.note)
        self._viewer.cursor.events.position.disconnect(self.note)
        self._moved = None  # nobody is told any more of a look that has not come to rest

    def note(self) -> None:
        """Take note that the user looks elsewhere."""
        was_at_rest = self._moved is None
        self._moved = time.monotonic()
        if was_at_rest:
            self._wake()

    def settle(self) -> float | None:
        """Tell where the user looks, or return the seconds to wait until that is certain."""
        if self._moved is None:
            return None
        wait = self._moved + REST_SECONDS - time.monotonic()
        if wait > 0:
            return wait
        self._moved = None
        movie = self._movie()
        if movie is not None:
            self._tell(movie)
        return None

    def _tell(self, movie: OpenMovie) -> None:
        frame = movie.frame
        before = self._told[1].frame if self._told is not None and self._told[0] is movie else frame
        if frame != before:
            self._step = 1 if frame > before else -1
        gaze = Gaze(frame, self._place(movie), self._step)
        if self._told != (movie, gaze):
            self._told = movie, gaze
            self._look(gaze)

    def _place(self, movie: OpenMovie) -> tuple[float, float] | None:
        """Where the mouse is in the image, None outside."""
        position = self._viewer.cursor.position
        if len(position) < movie.image.ndim:
            return None
        image = movie.image
        _, (y, x) = frame_yx(image.world_to_data(position), image, image)
        _, height, width = movie.layers.movie.shape
        inside = -0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5
        return (float(y), float(x)) if inside else None
