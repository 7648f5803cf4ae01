"""How much of itself a mask keeps from one frame to the next, wherever the object has gone."""

from __future__ import annotations

from dataclasses import replace

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.correction import agreement
from napari_sam2.predictor.session import VideoSession

__all__ = ["kept_of"]


def kept_of(
    session: VideoSession, object_id: int, place: tuple[int, int], record: MaskRecord
) -> float:
    """Return the overlap of a mask with the one before.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    record : MaskRecord
        The mask there.

    Returns
    -------
    float
        Intersection over union, where the mask before was or where it has moved to as the engine
        expected, whichever is more; 1 where one of the two is not visible.
    """
    frame, step = place
    before = session.masklets.record(object_id, frame - step)
    if before is None or not before.visible or not record.visible:
        return 1.0
    bank = session.objects[object_id].bank
    then, now = (bank.get(t) for t in (frame - step, frame))
    moves = [(0, 0)]
    if then is not None and now is not None and then.center and now.center:
        moves.append((round(now.center[0] - then.center[0]), round(now.center[1] - then.center[1])))
    return max(_overlap(before, record, moved) for moved in moves)


def _overlap(one: MaskRecord, other: MaskRecord, moved: tuple[int, int]) -> float:
    y, x = moved
    y0, x0, y1, x1 = one.bbox
    return agreement(replace(one, bbox=(y0 + y, x0 + x, y1 + y, x1 + x)), other)
