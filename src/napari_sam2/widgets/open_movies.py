"""The movies that are open in a viewer, and which of them is in work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam2.widgets.open_movie import OpenMovie

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.worker import Worker


class OpenMovies:
    """One movie an image layer; a movie that was left goes on where it was.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers are watched.
    worker, engine : Worker, Engine
        Who answers.

    Attributes
    ----------
    current : OpenMovie or None
        The movie in work.
    backlog : Backlog
        Frames that are not on disk yet.
    """

    opened = Signal(object)
    """A movie that is new."""
    dropped = Signal(object)
    """A movie whose session is about to end; its layers stay."""
    refused = Signal(object, str)
    """An image that is no movie, and why."""
    left = Signal(str)
    """The image in work was removed, or has other pixels; what to say of it."""

    def __init__(self, viewer: ViewerModel, worker: Worker, engine: Engine) -> None:
        self.current: OpenMovie | None = None
        self.backlog = worker.backlog
        self._viewer = viewer
        self._worker = worker
        self._engine = engine
        self._open: dict[Image, OpenMovie] = {}
        viewer.layers.events.removed.connect(self._on_removed)

    def __iter__(self) -> Iterator[OpenMovie]:
        return iter(tuple(self._open.values()))

    def find(self, key: str) -> OpenMovie | None:
        """Return the open movie with this key; None if it was removed meanwhile."""
        return next((movie for movie in self if movie.key == key), None)

    def go_to(self, image: Image | None) -> None:
        """Make the movie of an image the current one; none if it cannot be one."""
        self.current = None if image is None else self._opened(image)

    def reopen(self, image: Image) -> None:
        """Begin anew on an image whose axes or level are others now."""
        movie = self._open.get(image)
        # Layers that hold nothing go: those of the other axes would only be in the way.
        empty = [] if movie is None or movie.document.object_ids else movie.layers.made()
        self._drop(image)
        for layer in empty:
            self._viewer.layers.remove(layer)
        self.go_to(image)

    def close(self) -> None:
        """End every session and stop listening; the layers stay."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        for image in tuple(self._open):
            self._drop(image)
        self.current = None

    def _opened(self, image: Image) -> OpenMovie | None:
        """Make or find the open movie of an image."""
        if image in self._open:
            return self._open[image]
        try:
            movie = OpenMovie(self._viewer, image, self._worker, self._engine)
        except ValueError as error:
            self.refused.emit(image, str(error))
            return None
        image.events.data.connect(self._on_data)
        self._open[image] = movie
        movie.enter()
        self.opened.emit(movie)
        return movie

    def _drop(self, image: Any) -> OpenMovie | None:
        """End the session of an image, if it has one, and return what was open."""
        movie = self._open.pop(image, None)
        if movie is not None:
            image.events.data.disconnect(self._on_data)
            self.dropped.emit(movie)
            movie.close()
        return movie

    def _on_removed(self, event: Any) -> None:
        """Go on without a layer that was removed by hand."""
        gone = self._drop(event.value)
        if gone is None:
            for movie in self:
                movie.layers.forget(event.value)
        elif gone is self.current:
            self.current = None
            self.left.emit(f"{gone.image.name} was removed; its labels stay")

    def _on_data(self, event: Any) -> None:
        """Begin anew on an image whose pixels were replaced; its layers stay."""
        gone = self._drop(event.source)
        if gone is not None and gone is self.current:
            self.go_to(event.source)
            name = event.source.name
            self.left.emit(f"{name} has other pixels now: a new session has begun")
