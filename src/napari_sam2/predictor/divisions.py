"""Cells that divide while they are followed: the mother ends on the frame that shows two cells.

From there on nothing that is drawn of her would be true. A network that has seen cells divide
(`napari_sam2.model.division`) says that she has. It is believed where it is certain, where the next
frame bears it out or shows that her mask has gone over to one daughter; and where her mask comes
apart (`divided`), unless it excludes that. Where the daughters are, it says too, for a person or a
run that takes them on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.division import GRID, DivisionNet, load_division_net
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.divided import comes_apart
from napari_sam2.predictor.division_crops import DivisionWindow, division_crops, frames_around
from napari_sam2.predictor.keeping import kept_of
from napari_sam2.predictor.newborns import is_newborn
from napari_sam2.predictor.session import VideoSession

__all__ = ["Point", "daughters_of", "divided_on", "has_ended"]

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What the division network has to say of a mask so that it is believed.

    Attributes
    ----------
    certain : float
        Score from which on it is believed at once.
    now, then, both : float
        Scores from which on it is believed together: on this frame, of the same mask a frame later,
        and both added up.
    alone : float
        Score from which on it is believed if, of this mask, it says less than _ALONE a frame later:
        then the mask is of one daughter.
    parts : bool
        Whether it is believed, even where it hardly says so, if it says more than _APPARENT a
        frame later.
    """

    certain: float
    now: float = math.inf
    then: float = math.inf
    both: float = 0.0
    alone: float = math.inf
    parts: bool = False


# Chosen on 136 synthetic movies that no network was trained on, single cells followed in each from
# five frames before the end of their track, or for a dozen frames if they live on. Of 339 mothers
# that were followed to their last frame 179 are ended on the next one, 20 later and 5 earlier; of
# 935 cells that live and were followed 8 are ended (docs/experiments.md).
_STEADY = _Doubt(certain=5.0, now=2.5, then=8.0, alone=3.0)
"""Of a mask that stays much as it was."""

_LEAVING = _Doubt(certain=5.0, now=2.0, then=2.0, both=6.0, alone=3.0)
"""Of a mask that keeps less than _MUCH of the one before, and does not grow: it may be going over
to one daughter. Taken so, two cells of HeLa that keep more would be ended while they live."""

_GROWING = _Doubt(certain=6.0, now=2.5, then=8.0, alone=4.0)
"""Of a mask that grows. If it holds both daughters they may yet be one cell, as the simulated
nuclei of the Cell Tracking Challenge are for two frames after their chromosomes part."""

_HAS_GROWN = _Doubt(certain=math.inf, now=4.0, then=4.0, both=11.0)
"""Of a mask that had grown a frame before: it may have taken in a neighbour."""

_APART = _Doubt(certain=-1.5)
"""Of a mask that comes apart: of those that have divided, even the least certain of HeLa scores
more."""

_ALONE = 2.0
"""Score of one daughter, at most."""

_MUCH = 0.65
"""Overlap with the mask before from which on a mask stays much as it was."""

_LEFT, _GONE = 0.5, 4.0
"""Score from which on it is believed at once of a mask that keeps less than _LEFT of the one
before. At 2.5 one cell of SIM ends two frames before its daughters are counted; of those of 32
synthetic movies a mother that ended early does not end now, and nothing else changes."""

_MOVED, _HARDLY, _APPARENT = 0.55, -3.0, 6.0
"""A mask that keeps less than _MOVED of the one before may be of a cell that parts slowly: of 24
mothers of `dividing_cells` a run ends 16 at once, 4 if that were not asked."""

_SAME = 0.9
"""A mask that keeps more than this of the one before is not asked about, which saves time: on those
movies it costs no mother, since what has divided does not stay as it was."""

_GROWN = 1.15
"""Growth of a mask in a frame that counts as such."""

_REACH = 2
"""Frames before the one with two cells that the network sees (`frames_around`)."""

