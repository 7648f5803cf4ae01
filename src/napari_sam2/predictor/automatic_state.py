"""How far a search for objects in a movie is, in a form that a file can keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SearchState"]


@dataclass(slots=True)
class SearchState:
    """What a search has done.

    Attributes
    ----------
    seeded : dict of int to int
        Object that was found to the key frame it was found on.
    searched : set of int
        Key frames that have been searched.
    joined : set of int
        Key frames whose newcomers have been followed back to the key frame before.
    passing : tuple of (int, int) or None
        Key frame and direction of the pass that is under way, or was the last one.
    dropped : set of int or None
        Objects that are not kept; None before the last frame is done.
    cuts : list of (int, int, int)
        Mothers that went on as one of their daughters, the first frame of the daughters, and the
        id of that one.
    mothers : dict of int to int
        Daughter to mother.
    """

    seeded: dict[int, int] = field(default_factory=dict)
    searched: set[int] = field(default_factory=set)
    joined: set[int] = field(default_factory=set)
    passing: tuple[int, int] | None = None
    dropped: set[int] | None = None
    cuts: list[tuple[int, int, int]] = field(default_factory=list)
    mothers: dict[int, int] = field(default_factory=dict)

    @property
    def object_ids(self) -> frozenset[int]:
        """Every object that the search has made."""
        return frozenset(self.seeded) | frozenset(new for _, _, new in self.cuts)

    def as_json(self) -> dict[str, Any]:
        """Return plain lists."""
        return {
            "seeded": [list(pair) for pair in self.seeded.items()],
            "searched": sorted(self.searched),
            "joined": sorted(self.joined),
            "passing": None if self.passing is None else list(self.passing),
            "dropped": None if self.dropped is None else sorted(self.dropped),
            "cuts": [list(cut) for cut in self.cuts],
            "mothers": [list(pair) for pair in self.mothers.items()],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SearchState:
        """Read what `as_json` made."""
        passing, dropped = content["passing"], content["dropped"]
        return cls(
            {int(object_id): int(key) for object_id, key in content["seeded"]},
            set(map(int, content["searched"])),
            set(map(int, content["joined"])),
            None if passing is None else (int(passing[0]), int(passing[1])),
            None if dropped is None else set(map(int, dropped)),
            [(int(mother), int(frame), int(new)) for mother, frame, new in content["cuts"]],
            {int(daughter): int(mother) for daughter, mother in content["mothers"]},
        )
