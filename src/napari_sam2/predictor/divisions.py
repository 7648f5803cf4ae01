"""Cells that divide while they are followed: the mother ends on the frame that shows two cells.

From there on nothing that is drawn of her would be true. Her mask comes apart (`divided`); or it
has two halves, or is not what it was, as when it goes over to one daughter alone, and a network
that has seen cells divide (`napari_sam2.model.division`) says that she has. Where the daughters
are, that network says too, for a person or a run that takes them on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.division import GRID, DivisionNet, load_division_net
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.correction import agreement
from napari_sam2.predictor.divided import comes_apart, is_two_lobed
from napari_sam2.predictor.division_crops import DivisionWindow, division_crops, frames_around
from napari_sam2.predictor.newborns import is_newborn
from napari_sam2.predictor.session import VideoSession

__all__ = ["Point", "daughters_of", "divided_on", "has_ended"]

Point = tuple[float, float]

# Chosen on 56 synthetic movies that no network was trained on, with ten cells around a mother
# followed in each. Where masks keep less than _ANOTHER and were steady, 15 cells are told that have
# divided since the frame before, and 3 that live; 16 and 11 without asking whether they were
# steady, and then 7 and 7 from a score of 5. Where masks have two halves 2 and 7; 3 and 38 without
# asking the network, most of those that live being followed badly.
_SURE, _LIKELY = 3.0, 2.0
"""Scores from which on the division network is believed: where nothing else speaks for a division,
and where the mask has two halves."""

_ANOTHER = 0.55
"""Overlap of a mask with the one before, wherever the object has gone, below which it may be that
of something else."""

# On the same movies: 18 mothers are ended on the frame that shows two cells, 17 without looking
# ahead, and none that lives beside those that end without. From 6 they are 19, and one that lives.
_CHANGED, _PLAIN = 0.85, 9.0
"""A mask that keeps less than this, and that may have divided, ends as well if the network would
say so from this score on a frame later: there the daughters lie apart. Masks of cells that are
followed well keep more, and are not asked about."""

_GROWN = 1.4
"""Growth of a mask in a frame from which on it has taken in a neighbour: that it shows two cells a
frame later is no division. Asking for it costs none on those movies, at 1.2 as at 1.6, and two of
the cells that live are not ended; mothers are small before they divide."""

_POSSIBLE = -1.5
"""Score up to which a cell has not divided, whatever its mask does. Of the masks that come apart on
those movies the network excludes one, of a cell that lives; the cells that have divided score 4 and
more."""

_STEADY = 0.65
"""Overlap that one of the two masks before had with the one before it, at least: one that never
keeps its place says nothing by it now. Two, since mothers draw together before they divide."""

_APART = 2
"""Cells of the map of daughters by which the two lie apart, more than."""


def has_ended(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether a division has ended an object before a frame.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).

    Returns
    -------
    bool
        Never where a prompt lies ahead: who gives one says that the object lives.
    """
    before = session.masklets.record(object_id, place[0] - 1)
    return _may_end(session, object_id, place) and before is not None and before.has_ended


def divided_on(
    session: VideoSession, place: tuple[int, int], records: Mapping[int, MaskRecord]
) -> dict[int, float]:
    """Find the objects that have divided since the frame before.

    Parameters
    ----------
    session : VideoSession
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    records : mapping of int to MaskRecord
        Masks that were tracked onto the frame.

    Returns
    -------
    dict of int to float
        Objects and how sure that is, 0 to 1.
    """
    may_end = {i: one for i, one in records.items() if one.visible and _may_end(session, i, place)}
    limits = {i: _limits(session, i, place, one) for i, one in may_end.items()}
    asked = [i for i, limit in limits.items() if min(limit) < math.inf]
    looks = _look(session, place[0], _records(session, place[0] - 1, asked))
    coming = {i: may_end[i] for i, (score, _) in looks.items() if limits[i].waits(score)}
    later = _look(session, place[0] + 1, coming) if session.can_look_at(place[0] + 1) else {}
    found = {}
    for object_id, (score, points) in looks.items():
        plain = later[object_id][0] if object_id in later else -math.inf
        is_told = score > limits[object_id].now or plain > _PLAIN
        if is_told and not _is_shared(session, object_id, place[0], points):
            found[object_id] = 1 / (1 + math.exp(-max(score, plain)))
    return found


def daughters_of(
    session: VideoSession, object_id: int, frame: int, later: int = 0
) -> tuple[Point, Point] | None:
    """Return where the daughters of an object are after its division.

    Parameters
    ----------
    session : VideoSession
    object_id : int
        The mother, with a mask on the frame before the division.
    frame : int
        The first one after it.
    later : int
        Frames after that one. The network has not seen longer than none in training; one frame
        later it finds daughters as well.

    Returns
    -------
    (Point, Point) or None
        Pixels (y, x) of the frame, the surer one first; None if nobody knows.
    """
    if later and not session.can_look_at(frame + later):
        return None
    looks = _look(session, frame + later, _records(session, frame - 1, [object_id]))
    return looks[object_id][1] if object_id in looks else None


class _Limits(NamedTuple):
    """Scores from which on the division network is believed of a mask.

    Attributes
    ----------
    now : float
    plain : float
        If it is certain a frame later.
    """

    now: float
    plain: float

    def waits(self, score: float) -> bool:
        """Say whether the next frame decides."""
        return self.plain < score <= self.now


