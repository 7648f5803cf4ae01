"""Masks that no run may change, because a person has accepted them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Locks:
    """Which frames of which objects are locked.

    Attributes
    ----------
    whole : set of int
        Objects that are locked on every frame.
    frames : dict of int to set of int
        Object id to single locked frames.
    spans : dict of int to pair of int or None
        Object id to the first and last frame of its life; it stays absent outside.
    """

    whole: set[int] = field(default_factory=set)
    frames: dict[int, set[int]] = field(default_factory=dict)
    spans: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)

    def add(self, object_id: int, frames: Iterable[int] | None = None) -> None:
        """Lock frames of an object, all of them by default."""
        if frames is None:
            self.whole.add(object_id)
        else:
            self.frames.setdefault(object_id, set()).update(frames)

    def remove(self, object_id: int, frames: Iterable[int] | None = None) -> None:
        """Unlock frames of an object; by default all of them, also those outside its life."""
        if frames is None:
            self.whole.discard(object_id)
            self.frames.pop(object_id, None)
            self.spans.pop(object_id, None)
        else:
            self.frames.get(object_id, set()).difference_update(frames)

    def limit(self, object_id: int, first: int | None, last: int | None) -> None:
        """Let an object live from one frame to another only; None leaves a side open."""
        self.spans[object_id] = first, last

    def holds(self, object_id: int, frame: int) -> bool:
        """Whether an object's mask on a frame, or its absence there, must stay as it is."""
        first, last = self.spans.get(object_id, (None, None))
        is_outside = (first is not None and frame < first) or (last is not None and frame > last)
        is_locked = object_id in self.whole or frame in self.frames.get(object_id, ())
        return is_outside or is_locked
