"""Movies made of other movies: several as channels of one, and lines through a movie of stacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.frames import ArrayFrames, FrameSource

__all__ = ["ChannelFrames", "LineFrames", "grid_of"]


class ChannelFrames:
    """The frames of several movies of one size as the channels of one movie.

    Parameters
    ----------
    sources : sequence of FrameSource
        At least one; their channels follow each other.

    Raises
    ------
    ValueError
        If they differ in size.
    """

    def __init__(self, sources: Sequence[ArrayFrames]) -> None:
        self._sources = tuple(sources)
        shapes = {source.shape for source in self._sources}
        if len(shapes) != 1:
            listed = " and ".join(map(str, sorted(shapes)))
            raise ValueError(
                f"channels of one movie have one size, not {listed} (frames, height, width): "
                "choose layers of the same size"
            )
        self.grid = self._sources[0].grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width: ``(T, H, W)``."""
        return self._sources[0].shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds the values of every source."""
        return np.result_type(*(source.dtype for source in self._sources))

    @property
    def num_channels(self) -> int:
        """Channels of a frame."""
        return sum(source.num_channels for source in self._sources)

    def __len__(self) -> int:
        return len(self._sources[0])

    def __getitem__(self, t: int) -> NDArray[Any]:
        return self.read(t)

    def read(self, t: int) -> NDArray[Any]:
        """Return frame ``t`` with its raw values, (H, W) or (H, W, C)."""
        frames = [source.read(t) for source in self._sources]
        return frames[0] if len(frames) == 1 else np.dstack(frames)


class LineFrames:
    """Some frames of a movie, in an order of their own: a line through a movie of stacks.

    Parameters
    ----------
    source : FrameSource
        The movie.
    planes : list of int
        Its frames, in the order that they have here; may be changed for frames not read yet.
    """

    def __init__(self, source: FrameSource, planes: list[int]) -> None:
        self._source = source
        self.planes = planes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width: ``(T, H, W)``."""
        return len(self.planes), *self._source.shape[1:]

    @property
    def num_channels(self) -> int:
        """Channels of a frame."""
        return self._source.num_channels

    @property
    def grid(self) -> PlaneGrid:
        """Times or slices, whichever the line goes through."""
        times = [grid_of(self._source).place(plane)[0] for plane in self.planes[:2]]
        is_depth = len(times) == 2 and times[0] == times[1]
        return PlaneGrid(1, len(self)) if is_depth else PlaneGrid(len(self))

    def __len__(self) -> int:
        return len(self.planes)

    def read(self, t: int) -> NDArray[Any]:
        """Return frame ``t`` of the line with its raw values."""
        return self._source.read(self.planes[t])


def grid_of(frames: FrameSource) -> PlaneGrid:
    """Return times and slices of a movie; a source that does not say has only times."""
    grid = getattr(frames, "grid", None)
    return grid if isinstance(grid, PlaneGrid) else PlaneGrid(len(frames))
