"""Who has gone where: two objects are not in one place.

An object that is surely seen somewhere leaves that place to nobody else. Of two cells that look
alike and move, one is often sure, and then the other is where the first one is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
    newly = found
    while newly:
        taken = [(_moved(centers[i], by), searches[i].diameter) for i, by in found.items()]
        newly = {}
        for object_id in searches.keys() - found.keys():
            moved = _elsewhere(searches[object_id], centers[object_id], taken)
            if moved is not None:
                newly[object_id] = moved
        found = found | newly
    return {i: found.get(i, one.stage) for i, one in searches.items()}


def _elsewhere(
    search: Search, center: Center, taken: Sequence[tuple[Center, int]]
) -> tuple[int, int] | None:
    """Return where an object is if it is at none of the places that others, so wide, are at."""

    def is_free(at: Center) -> bool:
        return all(
            math.dist(at, place) >= _TAKEN * min(search.diameter, diameter)
            for place, diameter in taken
        )

    free = [spot for spot in search.spots if is_free(_moved(center, spot.moved))]
    if len(free) == len(search.spots):
        return None
    return search.found(free, _LIKENESS)


def _moved(center: Center, by: tuple[int, int]) -> Center:
    return center[0] + by[0], center[1] + by[1]
