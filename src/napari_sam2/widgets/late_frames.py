"""Frames of a run that come after a person has locked or ended what is on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.editing.change import Change
from napari_sam2.editing.locks import held_on

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.masklets import MaskRecord
    from napari_sam2.predictor.results import FrameResult


def sift(
    document: Document, result: FrameResult
) -> tuple[list[tuple[int, MaskRecord | None]], list[Change]]:
    """Return the masks to write, and what the engine has to take back of the others."""
    frame = result.frame
    held = held_on(document, frame) | {
        one.object_id for one in result.objects if not document.info(one.object_id).lives_on(frame)
    }
    wanted: list[tuple[int, MaskRecord | None]] = []
    late = []
    for one in result.objects:
        kept = document.masklets.record(one.object_id, frame)
        if one.object_id not in held:
            wanted.append((one.object_id, one.record))
        elif one.record != kept:
            # Too late: the engine goes back to what is shown.
            late.append(Change("keep", {(one.object_id, frame): (one.record, kept)}))
    return wanted, late
