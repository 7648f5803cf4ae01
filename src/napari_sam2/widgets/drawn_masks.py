"""What was drawn by hand on a frame, as masks: strokes of a brush, and outlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2.editing.locks import held_on, spare
from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import MaskPrompt

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document


@dataclass(frozen=True, slots=True)
class DrawnMasks:
    """Masks that a person made on a frame.

    Attributes
    ----------
    title : str
        What was done, for the undo button.
    frame : int
    masks : mapping of int to ndarray of bool, (H, W)
        By object: its pixels now. Locked masks are spared.
    held : frozenset of int
        Objects that were drawn on, too, but are locked.
    says_absent : bool
        Whether a mask without a pixel says that its object is not there. From a brush it does not:
        who erases a mask takes it back.
    """

    title: str
    frame: int
    masks: Mapping[int, NDArray[np.bool_]] = field(repr=False)
    held: frozenset[int] = frozenset()
    says_absent: bool = False

    @property
    def prompts(self) -> list[MaskPrompt]:
        """The masks as prompts, without those that were erased."""
        erased = self.erased
        return [
            MaskPrompt(owner, self.frame, mask)
            for owner, mask in self.masks.items()
            if owner not in erased
        ]

    @property
    def erased(self) -> list[int]:
        """Objects whose prompts are taken back, because nothing is left of their mask."""
        return [i for i, mask in self.masks.items() if not (self.says_absent or mask.any())]

    @property
    def records(self) -> list[tuple[int, MaskRecord | None]]:
        """The masks to show; None for those without a pixel."""
        drawn = [MaskPrompt(owner, self.frame, mask) for owner, mask in self.masks.items()]
        return [
            (one.object_id, MaskRecord(one.bbox, one.bits, prompted=True) if one.bits else None)
            for one in drawn
        ]


def from_strokes(
    document: Document, frame: int, painted: Mapping[int, NDArray[np.bool_]]
) -> DrawnMasks:
    """Take what a brush left: every object that it touched, and its pixels."""
    held = held_on(document, frame) & painted.keys()
    masks = spare(document, frame, painted)
    return DrawnMasks(f"paint on {document.grid.name(frame)}", frame, masks, frozenset(held))


def from_outline(document: Document, outline: MaskPrompt, is_positive: bool) -> DrawnMasks:
    """Take what lies in an outline for the object, or cut it out of the object's mask.

    Raises
    ------
    ValueError
        If there is nothing to cut from.
    """
    owner, frame = outline.object_id, outline.frame
    before, drawn = document.masklets.mask(owner, frame), outline.mask
    if not is_positive and not (before & drawn).any():
        raise ValueError(
            f"Object {owner} has no mask there to cut from: outlines take away while a click "
            "means outside"
        )
    mask = drawn if is_positive else before & ~drawn
    what = "outline" if is_positive else "cut from"
    masks = spare(document, frame, {owner: mask})
    return DrawnMasks(f"{what} object {owner}, {document.grid.name(frame)}", frame, masks)


def absent(document: Document, object_id: int, frame: int) -> DrawnMasks:
    """Take an object for not there on a frame.

    Raises
    ------
    ValueError
        If there is no such object.
    """
    if object_id not in document.object_ids:
        raise ValueError(f"there is no object {object_id} that could be absent: click on it first")
    title = f"object {object_id} absent on {document.grid.name(frame)}"
    if document.info(object_id).holds(frame):
        return DrawnMasks(title, frame, {}, frozenset({object_id}), says_absent=True)
    nothing = np.zeros(document.masklets.shape[1:], bool)
    return DrawnMasks(title, frame, {object_id: nothing}, says_absent=True)
