"""What accepting a proposed division changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.editing import operations
from napari_sam2.editing.change import Change, Place
from napari_sam2.predictor.daughters import clicks_on_daughter
from napari_sam2.prompts import MaskPrompt, Prompt
from napari_sam2.tracking.proposals import DivisionProposal
from napari_sam2.tracking.stack_splitting import Slices, stack_halves

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.masklets import MaskRecord


def division_of(
    document: Document, proposal: DivisionProposal, reserve: Callable[[], int]
) -> tuple[Change, list[int], list[Place]]:
    """Return the change that a proposal is, the daughters, and the prompts of those that are new.

    New daughters get the pieces of the mother's mask, or clicks that are to be answered.

    Raises
    ------
    ValueError
        If it is not known where the daughters are: the mother's mask is not in two pieces.
    """
    daughters = list(proposal.daughters)
    masks: dict[Place, tuple[MaskRecord | None, MaskRecord | None]] = {}
    prompts: dict[Place, tuple[tuple[Prompt, ...], tuple[Prompt, ...]]] = {}
    new = [reserve() for _ in proposal.places]
    daughters += new
    for frame, places in enumerate((proposal.places, proposal.places_later), proposal.frame):
        for daughter, place in zip(new, places, strict=False):
            prompts[daughter, frame] = (), clicks_on_daughter(daughter, frame, place, places)
    for piece in _pieces(document, proposal):
        daughter = reserve()
        daughters.append(daughter)
        masks.update({(daughter, frame): (None, record) for frame, record in piece.items()})
        # A person has agreed to it: the largest mask is its prompt.
        frame = max(piece, key=lambda one: piece[one].area)
        prompt = MaskPrompt(daughter, frame, piece[frame].mask(document.masklets.shape[1:]))
        prompts[daughter, frame] = (), (prompt,)
        masks[daughter, frame] = None, replace(piece[frame], prompted=True)
    divided = operations.divide(document, proposal.mother, proposal.frame, daughters)
    change = divided.then(Change(divided.title, masks, prompts))
    return change, daughters, list(prompts)


def _pieces(document: Document, proposal: DivisionProposal) -> list[Slices]:
    """Return the masks of the daughters that do not exist yet, by frame or plane."""
    missing = 2 - len(proposal.daughters) - len(proposal.places)
    if missing <= 0:
        return []
    slices = _slices(document, proposal)
    parts = stack_halves(slices)
    if not slices or (missing == 2 and parts is None):
        raise ValueError(f"Object {proposal.mother} is not in two pieces: divide it by two clicks")
    return list(parts or ()) if missing == 2 else [slices]


def _slices(document: Document, proposal: DivisionProposal) -> Slices:
    """Return the mother's masks when the division is: of a frame, or of all slices of a time."""
    grid, frame = document.grid, proposal.frame
    planes = [frame] if grid.is_line else grid.along_z(grid.place(frame)[0])
    records = {plane: document.masklets.record(proposal.mother, plane) for plane in planes}
    return {plane: one for plane, one in records.items() if one is not None and one.visible}
