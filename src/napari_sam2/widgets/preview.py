"""Asks for the picture that the network sees, whenever it may have changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2.widgets.source import choice_of, movie_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.messages import Seen
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie
    from napari_sam2.widgets.worker import Worker


class Preview:
    """What the network sees of the frame that is shown, made on the worker's thread.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose slider is followed.
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
        The object in work; its view is shown.
    worker, engine : Worker, Engine
        Who makes the picture.
    """

    drawn = Signal(np.ndarray, tuple)
    """A new picture, uint8 (h, w, 3), and the box of the frame that it shows."""

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        objects: ObjectChoice,
        worker: Worker,
        engine: Engine,
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._objects = objects
        self._worker = worker
        self._engine = engine
        self._is_on = False
        self._watched: tuple[Image, ...] = ()
        self.picture: NDArray[np.uint8] | None = None
        """The newest picture, None before there is one."""
        viewer.dims.events.point.connect(self.refresh)
        objects.changed.connect(self.refresh)

    @property
    def is_on(self) -> bool:
        """Whether pictures are made."""
        return self._is_on

    @is_on.setter
    def is_on(self, value: bool) -> None:
        self._is_on = value
        self.watch()

    def close(self) -> None:
        """Stop listening."""
        self._is_on = False
        self._viewer.dims.events.point.disconnect(self.refresh)
        self._listen(())

    def watch(self) -> None:
        """Follow contrast and gamma of the layers in work, and make a picture."""
        movie = self._movie()
        if movie is None or not self._is_on:
            self._listen(())
            return
        self._listen((movie.image, *choice_of(movie.image).others))
        self.refresh()

    def refresh(self, _event: Any = None) -> None:
        """Ask for a new picture; the newest request counts."""
        movie = self._movie()
        if self._is_on and movie is not None:
            look = partial(
                self._engine.look, movie_of(movie.image), self._objects.current, movie.frame
            )
            self._worker.submit(look)

    def receive(self, message: Seen) -> None:
        """Take a picture."""
        movie = self._movie()
        if movie is not None and message.movie == movie.key:
            self.picture = message.picture
            self.drawn.emit(message.picture, message.box)

    def _listen(self, images: tuple[Image, ...]) -> None:
        for image in self._watched:
            for event in (image.events.contrast_limits, image.events.gamma):
                event.disconnect(self.refresh)
        self._watched = images
        for image in images:
            for event in (image.events.contrast_limits, image.events.gamma):
                event.connect(self.refresh)
