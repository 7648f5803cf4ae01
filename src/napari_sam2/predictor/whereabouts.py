"""Who has gone where: two objects are not in one place.

An object that is surely seen somewhere leaves that place to nobody else. Of two cells that look
alike and move, one is often sure, and then the other is where the first one is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from napari_sam2.predictor.likeness import Search
from napari_sam2.predictor.memory_bank import Center

__all__ = ["find_all"]

# Chosen on 48 synthetic movies that no network was trained on (docs/experiments.md).
_TAKEN = 0.5
"""Diameters of the smaller of two objects that cannot both be within them."""

_LIKENESS = 0.4
"""Score that is enough for an object whose likeliest places are taken."""


def find_all(
    searches: Mapping[int, Search], centers: Mapping[int, Center]
) -> dict[int, tuple[int, int]]:
    """Say by how many pixels objects have moved between two frames.

    Parameters
    ----------
    searches : mapping of int to Search
        Objects, each looked for by itself.
    centers : mapping of int to (y, x)
        Centres of their masks on the frame before.

    Returns
    -------
    dict of int to tuple of int
        Rows and columns; those of the stage where nobody knows.
    """
    found = {i: moved for i, one in searches.items() if (moved := one.found()) is not None}
    newly = dict(found)
    while newly:
        newly = {}
        for object_id in searches.keys() - found.keys():
            moved = _elsewhere(object_id, searches, centers, found)
            if moved is not None:
                newly[object_id] = moved
        found |= newly
    return {i: found.get(i, one.stage) for i, one in searches.items()}


def _elsewhere(
    object_id: int,
    searches: Mapping[int, Search],
    centers: Mapping[int, Center],
    found: Mapping[int, tuple[int, int]],
) -> tuple[int, int] | None:
    """Return where an object is if it is at none of the places that others are at."""
    search, center = searches[object_id], centers[object_id]
    free = []
    for spot in search.spots:
        at = _moved(center, spot.moved)
        is_taken = any(
            math.dist(at, _moved(centers[other], moved))
            < _TAKEN * min(search.diameter, searches[other].diameter)
            for other, moved in found.items()
        )
        if not is_taken:
            free.append(spot)
    if len(free) == len(search.spots):
        return None
    return search.found(free, _LIKENESS)


def _moved(center: Center, by: tuple[int, int]) -> Center:
    return center[0] + by[0], center[1] + by[1]
