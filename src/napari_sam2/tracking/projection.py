"""Objects of a movie of stacks seen from above: one mask a time, all slices on one another."""

from __future__ import annotations

import numpy as np

from napari_sam2.masklets import Masklet, MaskletSet, MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.regions import Region

__all__ = ["Projection", "flattened"]


class Projection:
    """Looks from above again and again; a mask whose slices are the same stays the same one.

    Parameters
    ----------
    grid : PlaneGrid
        Times and slices.
    """

    def __init__(self, grid: PlaneGrid) -> None:
        self._grid = grid
        self._known: dict[tuple[int, int], tuple[tuple[MaskRecord, ...], MaskRecord]] = {}

    def of(self, masklets: MaskletSet) -> MaskletSet:
        """Return the masks as a movie of so many times, without depth."""
        out = MaskletSet((self._grid.times, *masklets.shape[1:]))
        for masklet in masklets:
            for time, slices in self._by_time(masklet).items():
                out.write(masklet.object_id, time, self._flat(masklet.object_id, time, slices))
        return out

    def _by_time(self, masklet: Masklet) -> dict[int, dict[int, MaskRecord]]:
        found: dict[int, dict[int, MaskRecord]] = {}
        for plane in masklet.visible_frames:
            time, z = self._grid.place(plane)
            found.setdefault(time, {})[z] = masklet.records[plane]
        return found

    def _flat(self, object_id: int, time: int, slices: dict[int, MaskRecord]) -> MaskRecord:
        sources = tuple(slices.values())
        before, flat = self._known.get((object_id, time), ((), None))
        is_same = len(before) == len(sources) and all(
            one is other for one, other in zip(before, sources, strict=True)
        )
        if flat is None or not is_same:
            region = Region(object_id, time, tuple(sorted(slices.items())))
            flat = flattened(region)
            self._known[object_id, time] = sources, flat
        return flat


def flattened(region: Region) -> MaskRecord:
    """Return the mask of all slices of a region, one on the other."""
    _, y0, x0, *_ = region.box
    iou, score, prompted = region.scores()
    return MaskRecord.from_mask(
        np.asarray(region.crop().any(axis=0), bool),
        predicted_iou=iou,
        object_score=score,
        prompted=prompted,
        origin=(y0, x0),
    )
