"""Exports from the dock: on a thread of their own, told in the status line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.io.export import FORMATS, Exported, export, format_of
from napari_sam2.io.open_tracked import objects_of
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.widgets.pixel_size import size_of
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.predictor.frames import ArrayFrames
    from napari_sam2.widgets.open_movie import OpenMovie

logger = logging.getLogger(__name__)


class Exports:
    """Writes the objects of the movie in work as they are when it is asked for.

    Parameters
    ----------
    movie : callable
        Returns the movie in work, None without one.
    wake : callable
        Called from the thread when `watch` has something to tell.
    """

    told = Signal(Status)
    """What to tell the user."""

    def __init__(self, movie: Callable[[], OpenMovie | None], wake: Callable[[], None]) -> None:
        self._movie = movie
        self._wake = wake
        self._news: Status | None = None
        self._percent = -1
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an export is under way."""
        return self._thread is not None and self._thread.is_alive()

    def begin(
        self, path: str | Path, format_name: str | None = None, *, overwrite: bool = False
    ) -> bool:
        """Begin to write; whether it could be begun.

        Parameters
        ----------
        path : str or Path
            File or folder.
        format_name : str, optional
            A name in `FORMATS`; by the ending of `path` otherwise.
        overwrite : bool
            Whether to replace what was exported there before.
        """
        movie = self._movie()
        try:
            if movie is None:
                raise ValueError("there is no movie: choose an image layer first")
            if self.is_busy:
                raise ValueError("another export is under way: wait until it is done")
            chosen = format_of(path, format_name)
            objects = _objects_of(movie)
        except ValueError as error:
            self.told.emit(Status(f"Nothing was exported: {error}", "error"))
            return False
        self._percent = -1
        # Not a daemon: closing the window ends no export half way.
        self._thread = threading.Thread(
            target=self._run, args=(objects, Path(path), chosen.name, overwrite),
            name="napari-sam2 export",
        )  # fmt: skip
        self.told.emit(Status(f"Exporting to {Path(path).name}…", "busy"))
        self._thread.start()
        return True

    def watch(self) -> None:
        """Tell what the thread has to tell; called on the window's thread."""
        news, self._news = self._news, None
        if news is not None:
            self.told.emit(news)

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the export under way."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, objects: TrackedObjects, path: Path, name: str, overwrite: bool) -> None:
        def note(done: int, total: int) -> None:
            percent = 100 * done // max(total, 1)
            if percent > self._percent:
                self._percent = percent
                self._tell(Status(f"Exporting to {path.name}… {percent} %", "busy"))

        try:
            done = export(objects, path, format=name, overwrite=overwrite, watch=note)
        except Exception as error:
            # Whatever a library raises: the window goes on, and says so.
            if not isinstance(error, ValueError | OSError | RuntimeError):
                logger.exception("the export to %s failed", path)
            self._tell(Status(f"Nothing was exported: {error}", "error"))
        else:
            self._tell(Status(_report(done)))

    def _tell(self, news: Status) -> None:
        self._news = news
        self._wake()


def save_filters() -> dict[str, str]:
    """Return what the file dialog offers, each with the name of its format."""
    return {
        f"{one.about} ({' '.join('*' + ending for ending in one.endings)})": one.name
        for one in FORMATS.values()
    }


def complete(path: str, format_name: str) -> tuple[Path, str]:
    """Return path and format of what was typed under a filter of the file dialog.

    An ending that is typed says more than the filter; without one that of the filter is added.
    """
    chosen = FORMATS[format_name]
    if path.lower().endswith(chosen.endings):
        return Path(path), format_name
    try:
        return Path(path), format_of(path).name
    except ValueError:
        return Path(path + chosen.endings[0]), format_name


def _report(done: Exported) -> str:
    return "; ".join([f"Exported {done.path}", *done.notes])


def _objects_of(movie: OpenMovie) -> TrackedObjects:
    """Return the objects of a movie as they are now, with its pixels and their size."""
    shown = movie.layers.movie
    return replace(
        objects_of(movie.document, movie.image.name),
        movie=_Frames(shown.raw),
        grid=shown.grid,
        calibration=size_of(movie.image, shown.layout, movie.path),
    )


class _Frames:
    """The frames of a layer with all its channels, as an array of planes."""

    def __init__(self, frames: ArrayFrames) -> None:
        self._frames = frames
        channels = frames.num_channels
        self.shape: tuple[int, ...] = (*frames.shape, *((channels,) if channels > 1 else ()))
        self.dtype = frames.dtype

    def __getitem__(self, plane: int) -> NDArray:
        return self._frames.read(plane)
