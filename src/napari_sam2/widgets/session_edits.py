"""Edits of the window's document, made in the engine's session too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.editing.change import Change
    from napari_sam2.editing.objects import ObjectInfo
    from napari_sam2.predictor.session import VideoSession


def take_over(session: VideoSession, change: Change) -> None:
    """Change prompts, masks and locks of a session; objects of which nothing is left are removed.

    Parameters
    ----------
    session : VideoSession
        Its memories of the objects are out of date afterwards; see ``VideoPredictor.restore``.
    change : Change
    """
    for (object_id, frame), (_, prompts) in change.prompts.items():
        session.prompts.replace(object_id, frame, prompts)
    for (object_id, frame), (_, record) in change.masks.items():
        if record is None:
            session.masklets.remove(object_id, [frame])
        else:
            session.masklets.write(object_id, frame, record)
    for object_id in change.object_ids:
        has_masks = bool(session.masklets.frames(object_id))
        if not has_masks and not session.prompts.frames(object_id):
            session.remove_object(object_id)
    # Last: an object that has no prompt yet may have its place in time.
    for object_id, (_, info) in change.objects.items():
        _lock(session, object_id, info)


def _lock(session: VideoSession, object_id: int, info: ObjectInfo | None) -> None:
    session.locks.remove(object_id)
    if info is None:
        return
    if info.is_fixed:
        session.locks.add(object_id)
    session.locks.add(object_id, info.locked)
    session.locks.limit(object_id, info.first, info.last)
