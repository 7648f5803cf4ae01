"""What can be measured on every mask of a movie, kept up with it frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskletSet, MaskRecord

__all__ = ["MeasureName", "MeasureTable"]

MeasureName = Literal[
    "area", "y", "x", "predicted_iou", "object_score", "overlap", "prompted", "at_edge"
]
_NAMES: tuple[MeasureName, ...] = get_args(MeasureName)


class MeasureTable:
    """Area, centre, scores and overlap of the masks of every object on every frame.

    Parameters
    ----------
    masklets : MaskletSet
        Is read, one frame at a time; a frame that was not read since `mark` is out of date.

    Notes
    -----
    Each object has 32 bytes a frame: 16 MB for 500 objects on 1000 frames.
    """

    def __init__(self, masklets: MaskletSet) -> None:
        self._masklets = masklets
        self._rows: dict[int, NDArray[np.float32]] = {}
        self._outdated: dict[int, None] = {}
        self.mark({frame for masklet in masklets for frame in masklet.records})

    @property
    def is_current(self) -> bool:
        """Whether no frame is out of date."""
        return not self._outdated

    def mark(self, frames: Iterable[int]) -> None:
        """Note that masks on these frames changed; those noted first are measured first."""
        self._outdated.update(dict.fromkeys(frames))

    def measure_next(self) -> frozenset[int]:
        """Measure one frame that is out of date; return the objects whose values changed.

        With 500 objects of 300 pixels a frame takes about 15 ms.
        """
        if not self._outdated:
            return frozenset()
        frame = next(iter(self._outdated))
        del self._outdated[frame]
        return self._measure(frame)

    def measure_all(self) -> frozenset[int]:
        """Measure every frame that is out of date; return the objects whose values changed."""
        changed: frozenset[int] = frozenset()
        while self._outdated:
            changed |= self.measure_next()
        return changed

    def of(self, object_id: int) -> dict[MeasureName, NDArray[np.float32]]:
        """Return the measures of an object, each (T,); NaN on frames without a record.

        Returns
        -------
        dict of str to ndarray of float32, (T,)
            ``area`` in pixels (0 where hidden), ``y`` and ``x`` of the centre in pixels,
            ``predicted_iou``, ``object_score`` (a logit), ``overlap`` (share of the pixels that
            other objects claim too), ``prompted`` and ``at_edge`` (touches the edge of the frame).
        """
        rows = self._rows.get(object_id)
        if rows is None:
            rows = np.full((len(_NAMES), self._masklets.shape[0]), np.nan, np.float32)
        return dict(zip(_NAMES, rows, strict=True))

    def _measure(self, frame: int) -> frozenset[int]:
        found = {m.object_id: m.records[frame] for m in self._masklets if frame in m.records}
        covered = np.zeros(self._masklets.shape[1:], np.uint8)
        for record in found.values():
            y0, x0, y1, x1 = record.bbox
            covered[y0:y1, x0:x1] += record.crop()
        changed, known = set(), set(self._masklets.object_ids())
        for object_id in {*self._rows, *found}:
            record_here = found.get(object_id)
            new = _values(record_here, covered) if record_here is not None else np.nan
            rows = self._rows.get(object_id)
            if rows is None:
                rows = np.full((len(_NAMES), self._masklets.shape[0]), np.nan, np.float32)
                self._rows[object_id] = rows
            if not np.array_equal(rows[:, frame], np.broadcast_to(new, len(_NAMES)), True):
                rows[:, frame] = new
                changed.add(object_id)
            if object_id not in known:
                del self._rows[object_id]
        return frozenset(changed)


def _values(record: MaskRecord, covered: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure one mask; `covered` counts the masks on each pixel of the frame, (H, W)."""
    scores = record.predicted_iou, record.object_score
    if not record.visible:
        return np.array([0, np.nan, np.nan, *scores, 0, record.prompted, False], np.float32)
    y0, x0, y1, x1 = record.bbox
    inside = record.crop()
    rows, columns = inside.sum(axis=1), inside.sum(axis=0)
    area = int(rows.sum())
    y = y0 + float(rows @ np.arange(y1 - y0)) / area
    x = x0 + float(columns @ np.arange(x1 - x0)) / area
    shared = int(((covered[y0:y1, x0:x1] > 1) & inside).sum()) / area
    at_edge = y0 == 0 or x0 == 0 or y1 == covered.shape[0] or x1 == covered.shape[1]
    return np.array([area, y, x, *scores, shared, record.prompted, at_edge], np.float32)
