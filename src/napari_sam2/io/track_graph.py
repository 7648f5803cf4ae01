"""Objects as the graph that tracking tools share: a node an object and frame, edges in time."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.tracking.lineage import Lineage

__all__ = ["TrackGraph", "track_graph"]

_WIDTH = 8
"""Numbers of a node: object, time, z, y, x, area, predicted IoU, object score."""


@dataclass(frozen=True)
class TrackGraph:
    """Nodes and edges; the number of a node is its row plus 1.

    Parameters
    ----------
    object_ids, times : ndarray of int64, (N,)
        What each node is, by time and id.
    centres : ndarray of float64, (N, 3)
        z, y, x in pixels.
    areas : ndarray of int64, (N,)
    scores : ndarray of float64, (N, 2)
        Predicted IoU and object score.
    edges : ndarray of int64, (E, 2)
        Nodes, the earlier first.
    lineage : Lineage
        The divisions that are edges.
    """

    object_ids: NDArray[np.int64]
    times: NDArray[np.int64]
    centres: NDArray[np.float64]
    areas: NDArray[np.int64]
    scores: NDArray[np.float64]
    edges: NDArray[np.int64]
    lineage: Lineage

    @property
    def nodes(self) -> NDArray[np.int64]:
        """Numbers of the nodes, from 1."""
        return np.arange(1, len(self.times) + 1)

    def roots(self) -> NDArray[np.int64]:
        """Return the first ancestor of each node's object: the number of its family."""
        return self._by_object(lambda one: [one, *self.lineage.ancestors_of(one)][-1])

    def tracklets(self) -> NDArray[np.int64]:
        """Return the path that each node is on: a mother with one daughter goes on in her."""
        return self._by_object(self._tracklet)

    def _tracklet(self, object_id: int) -> int:
        mother = self.lineage.mother_of(object_id)
        while mother is not None and len(self.lineage.daughters_of(mother)) == 1:
            object_id, mother = mother, self.lineage.mother_of(mother)
        return object_id

    def _by_object(self, number: Callable[[int], int]) -> NDArray[np.int64]:
        ids, where = np.unique(self.object_ids, return_inverse=True)
        return np.array([number(int(i)) for i in ids], dtype=np.int64)[where]


def track_graph(
    objects: TrackedObjects, watch: Callable[[int, int], None] = lambda done, total: None
) -> tuple[TrackGraph, list[str]]:
    """Make the graph of objects; masks are read a frame at a time.

    Returns
    -------
    graph : TrackGraph
    notes : list of str
        Parents that do not fit in time, so that there is no edge.
    """
    rows = array("d")
    edges: list[tuple[int, int]] = []
    latest: dict[int, int] = {}
    first: dict[int, int] = {}
    for time, regions in enumerate(objects.everywhere()):
        for region in regions:
            iou, score, _ = region.scores()
            rows.extend((region.object_id, time, *region.centre(), region.area, iou, score))
            node = len(rows) // _WIDTH
            if region.object_id in latest:
                edges.append((latest[region.object_id], node))
            first.setdefault(region.object_id, node)
            latest[region.object_id] = node
        watch(time + 1, objects.num_times)
    table = np.array(rows, dtype=np.float64).reshape(-1, _WIDTH)
    unfit, mothers = [], {}
    for object_id, node in first.items():
        mother = objects.lineage.mother_of(object_id)
        if mother is None:
            continue
        if mother in latest and table[latest[mother] - 1, 1] < table[node - 1, 1]:
            edges.append((latest[mother], node))
            mothers[object_id] = mother
        else:
            unfit.append(object_id)
    whole = table[:, [0, 1, 5]].astype(np.int64)
    graph = TrackGraph(
        whole[:, 0], whole[:, 1], table[:, 2:5], whole[:, 2], table[:, 6:],
        np.array(edges, dtype=np.int64).reshape(-1, 2), Lineage.from_mothers(mothers),
    )  # fmt: skip
    return graph, _notes(unfit)


def _notes(unfit: list[int]) -> list[str]:
    if not unfit:
        return []
    listed = ", ".join(map(str, sorted(unfit)[:5])) + " ..." * (len(unfit) > 5)
    return [
        f"no parent for {listed}: the mother is still seen when the daughter begins, or never; cut "
        "the mother there"
    ]
