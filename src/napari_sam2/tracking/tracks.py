"""Masklets as the table and the graph of napari's Tracks layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.lineage import Lineage

__all__ = ["Tracks", "tracks_from_masklets"]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Where objects are, and who descends from whom.

    Parameters
    ----------
    table : ndarray of float64, shape (N, 4)
        Rows of object id, frame, y, x, sorted by id and frame; positions in pixels.
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


def tracks_from_masklets(masklets: MaskletSet, lineage: Lineage | None = None) -> Tracks:
    """Return the centres of the masks of every object.

    Parameters
    ----------
    masklets : MaskletSet
        Frames on which an object is hidden are left out.
    lineage : Lineage, optional
        Family trees; links to objects that are never seen are left out, since napari refuses them.

    Returns
    -------
    Tracks
        Empty, (0, 4), if nothing is seen.
    """
    rows = [
        (masklet.object_id, frame, *masklet.records[frame].centroid())
        for masklet in masklets
        for frame in masklet.visible_frames
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    seen = {int(track) for track in table[:, 0]}
    links = lineage.graph() if lineage is not None else {}
    kept = {d: [m for m in mothers if m in seen] for d, mothers in links.items() if d in seen}
    return Tracks(table, {daughter: mothers for daughter, mothers in kept.items() if mothers})
