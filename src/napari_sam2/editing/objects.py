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
    first, last : int or None
        First and last frame of its life where a person has said so, as by a division or a cut:
        no run makes masks outside.
    """

    object_id: int
    name: str = ""
    state: ReviewState = "in work"
    parent: int | None = None
    locked: frozenset[int] = frozenset()
    is_locked: bool = False
    first: int | None = None
    last: int | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether every frame is to stay as it is."""
        return self.is_locked or self.state == "accepted"

    def holds(self, frame: int) -> bool:
        """Whether the mask on a frame is to stay as it is."""
        return self.is_fixed or frame in self.locked

    def lives_on(self, frame: int) -> bool:
        """Whether a frame lies in the life of the object."""
        is_early = self.first is not None and frame < self.first
        return not is_early and (self.last is None or frame <= self.last)