def _limits(
    session: VideoSession, object_id: int, place: tuple[int, int], record: MaskRecord
) -> _Limits:
    if comes_apart(session, object_id, place, record):
        return _Limits(_POSSIBLE, _POSSIBLE)
    limits = _Limits(math.inf, math.inf)
    if _has_grown(session, object_id, place):
        return limits
    if not is_newborn(session, object_id, place):
        kept = _kept(session, object_id, place, record)
        if kept < _CHANGED and _was_steady(session, object_id, place):
            limits = _Limits(_SURE if kept < _ANOTHER else math.inf, _POSSIBLE)
    if is_two_lobed(session, object_id, place[0], record):
        limits = limits._replace(now=_LIKELY)
    return limits


def _is_shared(
    session: VideoSession, object_id: int, frame: int, daughters: tuple[Point, Point]
) -> bool:
    """Say whether a person has prompted one daughter on this frame, as an object of its own.

    Who does that, and leaves the mother alone, lets her live on as the other daughter.
    """
    others = (i for i in session.prompts.objects_on(frame) if i != object_id)
    records = [session.masklets.record(i, frame) for i in others]
    boxes = [one.bbox for one in records if one is not None and one.visible]
    return any(y0 <= y < y1 and x0 <= x < x1 for y, x in daughters for y0, x0, y1, x1 in boxes)


def _may_end(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    frame, step = place
    last = max(session.prompts.frames(object_id), default=frame)
    return step == 1 and grid_of(session.frames).slices == 1 and last < frame


def _has_grown(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether the mask before had just taken something in, so that it may show two cells."""
    frame, step = place
    earlier, last = (session.masklets.record(object_id, frame - n * step) for n in (2, 1))
    if earlier is None or last is None or last.prompted:
        return False
    return last.area > _GROWN * earlier.area > 0


def _was_steady(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether one of the two masks before had kept its place."""
    frame, step = place
    lately = [(t, session.masklets.record(object_id, t)) for t in (frame - step, frame - 2 * step)]
    kept = [_kept(session, object_id, (t, step), one) for t, one in lately if one is not None]
    return max(kept, default=0.0) >= _STEADY


def _kept(
    session: VideoSession, object_id: int, place: tuple[int, int], record: MaskRecord
) -> float:
    """Return how much of the mask before a mask keeps, wherever it has gone; 1 if nobody knows."""
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
    """Return the intersection over union of two masks, the first one moved."""
    y, x = moved
    y0, x0, y1, x1 = one.bbox
    return agreement(replace(one, bbox=(y0 + y, x0 + x, y1 + y, x1 + x)), other)


def _records(session: VideoSession, frame: int, objects: Iterable[int]) -> dict[int, MaskRecord]:
    """Return the visible masks of objects on a frame."""
    found = {i: session.masklets.record(i, frame) for i in objects}
    return {i: record for i, record in found.items() if record is not None and record.visible}


@torch.inference_mode()
def _look(
    session: VideoSession, frame: int, before: Mapping[int, MaskRecord]
) -> dict[int, tuple[float, tuple[Point, Point]]]:
    """Return the division network's score of masks of the frame before, and two daughters."""
    if not before:
        return {}
    count = frame + 1 + session.can_look_at(frame + 1)
    frames = [session.read(t) for t in frames_around(frame, count)]
    crops = [division_crops(frames, record, session.mapping) for record in before.values()]
    output = _shipped()(torch.stack(crops))
    found = {}
    for (object_id, record), score, places in zip(
        before.items(), output.score.tolist(), output.places.numpy(), strict=True
    ):
        points = _points(DivisionWindow.around(record), places, session.shape[1:])
        found[object_id] = score, points
    return found


@cache
def _shipped() -> DivisionNet:
    return load_division_net()


def _points(
    window: DivisionWindow, logits: NDArray[np.float32], shape: tuple[int, int]
) -> tuple[Point, Point]:
    """Return the pixels of the frame below the two highest places of a map that lie apart.

    The second daughter is often a shoulder of the first one's peak: both are within 5 of 64 pixels
    in 0.913 of the divisions kept back, and in 0.895 if she has to be a peak of her own.
    """
    rows, columns = np.mgrid[:GRID, :GRID]
    free, places = logits, []
    for _ in range(2):
        row, column = divmod(int(free.argmax()), GRID)
        places.append(window.point_at(_middle(logits, row, column)))
        free = np.where(np.hypot(rows - row, columns - column) > _APART, free, -np.inf)
    first, second = (
        (min(max(y, 0.0), shape[0] - 1.0), min(max(x, 0.0), shape[1] - 1.0)) for y, x in places
    )
    return first, second


def _middle(logits: NDArray[np.float32], row: int, column: int) -> Point:
    """Return the mean place around a peak, weighted by probability."""
    near = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    weights = 1 / (1 + np.exp(-logits[near]))
    rows, columns = (axis[near] for axis in np.mgrid[:GRID, :GRID])
    total = float(weights.sum())
    y, x = (float((weights * axis).sum()) / total for axis in (rows, columns))
    return (y + 0.5) / GRID, (x + 0.5) / GRID
