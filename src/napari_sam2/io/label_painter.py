"""Masks as label images, and what a label image cannot hold: pixels that two objects claim."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.tracked_objects import TrackedObjects

__all__ = ["LabelPainter", "label_type"]


def label_type(largest: int) -> np.dtype[np.unsignedinteger]:
    """Return the smaller of uint16 and uint32 that holds a label."""
    return np.dtype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)


class LabelPainter:
    """Paints the objects of one time after the other, the smaller on top of the larger.

    Parameters
    ----------
    objects : TrackedObjects
    dtype : dtype, optional
        The smallest that holds every object id by default.
    """

    def __init__(
        self, objects: TrackedObjects, dtype: np.dtype[np.unsignedinteger] | None = None
    ) -> None:
        self._objects = objects
        self.dtype = dtype or label_type(max(objects.masks.object_ids(), default=0))
        self._overlapping: set[int] = set()

    def paint(
        self, time: int, labels: Mapping[int, int] | None = None
    ) -> NDArray[np.unsignedinteger]:
        """Return the labels of a time, (H, W) or (Z, H, W).

        Parameters
        ----------
        time : int
        labels : mapping of int to int, optional
            Label of each object; its id by default. An object that is not in it is not painted.
        """
        planes = self._objects.planes.along_z(time)
        painted = [self.paint_plane(plane, labels) for plane in planes]
        return np.stack(painted) if self._objects.is_deep else painted[0]

    def paint_plane(
        self, plane: int, labels: Mapping[int, int] | None = None
    ) -> NDArray[np.unsignedinteger]:
        """Return the labels of a plane, (H, W); as `paint` otherwise."""
        out = np.zeros(self._objects.masks.shape[1:], dtype=self.dtype)
        found = self._objects.masks.on(plane)
        records = [
            (record.area, i if labels is None else labels[i], record)
            for i, record in found.items()
            if labels is None or i in labels
        ]
        for _, label, record in sorted(records, key=lambda one: (-one[0], one[1])):
            y0, x0, y1, x1 = record.bbox
            out[y0:y1, x0:x1][record.crop()] = label
        if np.count_nonzero(out) < sum(area for area, *_ in records):
            self._overlapping.add(self._objects.planes.place(plane)[0])
        return out

    def notes(self) -> list[str]:
        """Say on how many of the frames painted so far masks overlapped."""
        if not self._overlapping:
            return []
        count, first = len(self._overlapping), min(self._overlapping)
        return [
            f"objects overlap on {count} frame{'s' * (count != 1)} (first: {first}): a label image "
            "has one object a pixel and shows the smaller one; COCO (.json) and the tables keep all"
        ]
