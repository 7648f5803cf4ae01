"""A change of a document as a value: what was there, and what is there afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import Prompt

Place = tuple[int, int]
"""Object id and frame."""

Key = TypeVar("Key")
Value = TypeVar("Value")
Delta = Mapping[Key, tuple[Value, Value]]
"""Key to the value before and the value after."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step that can be undone.

    Attributes
    ----------
    title : str
        What was done, for the undo button: "delete object 3".
    masks : mapping of (int, int) to pair of MaskRecord or None
        By object and frame; None where there is no mask.
    prompts : mapping of (int, int) to pair of tuple of Prompt
        By object and frame, in the order of entry.
    objects : mapping of int to pair of ObjectInfo or None
        By object.
    """

    title: str
    masks: Delta[Place, MaskRecord | None] = field(default_factory=dict)
    prompts: Delta[Place, tuple[Prompt, ...]] = field(default_factory=dict)
    objects: Delta[int, ObjectInfo | None] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.masks or self.prompts or self.objects)

    @property
    def object_ids(self) -> frozenset[int]:
        """Objects that the change is about."""
        places = (*self.masks, *self.prompts)
        return frozenset(object_id for object_id, _ in places) | frozenset(self.objects)

    @property
    def frames(self) -> frozenset[int]:
        """Frames whose masks the change is about."""
        return frozenset(frame for _, frame in self.masks)

    def inverse(self) -> Change:
        """Return the change that takes this one back."""
        return Change(self.title, _turn(self.masks), _turn(self.prompts), _turn(self.objects))

    def then(self, later: Change) -> Change:
        """Return one change for this one followed by another; it keeps this one's title."""
        return Change(
            self.title,
            _join(self.masks, later.masks),
            _join(self.prompts, later.prompts),
            _join(self.objects, later.objects),
        )


def _turn(delta: Delta[Key, Value]) -> dict[Key, tuple[Value, Value]]:
    return {key: (after, before) for key, (before, after) in delta.items()}


def _join(first: Delta[Key, Value], later: Delta[Key, Value]) -> dict[Key, tuple[Value, Value]]:
    joined = dict(first)
    for key, (before, after) in later.items():
        joined[key] = (first[key][0] if key in first else before, after)
    return {key: pair for key, pair in joined.items() if pair[0] != pair[1]}
