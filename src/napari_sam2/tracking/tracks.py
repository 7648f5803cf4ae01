"""Masklets as the table and the graph of napari's Tracks layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import Masklet, MaskletSet
from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.lineage import Lineage

__all__ = ["Tracks", "tracks_from_masklets"]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Where objects are, and who descends from whom.

    Parameters
    ----------
    table : ndarray of float64, shape (N, 4) or (N, 5)
        Rows of object id, frame, y, x, sorted by id and frame; positions in pixels. In movies of
        stacks object id, time, z, y, x.
    graph : dict
        Daughter id to the list of its mothers.
    """

    table: NDArray[np.float64]
    graph: dict[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def track_ids(self) -> tuple[int, ...]:
        """The objects that are seen on at least one frame, ascending."""
        return tuple(int(track) for track in np.unique(self.table[:, 0]))

    def with_lineage(self, mothers: Mapping[int, int]) -> Tracks:
        """Return the same tracks with these links, daughter to mother, between those seen."""
        seen = set(self.track_ids)
        links = {d: [m] for d, m in sorted(mothers.items()) if d in seen and m in seen}
        return Tracks(self.table, links)


def tracks_from_masklets(
    masklets: MaskletSet, lineage: Lineage | None = None, grid: PlaneGrid | None = None
) -> Tracks:
    """Return the centres of the masks of every object.

    Parameters
    ----------
    masklets : MaskletSet
        Frames on which an object is hidden are left out.
    lineage : Lineage, optional
        Family trees; links to objects that are never seen are left out, since napari refuses them.
    grid : PlaneGrid, optional
        Times and slices of the frames in a movie of stacks.

    Returns
    -------
    Tracks
        Empty, (0, 4), if nothing is seen.
    """
    is_flat = grid is None or grid.is_line
    rows = [
        row
        for masklet in masklets
        for row in (_rows(masklet) if grid is None or is_flat else _stack_rows(masklet, grid))
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4 if is_flat else 5)
    seen = {int(track) for track in table[:, 0]}
    links = lineage.graph() if lineage is not None else {}
    kept = {d: [m for m in mothers if m in seen] for d, mothers in links.items() if d in seen}
    return Tracks(table, {daughter: mothers for daughter, mothers in kept.items() if mothers})


def _rows(masklet: Masklet) -> list[tuple[float, ...]]:
    return [
        (masklet.object_id, frame, *masklet.records[frame].centroid())
        for frame in masklet.visible_frames
    ]


def _stack_rows(masklet: Masklet, grid: PlaneGrid) -> list[tuple[float, ...]]:
    """Return the centre of an object in each stack, its slices weighed by their areas."""
    rows: list[tuple[float, ...]] = []
    for time in range(grid.times):
        seen = [p for p in grid.along_z(time) if (r := masklet.records.get(p)) and r.visible]
        if seen:
            records = [masklet.records[plane] for plane in seen]
            places = [(grid.place(p)[1], *r.centroid()) for p, r in zip(seen, records, strict=True)]
            z, y, x = np.average(places, axis=0, weights=[record.area for record in records])
            rows.append((masklet.object_id, time, float(z), float(y), float(x)))
    return rows