_BETWEEN = 2
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
    doubts = {i: _doubt(session, i, place, one) for i, one in may_end.items()}
    asked = {i: doubt for i, doubt in doubts.items() if doubt is not None}
    looks = _look(session, place[0], _records(session, place[0] - 1, asked))
    coming = {i: may_end[i] for i, (score, _) in looks.items() if _waits(asked[i], score)}
    later = _look(session, place[0] + 1, coming) if session.can_look_at(place[0] + 1) else {}
    found = {}
    for object_id, (score, points) in looks.items():
        then = later[object_id][0] if object_id in later else None
        is_told = _is_told(asked[object_id], score, then)
        if is_told and not _is_shared(session, object_id, place[0], points, records):
            surest = score if then is None else max(score, then)
            found[object_id] = 1 / (1 + math.exp(-surest))
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


def _doubt(
    session: VideoSession, object_id: int, place: tuple[int, int], record: MaskRecord
) -> _Doubt | None:
    """Say what it takes to believe in a division; None if there is nothing to ask about."""
    if comes_apart(session, object_id, place, record):
        return _APART
    if _may_show_another(session, object_id, place):
        return None
    earlier, last = (session.masklets.record(object_id, place[0] - n * place[1]) for n in (2, 1))
    if _grows(earlier, last):
        return _HAS_GROWN
    kept = kept_of(session, object_id, place, record)
    if kept > _SAME:
        return None
    doubt = _STEADY if kept >= _MUCH else _LEAVING
    if _grows(last, record):
        doubt = _GROWING
    if kept >= _MOVED:
        return doubt
    return replace(doubt, certain=_GONE if kept < _LEFT else doubt.certain, parts=True)


def _waits(doubt: _Doubt, score: float) -> bool:
    """Say whether the next frame decides."""
    least = _HARDLY if doubt.parts else min(doubt.now, doubt.alone)
    return least < score <= doubt.certain


def _is_told(doubt: _Doubt, score: float, later: float | None) -> bool:
    """Say whether a cell with these scores, on this frame and the next, has divided."""
    if later is None or score > doubt.certain:
        return score > doubt.certain
    is_likely = score > doubt.now and later > doubt.then
    is_borne_out = is_likely and score + later > doubt.both
    has_parted = doubt.parts and score > _HARDLY and later > _APPARENT
    return is_borne_out or has_parted or (score > doubt.alone and later < _ALONE)


def _is_shared(
    session: VideoSession,
    object_id: int,
    frame: int,
    daughters: tuple[Point, Point],
    tracked: Mapping[int, MaskRecord],
) -> bool:
    """Say whether a person has just prompted one daughter, as an object of its own.

    Who does that, and leaves the mother alone, lets her live on as the other daughter; not who
    prompts both. The network still sees the division on the frames after the prompt.
    """
    prompts = session.prompts
    recent = {i for past in range(frame - _REACH, frame + 1) for i in prompts.objects_on(past)}
    # Neighbours that a person corrects were there before, and are no daughters.
    born = [i for i in recent if i != object_id and min(prompts.frames(i)) >= frame - _REACH]
    known = {i: tracked.get(i) or session.masklets.record(i, frame) for i in born}
    boxes = {i: one.bbox for i, one in known.items() if one is not None and one.visible}
    first, second = (
        {i for i, (y0, x0, y1, x1) in boxes.items() if y0 <= y < y1 and x0 <= x < x1}
        for y, x in daughters
    )
    has_both = bool(first and second) and len(first | second) > 1
    return bool(first | second) and not has_both


def _may_end(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    frame, step = place
    last = max(session.prompts.frames(object_id), default=frame)
    return step == 1 and grid_of(session.frames).slices == 1 and last < frame


def _may_show_another(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether a division that shows may be the one that the object comes of.

    The mask of a daughter often takes in her sister for some frames, and then shows two cells; and
    so long after a click the network still sees what was before it.
    """
    last = max(session.prompts.frames(object_id), default=-_REACH)
    return place[0] - last <= _REACH or is_newborn(session, object_id, place)


def _grows(one: MaskRecord | None, other: MaskRecord | None) -> bool:
    """Say whether a mask is larger than the one before, by more than outlines vary."""
    return one is not None and other is not None and other.area > _GROWN * one.area > 0


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
        free = np.where(np.hypot(rows - row, columns - column) > _BETWEEN, free, -np.inf)
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
