"""What is known of an object beside its masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ReviewState = Literal["in work", "accepted", "rejected"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One row of the table of objects.

    Attributes
    ----------
    object_id : int
        Label value and track id.
    name : str
        Free text.
    state : str
        ``"in work"``, ``"accepted"`` (its masks are locked) or ``"rejected"`` (not exported).
    parent : int or None
        The object that divided into this one.
    locked : frozenset of int
        Frames that no run may change although the object is in work.
    is_locked : bool
        Whether no run may change any frame although the object is in work.
    """

    object_id: int
    name: str = ""
    state: ReviewState = "in work"
    parent: int | None = None
    locked: frozenset[int] = frozenset()
    is_locked: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether every frame is to stay as it is."""
        return self.is_locked or self.state == "accepted"

    def holds(self, frame: int) -> bool:
        """Whether the mask on a frame is to stay as it is."""
        return self.is_fixed or frame in self.locked
