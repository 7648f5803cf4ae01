"""Numbers of requests: which answers still count, and which are waited for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.editing.change import Place


class Tickets:
    """One number a request; only the newest one of an object and frame counts.

    Attributes
    ----------
    waiting : set of (int, int)
        Objects and frames whose answer is on its way.
    """

    def __init__(self) -> None:
        self.waiting: set[Place] = set()
        self._numbers = itertools.count(1)
        self._latest: dict[Place, int] = {}

    def issue(self, place: Place) -> int:
        """Return the number of a new request."""
        self.waiting.add(place)
        self._latest[place] = next(self._numbers)
        return self._latest[place]

    def take(self, place: Place, ticket: int) -> bool:
        """Take an answer; False if it comes too late."""
        if self._latest.get(place) != ticket:
            return False
        self.waiting.discard(place)
        return True

    def void(self, place: Place) -> None:
        """Have answers that are on their way come too late."""
        self._latest[place] = next(self._numbers)
        self.waiting.discard(place)
