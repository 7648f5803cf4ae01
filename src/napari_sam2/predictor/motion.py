"""Where objects should be on the next frame of a run, and how far that is from their memories.

What is remembered of an object says where it was. A cell that has gone half its width, or a stage
that has jumped, leaves it at a place where its neighbour is now, and a small network follows the
neighbour. So memory attention is told by how much what each memory shows has moved since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.likeness import Search, stage_shift
from napari_sam2.predictor.memory_bank import Center, FrameMemory
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.whereabouts import find_all

__all__ = ["Expected", "center_of", "expect", "moved_since"]

TRUST = 0.02
"""Part of the way by which a mask draws the expected centre to its own: enough that small errors do
not add up, over thousands of frames. A mask that goes over to a neighbour, or to one daughter,
takes what is remembered along so slowly that the network can say that the object has gone."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Where an object should be on a frame.

    Attributes
    ----------
    center : tuple of float
        (y, x) in the frame: where it was thought to be on the frame before, a part of the way to
        where its mask is, and what it has moved since.
    moved : tuple of int
        By how many pixels it has moved since the frame before.
    """

    center: Center
    moved: tuple[int, int]


def expect(
    session: VideoSession, objects: Iterable[int], place: tuple[int, int]
) -> dict[int, Expected]:
    """Say where objects should be on a frame.

    Parameters
    ----------
    session : VideoSession
    objects : iterable of int
    place : tuple of int
        Frame, and direction of travel (1 or -1).

    Returns
    -------
    dict of int to Expected
        Objects of which nobody knows where they were are left out.
    """
    frame, step = place
    then = {i: _center_then(session, i, frame - step) for i in objects}
    known = {i: center for i, center in then.items() if center is not None}
    if not known:
        return {}
    before, now = session.read(frame - step), session.read(frame)
    stage = stage_shift(before, now, session.mapping)
    searches, seen = {}, {}
    for object_id in known:
        record = session.masklets.record(object_id, frame - step)
        if record is not None and record.visible:
            searches[object_id] = Search.of(before, now, session.mapping, record, stage)
            seen[object_id] = center_of(record)
    moves = find_all(searches, seen)
    found = {}
    for object_id, (y, x) in known.items():
        moved = moves.get(object_id, stage)
        found[object_id] = Expected((y + moved[0], x + moved[1]), moved)
    return found


def _center_then(session: VideoSession, object_id: int, frame: int) -> Center | None:
    """Return where an object is thought to have been on a frame."""
    record = session.masklets.record(object_id, frame)
    seen = None if record is None or not record.visible else center_of(record)
    memory = session.objects[object_id].bank.get(frame)
    if memory is None or memory.center is None or seen is None:
        return seen if memory is None or memory.center is None else memory.center
    (y, x), (seen_y, seen_x) = memory.center, seen
    return y + TRUST * (seen_y - y), x + TRUST * (seen_x - x)


@lru_cache(maxsize=1024)
def center_of(record: MaskRecord) -> Center:
    """Return the centroid of a mask, (y, x); every frame asks for those of all that it recalls."""
    return record.centroid()


def moved_since(memory: FrameMemory, record: MaskRecord | None, center: Center) -> Center:
    """Return by how many pixels an object has moved since a memory, (0, 0) if nobody knows."""
    then = memory.center
    if then is None and record is not None and record.visible:
        then = center_of(record)
    return (0.0, 0.0) if then is None else (center[0] - then[0], center[1] - then[1])
