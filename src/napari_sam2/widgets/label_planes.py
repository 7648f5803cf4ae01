"""The pixels of a Labels layer, plane by plane, whatever the order of its axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam2.planes import AxisLayout

Region = tuple[int, int, int, int]
"""Bounding box in frame pixels, half open: y0, x0, y1, x1."""

LARGE_BYTES = 2 * 2**30
"""Labels that would take more are kept compressed, chunk by chunk: masks are mostly background."""

_CHUNK = 512


class LabelPlanes:
    """Reads and writes planes in an array with the axes of a movie.

    Parameters
    ----------
    layout : AxisLayout
        Axes and shape of the array, with one channel.
    """

    def __init__(self, layout: AxisLayout) -> None:
        self.layout = layout
        self._is_turned = layout.axes.index("Y") > layout.axes.index("X")

    def new(self) -> Any:
        """Return an empty array: numpy, or zarr in memory where that would be large."""
        shape = self.layout.sizes
        if np.prod(shape, dtype=float) * np.dtype(np.uint16).itemsize <= LARGE_BYTES:
            return np.zeros(shape, np.uint16)
        sides = zip(self.layout.axes, shape, strict=True)
        chunks = tuple(min(size, _CHUNK) if axis in "YX" else 1 for axis, size in sides)
        store = zarr.storage.MemoryStore()
        return zarr.create_array(store, shape=shape, chunks=chunks, dtype=np.uint16, fill_value=0)

    def fits(self, data: Any) -> bool:
        """Whether an array has the axes that are expected."""
        return tuple(data.shape) == self.layout.sizes

    def read(self, data: Any, frame: int) -> NDArray[Any]:
        """Return a plane, (H, W); of a numpy array it is a view."""
        plane = np.asarray(data[self.layout.index(frame, 0)])
        return plane.T if self._is_turned else plane

    def write(self, data: Any, frame: int, region: Region, window: NDArray[Any]) -> None:
        """Replace a box of a plane."""
        y0, x0, y1, x1 = region
        sides = {"Y": slice(y0, y1), "X": slice(x0, x1)}
        whole = self.layout.index(frame, 0)
        index = tuple(
            sides.get(axis, one) for axis, one in zip(self.layout.axes, whole, strict=True)
        )
        data[index] = window.T if self._is_turned else window
