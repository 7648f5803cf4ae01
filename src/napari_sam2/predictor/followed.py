"""In movies of stacks: which prompts have had their consequences drawn, and on which way."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_sam2.predictor.options import Along
from napari_sam2.prompts import Prompt

Sources = tuple[tuple[int, tuple[Prompt, ...]], ...]
"""Planes, and the prompts on them."""


@dataclass(slots=True)
class HalfDone:
    """How far a correction had come when it was interrupted.

    Attributes
    ----------
    sources : tuple
        What it was about; with other prompts it begins anew.
    planes : set of int
        Planes of its line that were computed.
    times : dict of int to bool
        Times that were gone through, and whether the masks there had stayed the same.
    """

    sources: Sources = ()
    planes: set[int] = field(default_factory=set)
    times: dict[int, bool] = field(default_factory=dict)


@dataclass(slots=True)
class Followed:
    """What the engine notes of runs and corrections in a movie of stacks.

    Attributes
    ----------
    along : {"both", "time", "z"}
        The way of the last run; corrections go the same.
    prompts : dict of (int, int) to tuple of Prompt
        Object id and plane to the prompts there that runs or corrections have followed.
    """

    along: Along = "both"
    prompts: dict[tuple[int, int], tuple[Prompt, ...]] = field(default_factory=dict)
    _begun: dict[int, HalfDone] = field(default_factory=dict)

    def mark(self, object_id: int, sources: Sources) -> None:
        """Note that nothing is left to be done about prompts of an object."""
        self.prompts.update({(object_id, plane): prompts for plane, prompts in sources})

    def is_open(self, object_id: int, plane: int, prompts: tuple[Prompt, ...]) -> bool:
        """Whether something is left to be done about prompts."""
        return self.prompts.get((object_id, plane)) != prompts

    def begun(self, object_id: int, sources: Sources) -> HalfDone:
        """Return how far the correction of an object by these prompts has come."""
        known = self._begun.get(object_id)
        if known is None or known.sources != sources:
            known = self._begun[object_id] = HalfDone(sources)
        return known
