"""Prompts and the lives of objects: where a mother has ended, and where an object begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.editing.objects import ObjectInfo


def refusal(document: Document, object_id: int, frame: int) -> str | None:
    """Say why an object cannot be on a frame, None if it can."""
    info = document.info(object_id)
    mothers = document.lineage
    if info.last is not None and frame > info.last and object_id in mothers.values():
        return (
            f"Object {object_id} has divided after frame {info.last}: click one of its daughters, "
            "or take the division back"
        )
    if info.first is not None and frame < info.first and object_id in mothers:
        return (
            f"Object {object_id} is born on frame {info.first}: click its mother, object "
            f"{mothers[object_id]}"
        )
    return None


def with_life_on(info: ObjectInfo, frame: int) -> ObjectInfo:
    """Return what is known of an object that a person has just seen on a frame."""
    if info.lives_on(frame):
        return info
    is_early = info.first is not None and frame < info.first
    return replace(info, first=frame) if is_early else replace(info, last=frame)
