"""Prompts, masks and objects of one movie, changed only by changes."""

from __future__ import annotations

from napari_sam2.editing.change import Change
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.masklets import MaskletSet
from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import PromptStore


class Document:
    """Everything that a session file holds and that a person can change.

    Parameters
    ----------
    masklets : MaskletSet
        The masks; others may show them, and only this changes them.
    grid : PlaneGrid, optional
        Times and slices of the movie; a movie without depth by default.

    Attributes
    ----------
    prompts : PromptStore
    masklets : MaskletSet
    objects : dict of int to ObjectInfo
        Only objects of which more than masks and prompts is known; see :meth:`info`.
    """

    def __init__(self, masklets: MaskletSet, grid: PlaneGrid | None = None) -> None:
        self.grid = PlaneGrid(masklets.shape[0]) if grid is None else grid
        self.prompts = PromptStore()
        self.masklets = masklets
        self.objects: dict[int, ObjectInfo] = {}

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects with a prompt, a mask or a row in the table, ascending."""
        with_prompts, with_masks = self.prompts.object_ids(), self.masklets.object_ids()
        return tuple(sorted({*with_prompts, *with_masks, *self.objects}))

    @property
    def next_id(self) -> int:
        """An id that no object has."""
        return max(self.object_ids, default=0) + 1

    @property
    def lineage(self) -> dict[int, int]:
        """Daughter to mother."""
        return {i: info.parent for i, info in self.objects.items() if info.parent is not None}

    def info(self, object_id: int) -> ObjectInfo:
        """Return what is known of an object beside its masks."""
        return self.objects.get(object_id, ObjectInfo(object_id))

    def apply(self, change: Change) -> None:
        """Make a change, or take one back by its inverse."""
        for (object_id, frame), (_, record) in change.masks.items():
            if record is None:
                self.masklets.remove(object_id, [frame])
            else:
                self.masklets.write(object_id, frame, record)
        for (object_id, frame), (_, prompts) in change.prompts.items():
            self.prompts.replace(object_id, frame, prompts)
        for object_id, (_, info) in change.objects.items():
            if info is None:
                self.objects.pop(object_id, None)
            else:
                self.objects[object_id] = info
