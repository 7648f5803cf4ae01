"""Where frames come from: lazy sources over arrays, and reading ahead of the network."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_sam2.planes import AxisLayout
from napari_sam2.predictor.intensity import IntensityMapping

__all__ = ["ArrayFrames", "FrameSource", "IntensityMapping", "Prefetcher"]

MAX_CHANNELS = 16
"""More than this in a last axis is a picture's width, not its channels."""


@runtime_checkable
class FrameSource(Protocol):
    """What the engine asks of a movie: frames of one size, read when they are needed."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width: ``(T, H, W)``."""
        ...

    @property
    def num_channels(self) -> int:
        """Channels of a frame; 1 for frames of shape (H, W)."""
        ...

    def __len__(self) -> int: ...

    def read(self, t: int) -> NDArray[Any]:
        """Return frame ``t``, (H, W) or (H, W, C), with its raw values."""
        ...


class ArrayFrames:
    """The frames of an array: numpy, dask, zarr, or whatever has a shape, a dtype and indexing.

    Nothing is computed or copied but the frame that is asked for.

    Parameters
    ----------
    array : array-like
        (T, Y, X), (T, Y, X, C) or one picture (Y, X) or (Y, X, C); bool, integer or float.
    axes : str, optional
        The order of the axes when it is another one, such as ``"TCYX"``. T, Z, Y, X and C (or S);
        any other axis has to have length 1. Of time and depth together each plane is a frame.
    channels : sequence of int, optional
        Channels to read, in this order; all by default.

    Attributes
    ----------
    grid : PlaneGrid
        Times and slices of the frames.

    Raises
    ------
    ValueError
        If the array is empty, of another number type, or its axes make no movie.
    """

    def __init__(
        self, array: Any, axes: str | None = None, channels: Sequence[int] | None = None
    ) -> None:
        if isinstance(array, str | PathLike):
            raise ValueError(
                f"a movie is an array, not a path: open {str(array)!r} with "
                "napari_sam2.io.read.read_movie first"
            )
        if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
            array = np.asarray(array)
        _check_numbers(array.dtype)
        sizes = tuple(int(size) for size in array.shape)
        _check_sizes(sizes)
        self._array = array
        self._layout = AxisLayout.of(_guess_axes(sizes) if axes is None else axes, sizes)
        self._channels = None if channels is None else tuple(channels)
        if not {*(self._channels or ())} <= {*range(self._layout.length("C"))}:
            raise ValueError(
                f"channels {self._channels} are not all there: the movie has channels 0 to "
                f"{self._layout.length('C') - 1}"
            )
        self._folder = _folder_of(array)
        self.grid = self._layout.grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width: ``(T, H, W)``."""
        return len(self.grid), self._layout.length("Y"), self._layout.length("X")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(self._array.dtype)

    @property
    def num_channels(self) -> int:
        """Channels of a frame; 1 for frames of shape (H, W)."""
        return self._layout.length("C") if self._channels is None else len(self._channels)

    def __len__(self) -> int:
        return len(self.grid)

    def __getitem__(self, t: int) -> NDArray[Any]:
        return self.read(t)

    def read(self, t: int) -> NDArray[Any]:
        """Return frame ``t`` with its raw values; it may share memory with the array.

        Parameters
        ----------
        t : int
            0 to ``len(self) - 1``.

        Returns
        -------
        ndarray, (H, W) or (H, W, C)

        Raises
        ------
        ValueError
            If the movie has no such frame.
        """
        if not 0 <= t < len(self):
            raise ValueError(f"frame {t} is outside the movie: it has frames 0 to {len(self) - 1}")
        if self._channels is None or "C" not in self._layout.axes:
            return self._plane(t).transpose(self._layout.order)
        planes = [self._plane(t, channel) for channel in self._channels]
        order = self._layout.order[:2]
        is_turned = order[0] > order[1]
        planes = [plane.T if is_turned else plane for plane in planes]
        return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)

    def _plane(self, t: int, channel: int | None = None) -> NDArray[Any]:
        """Read a plane as the array has it.

        Raises
        ------
        OSError
            If that does not work, as when the file was moved away meanwhile.
        """
        try:
            if self._folder is not None and not self._folder.exists():
                # Zarr takes chunks that are not there for empty ones.
                raise FileNotFoundError(f"{self._folder} does not exist")
            return np.asarray(self._array[self._layout.index(t, channel)])
        except Exception as error:
            raise OSError(
                f"frame {t} of the movie could not be read ({error}): if its file was moved or its "
                "disk is away, put it back and go on"
            ) from error


class Prefetcher:
    """Reads the frames that come next on a thread of its own, while the network is busy.

    It is a `FrameSource` itself. The source is only ever read on that one thread, so it need not
    be safe for several.

    Parameters
    ----------
    source : FrameSource
        Where the frames are.
    ahead : int
        How many frames to hold beyond the one that was asked for.

    Examples
    --------
    >>> movie = ArrayFrames(np.zeros((5, 8, 8), np.uint8))
    >>> with Prefetcher(movie) as frames:
    ...     frames.plan(range(4, -1, -1))
    ...     backwards = [frames.read(t) for t in range(4, -1, -1)]
    """

    def __init__(self, source: FrameSource, ahead: int = 2) -> None:
        if ahead < 0:
            raise ValueError(f"cannot read {ahead} frames ahead: give 0 or more")
        self._source = source
        self._ahead = ahead
        self._order: dict[int, tuple[int, ...]] = {}
        self._waiting: dict[int, Future[NDArray[Any]]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="napari-sam2-frames")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width: ``(T, H, W)``."""
        return self._source.shape

    @property
    def num_channels(self) -> int:
        """Channels of a frame."""
        return self._source.num_channels

    def __len__(self) -> int:
        return len(self._source)

    def plan(self, order: Sequence[int]) -> None:
        """Say in which order frames will be read from now on; frames may be left out later."""
        order = list(order)
        self._order = {t: tuple(order[i + 1 : i + 1 + self._ahead]) for i, t in enumerate(order)}
        self._forget(set(order[: self._ahead]))
        for t in order[: self._ahead]:
            self._start(t)

    def read(self, t: int) -> NDArray[Any]:
        """Return frame ``t``, and start on those that the plan has after it."""
        frame = self._start(t)
        if t in self._order:
            coming = self._order[t]
            for later in coming:
                self._start(later)
            self._forget({t, *coming})
        pixels = frame.result()
        # One that failed stays: who only looked ahead is not the one to tell.
        del self._waiting[t]
        return pixels

    def close(self) -> None:
        """Forget what was read ahead and end the thread."""
        self._forget(set())
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, t: int) -> Future[NDArray[Any]]:
        if t not in self._waiting:
            self._waiting[t] = self._thread.submit(self._source.read, t)
        return self._waiting[t]

    def _forget(self, keep: set[int]) -> None:
        for t in [t for t in self._waiting if t not in keep]:
            self._waiting.pop(t).cancel()


