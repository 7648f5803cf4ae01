"""Labels layers of the viewer as seeds: read on a thread, taken over as one step; no Qt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2.editing.seeding import Seeded, Seeds, read_seeds, seed
from napari_sam2.widgets.coordinates import made_layout
from napari_sam2.widgets.label_planes import LabelPlanes
from napari_sam2.widgets.status import Status
from napari_sam2.widgets.written_places import parse_places

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.planes import PlaneGrid
    from napari_sam2.widgets.open_movie import OpenMovie

Frames = Literal["shown", "all"] | str | Sequence[int]
LEAST_IOU = 0.5
"""A label that overlaps an object by this much is taken for that object."""


class SeedLabels:
    """Makes the labels of a layer objects with mask prompts.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    movie : callable
        Returns the movie in work, None without one.
    wake : callable
        Called from a thread when `settle` has something to do.
    """

    told = Signal(Status)
    """What to tell the user."""
    done = Signal()
    """Labels were taken over."""

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        wake: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._wake = wake
        self._read: tuple[OpenMovie, Seeds | Exception, float | None, frozenset[int]] | None = None
        self._thread: threading.Thread | None = None

    def layers(self) -> list[Labels]:
        """Labels layers that can be seeds: all but the one that shows the objects."""
        movie = self._movie()
        own = None if movie is None else movie.layers.canvas.layer
        layers = reversed(self._viewer.layers)
        return [one for one in layers if isinstance(one, Labels) and one is not own]

    def take(self, layer: Labels, frames: Frames = "shown", *, match: bool = True) -> bool:
        """Make every label an object with a mask prompt; an object it lies on is that object.

        Parameters
        ----------
        layer : napari.layers.Labels
            As large as the movie, or as one of its frames.
        frames : "shown", "all", str or sequence of int
            Where to read it: numbers of planes, or text as `parse_places` reads it, ``"0, 4-6"``
            or ``"t 3, z 7"``. A layer of one frame is read for each frame that is named.
        match : bool
            Whether a label that lies on an object is taken for that object; else all are new.

        Returns
        -------
        bool
            Whether reading has begun; what comes of it is told later.
        """
        movie = self._movie()
        try:
            if movie is None:
                raise ValueError("there is no movie: choose an image layer first")
            if self._thread is not None:
                raise ValueError("labels are being read: wait for their objects first")
            planes = list(_planes(layer, movie, frames))
        except ValueError as error:
            self.refuse(str(error))
            return False
        least = LEAST_IOU if match else None
        self._thread = threading.Thread(
            target=self._work, args=(movie, planes, least), name="napari-sam2 seeds", daemon=True
        )
        self.told.emit(Status(f"Reading the labels of {layer.name}…", "busy"))
        self._thread.start()
        return True

    def settle(self) -> None:
        """Take over what was read."""
        if self._read is None:
            return
        (movie, seeds, least, known), self._read = self._read, None
        self._thread = None
        if movie is not self._movie():
            self.refuse("the labels were of another movie: take them again there")
        elif isinstance(seeds, Exception):
            self.refuse(str(seeds))
        elif known != set(movie.document.object_ids):
            self.refuse("objects came or went while labels were read: take them again")
        else:
            result = seed(movie.document, seeds, least)
            if not result.change.is_empty:
                movie.perform(result.change)
            self.done.emit()
            self.told.emit(Status(_summary(result, movie.document.grid), "info"))

    def _work(self, movie: OpenMovie, planes: list[Any], least: float | None) -> None:
        """Read on a thread of its own: a long movie takes seconds."""
        known = frozenset(movie.document.object_ids)
        found: Seeds | Exception
        try:
            document = movie.document
            found = read_seeds(
                document.masklets, ((t, read()) for t, read in planes), document.grid
            )
        except Exception as error:
            # Whatever the array behind the layer raises is told, not lost with the thread.
            found = error
        self._read = movie, found, least, known
        self._wake()

    def refuse(self, text: str) -> None:
        """Say why labels are not taken."""
        self.told.emit(Status(f"{text[:1].upper()}{text[1:]}", "error"))


def _planes(
    layer: Labels, movie: OpenMovie, frames: Frames
) -> Iterator[tuple[int, Callable[[], NDArray]]]:
    """Yield each frame and what reads its labels."""
    data = layer.data[0] if layer.multiscale else layer.data
    shape = movie.layers.movie.shape
    planes = LabelPlanes(made_layout(movie.image))
    if not planes.fits(data) and tuple(data.shape) not in (shape, shape[1:]):
        raise ValueError(
            f"{layer.name!r} has the shape {tuple(data.shape)} and the movie {shape}: choose "
            "labels of this movie, or of one of its frames"
        )
    for frame in _chosen(movie, frames):
        if not 0 <= int(frame) < shape[0]:
            raise ValueError(f"frame {frame} is outside the movie: use 0 to {shape[0] - 1}")
        yield int(frame), _reader(planes, data, int(frame))


def _chosen(movie: OpenMovie, frames: Frames) -> Sequence[int]:
    grid = movie.document.grid
    if not isinstance(frames, str):
        return frames
    if frames in ("shown", "all"):
        return [movie.frame] if frames == "shown" else range(len(grid))
    return parse_places(frames, grid)


def _reader(planes: LabelPlanes, data: Any, frame: int) -> Callable[[], NDArray]:
    if planes.fits(data):
        return lambda: planes.read(data, frame)
    return lambda: np.asarray(data if len(data.shape) == 2 else data[frame])


def _summary(result: Seeded, grid: PlaneGrid) -> str:
    """Say how many objects came of labels."""
    parts = [f"{len(result.new)} new object{'s' * (len(result.new) != 1)}"]
    if result.matched:
        parts.append(f"{len(result.matched)} that were there already")
    if result.kept:
        parts.append(f"{len(result.kept)} left as they are: accepted or locked")
    count, what = len(result.frames), "frame" if grid.is_line else "plane"
    return f"Seeds on {count} {what}{'s' * (count != 1)}: {', '.join(parts)}"
