"""How far a correction reaches: outwards from its frame until nothing changes any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.options import CorrectOptions
from napari_sam2.predictor.results import FrameResult
from napari_sam2.predictor.session import ObjectState, VideoSession

Visit = Callable[[int, int], FrameResult]
"""Segment the object anew on a frame, travelling in a direction (1 or -1)."""


def corrected_objects(session: VideoSession, options: CorrectOptions) -> list[int]:
    """List the objects with corrections that have not been spread yet."""
    return [
        object_id
        for object_id, state in sorted(session.objects.items())
        if state.corrected and (options.objects is None or object_id in options.objects)
    ]


def spread(
    session: VideoSession, object_id: int, options: CorrectOptions, visit: Visit
) -> Iterator[FrameResult]:
    """Track one object outwards from its corrections, forward and then backward from each.

    Parameters
    ----------
    session : VideoSession
        Its prompts are committed.
    object_id : int
    options : CorrectOptions
    visit : callable
        Tracks the object on a frame and writes its mask.

    Yields
    ------
    FrameResult
        One a frame that was computed. Frames behind the point where the masks agree again, or
        behind the next prompted frame, keep their masks and count as up to date: what lies there
        was decided by that prompt.
    """
    state = session.objects[object_id]
    kept: set[int] = set()
    try:
        for frame in sorted(state.corrected):
            for step in (1, -1):
                ahead = _ahead(state, frame, step)
                yield from _follow(session, object_id, ahead, step, options, visit)
                kept.update(ahead)
            state.corrected.discard(frame)
    finally:
        # Only at the end: a frame kept by one correction may be computed for the next.
        for frame in kept:
            state.tracked[frame] = state.revision


def _follow(
    session: VideoSession,
    object_id: int,
    ahead: list[int],
    step: int,
    options: CorrectOptions,
    visit: Visit,
) -> Iterator[FrameResult]:
    """Track over the frames ahead, taking them from the list, up to a prompt or settled masks."""
    agreeing = 0
    prompted = session.prompts.frames(object_id)
    while ahead and ahead[0] not in prompted and agreeing < options.settled_frames:
        frame = ahead[0]
        if session.locks.holds(object_id, frame):
            session.objects[object_id].tracked[frame] = session.objects[object_id].revision
            agreeing += 1
        else:
            before = session.masklets.record(object_id, frame)
            result = visit(frame, step)
            after = session.masklets.record(object_id, frame)
            agreeing = agreeing + 1 if agreement(before, after) >= options.agreement else 0
            yield result
        del ahead[0]


def _ahead(state: ObjectState, frame: int, step: int) -> list[int]:
    """Frames that were tracked, from a correction on, up to the next one that is to be spread.

    Without those nearest to it that are up to date: a run, or the part of this one that was done
    before it was interrupted, has been there since.
    """
    ahead: list[int] = []
    frame += step
    while frame in state.tracked and frame not in state.corrected:
        if ahead or state.tracked[frame] != state.revision:
            ahead.append(frame)
        frame += step
    return ahead


def agreement(before: MaskRecord | None, after: MaskRecord | None) -> float:
    """Return the IoU of two masks of one frame; 1 where neither has a pixel."""
    is_seen = [one is not None and one.visible for one in (before, after)]
    if before is None or after is None or not all(is_seen):
        return float(not any(is_seen))
    y0, x0 = np.minimum(before.bbox[:2], after.bbox[:2])
    y1, x1 = np.maximum(before.bbox[2:], after.bbox[2:])
    masks = np.zeros((2, y1 - y0, x1 - x0), bool)
    for canvas, record in zip(masks, (before, after), strict=True):
        top, left, bottom, right = record.bbox
        canvas[top - y0 : bottom - y0, left - x0 : right - x0] = record.crop()
    return float(masks.all(axis=0).sum() / masks.any(axis=0).sum())
