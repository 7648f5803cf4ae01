"""Prompts and the lives of objects: where a mother has ended, and where an object begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.editing.change import Change
from napari_sam2.prompts import say_absent

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.editing.objects import ObjectInfo
    from napari_sam2.prompts import Prompt


def refusal(document: Document, object_id: int, frame: int) -> str | None:
    """Say why an object cannot be on a frame, None if it can."""
    info = document.info(object_id)
    mothers, when = document.lineage, document.grid.moment
    if info.last is not None and frame > info.last and object_id in mothers.values():
        return (
            f"Object {object_id} has divided after {when(info.last)}: click one of its daughters, "
            "or take the division back"
        )
    if info.first is not None and frame < info.first and object_id in mothers:
        return (
            f"Object {object_id} is born at {when(info.first)}: click its mother, object "
            f"{mothers[object_id]}"
        )
    return None


def longer_lives(document: Document, prompts: Iterable[Prompt]) -> Change:
    """Return the change that lets objects live where a person has just seen them."""
    lives = {}
    for prompt in prompts:
        if say_absent([prompt]):
            continue
        info = document.info(prompt.object_id)
        longer = _with_life_on(info, prompt.frame)
        if longer is not info:
            lives[prompt.object_id] = info, longer
    return Change("", objects=lives)


def _with_life_on(info: ObjectInfo, frame: int) -> ObjectInfo:
    """Return what is known of an object that a person has just seen on a frame."""
    if info.lives_on(frame):
        return info
    is_early = info.first is not None and frame < info.first
    return replace(info, first=frame) if is_early else replace(info, last=frame)