def _folder_of(array: Any) -> Path | None:
    """Return the folder of a zarr array on disk, None for anything else."""
    root = getattr(getattr(array, "store", None), "root", None)
    return root if isinstance(root, Path) else None


def _check_numbers(dtype: Any) -> None:
    kind = getattr(dtype, "kind", None)
    if kind not in ("b", "i", "u", "f"):
        raise ValueError(
            f"cannot show a movie of type {dtype}: convert it to integers or floats first, "
            "for example by array.astype('float32')"
        )


def _guess_axes(sizes: tuple[int, ...]) -> str:
    """Return the axes of an array whose order was not given."""
    if len(sizes) == 2:
        return "YX"
    if len(sizes) == 3:
        return "YXC" if sizes[-1] in (3, 4) and min(sizes[:2]) > 4 else "TYX"
    if len(sizes) == 4 and sizes[-1] <= MAX_CHANNELS:
        return "TYXC"
    if len(sizes) == 4:
        raise ValueError(
            f"the last axis of an array of shape {sizes} would be {sizes[-1]} channels: say which "
            "axis is which, for example axes='TCYX', or choose one channel or one plane"
        )
    raise ValueError(
        f"an array of shape {sizes} has {len(sizes)} axes: a movie has (T, Y, X) or (T, Y, X, C); "
        "choose one position, plane or channel first, or name the axes, for example axes='TCYX'"
    )


def _check_sizes(sizes: tuple[int, ...]) -> None:
    if len(sizes) < 2:
        raise ValueError(f"an array of shape {sizes} holds no pictures: a movie has (T, Y, X)")
    if 0 in sizes:
        raise ValueError(f"the movie is empty: its shape is {sizes}")
