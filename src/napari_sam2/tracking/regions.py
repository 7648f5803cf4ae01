"""What one object covers at one time: a mask, or in a movie of stacks a mask a slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord

__all__ = ["Region"]


@dataclass(frozen=True, slots=True)
class Region:
    """The pixels of an object at one time.

    Parameters
    ----------
    object_id, time : int
    slices : tuple of (int, MaskRecord)
        Slice z and the visible mask there, by z; z is 0 in a movie without depth. At least one.
    """

    object_id: int
    time: int
    slices: tuple[tuple[int, MaskRecord], ...]

    @classmethod
    def of(cls, object_id: int, time: int, masks: Mapping[int, MaskRecord]) -> Region | None:
        """Put the masks of the slices together; None if the object is seen on none of them."""
        seen = tuple((z, record) for z, record in sorted(masks.items()) if record.visible)
        return cls(object_id, time, seen) if seen else None

    @property
    def area(self) -> int:
        """Number of pixels, of all slices."""
        return sum(record.area for _, record in self.slices)

    @property
    def box(self) -> tuple[int, int, int, int, int, int]:
        """``(z0, y0, x0, z1, y1, x1)``, half open."""
        y0, x0, y1, x1 = np.array([record.bbox for _, record in self.slices]).T
        z0, z1 = self.slices[0][0], self.slices[-1][0] + 1
        return z0, int(y0.min()), int(x0.min()), z1, int(y1.max()), int(x1.max())

    def crop(self) -> NDArray[np.bool_]:
        """Return the pixels of the box, bool (z1 - z0, y1 - y0, x1 - x0)."""
        z0, y0, x0, z1, y1, x1 = self.box
        out = np.zeros((z1 - z0, y1 - y0, x1 - x0), dtype=bool)
        for z, record in self.slices:
            top, left, bottom, right = record.bbox
            out[z - z0, top - y0 : bottom - y0, left - x0 : right - x0] = record.crop()
        return out

    def centre(self) -> tuple[float, float, float]:
        """Return the mean position of the pixels, (z, y, x)."""
        places = [(z, *record.centroid()) for z, record in self.slices]
        z, y, x = np.average(places, axis=0, weights=[record.area for _, record in self.slices])
        return float(z), float(y), float(x)

    def scores(self) -> tuple[float, float, bool]:
        """Return predicted IoU and object score, weighed by area, and whether it was prompted."""
        weights = [record.area for _, record in self.slices]
        values = [(record.predicted_iou, record.object_score) for _, record in self.slices]
        iou, score = np.average(values, axis=0, weights=weights)
        return float(iou), float(score), any(record.prompted for _, record in self.slices)
