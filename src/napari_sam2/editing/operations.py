"""What a person can do to objects: each function returns the change, and changes nothing.

Frames count from 0; "from a frame on" includes that frame, and in a movie of stacks its whole time.
Prompts go with their masks, so that a later run agrees with the edit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from napari_sam2.editing.change import Change, Place
from napari_sam2.editing.document import Document
from napari_sam2.editing.objects import ObjectInfo, ReviewState
from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import MaskPrompt, Prompt, reassigned

_Records = dict[Place, MaskRecord | None]
_Prompts = dict[Place, tuple[Prompt, ...]]
_Infos = dict[int, ObjectInfo | None]


def insert(document: Document) -> Change:
    """Return the change that makes an empty document equal to this one."""
    masks = {
        (masklet.object_id, frame): (None, record)
        for masklet in document.masklets
        for frame, record in masklet.records.items()
    }
    prompts: dict[Place, tuple[tuple[Prompt, ...], tuple[Prompt, ...]]] = {
        place: ((), document.prompts.on(*place))
        for place in dict.fromkeys((one.object_id, one.frame) for one in document.prompts.all())
    }
    infos = {object_id: (None, info) for object_id, info in document.objects.items()}
    return Change("open session", masks, prompts, infos)


def delete(document: Document, *objects: int) -> Change:
    """Remove objects everywhere; their daughters lose their mother.

    Raises
    ------
    ValueError
        If one of them is not there.
    """
    _check(document, *objects)
    orphans: _Infos = {
        i: replace(info, parent=None)
        for i, info in document.objects.items()
        if info.parent in objects
    }
    return _change(
        document,
        f"delete {_named(objects)}",
        dict.fromkeys(place for i in objects for place in _mask_places(document, i)),
        dict.fromkeys((place for i in objects for place in _prompt_places(document, i)), ()),
        {**orphans, **dict.fromkeys(objects)},
    )


def clear(document: Document, object_id: int, frame: int) -> Change:
    """Remove an object's prompts and mask on one frame; nothing where there is neither."""
    place = object_id, frame
    title = f"clear object {object_id}, {document.grid.name(frame)}"
    return _change(document, title, {place: None}, {place: ()})


def merge(document: Document, kept: int, other: int) -> Change:
    """Give the masks and prompts of one object to another; on common frames masks are united.

    Raises
    ------
    ValueError
        If one of the objects is not there, or both are the same.
    """
    _check(document, kept, other)
    if kept == other:
        raise ValueError(f"object {kept} cannot be merged with itself: choose two objects")
    masks: _Records = dict.fromkeys(_mask_places(document, other))
    for _, frame in _mask_places(document, other):
        records = [document.masklets.record(i, frame) for i in (kept, other)]
        masks[kept, frame] = _unite([record for record in records if record is not None])
    prompts: _Prompts = dict.fromkeys(_prompt_places(document, other), ())
    for place in _prompt_places(document, other):
        frame = place[1]
        both = document.prompts.on(kept, frame)
        moved = _renamed(document.prompts.on(*place), kept)
        # A point or box beside a mask prompt would replace it.
        is_simple = not any(isinstance(one, MaskPrompt) for one in (*both, *moved))
        united = masks.get((kept, frame))
        if is_simple:
            prompts[kept, frame] = (*both, *moved)
        elif united is not None:
            pixels = united.mask(document.masklets.shape[1:])
            prompts[kept, frame] = (MaskPrompt(kept, frame, pixels),)
    orphans: _Infos = {
        i: replace(info, parent=None if i == kept else kept)
        for i, info in document.objects.items()
        if info.parent == other
    }
    title = f"merge object {other} into {kept}"
    infos: _Infos = {**orphans, other: None}
    if (life := _united_life(document.info(kept), document.info(other))) != document.info(kept):
        infos[kept] = life
    return _change(document, title, masks, prompts, infos)


def split(document: Document, object_id: int, frame: int) -> Change:
    """Make an object from a frame on a new one, `Document.next_id`.

    Raises
    ------
    ValueError
        If there is no such object, or it has no mask on both sides of the cut.
    """
    _check(document, object_id)
    frames, frame = document.masklets.frames(object_id), document.grid.start(frame)
    when = document.grid.moment(frame)
    if not frames or not frames[0] < frame <= frames[-1]:
        raise ValueError(
            f"object {object_id} cannot be split at {when}: its masks are "
            f"{_span(document, frames)}, and both parts need one"
        )
    fresh = document.next_id

    def owner(_object_id: int, _frame: int) -> int:
        return fresh

    title = f"split object {object_id} from {when} on"
    info = document.info(object_id)
    lives = _change(
        document,
        title,
        {},
        {},
        {
            object_id: replace(info, last=frame - 1),
            fresh: ObjectInfo(fresh, first=frame, last=info.last),
        },
    )
    return lives.then(_hand_over(document, title, [object_id], frame, owner))


def swap(document: Document, first: int, second: int, frame: int) -> Change:
    """Exchange two objects from a frame on, as after a run that confused them.

    Raises
    ------
    ValueError
        If one of the objects is not there, or both are the same.
    """
    _check(document, first, second)
    if first == second:
        raise ValueError(f"object {first} cannot be exchanged with itself: choose two objects")
    partner = {first: second, second: first}
    frame = document.grid.start(frame)
    title = f"swap objects {first} and {second} from {document.grid.moment(frame)} on"
    swapped = _hand_over(
        document, title, [first, second], frame, lambda object_id, _: partner[object_id]
    )
    one, other = document.info(first), document.info(second)
    if one.last == other.last:
        return swapped
    ends: _Infos = {first: replace(one, last=other.last), second: replace(other, last=one.last)}
    return _change(document, title, {}, {}, ends).then(swapped)


def cut(document: Document, object_id: int, frame: int, *, before: bool = False) -> Change:
    """Remove an object's masks and prompts from a frame on, or before it.

    Raises
    ------
    ValueError
        If there is no such object.
    """
    _check(document, object_id)
    frame = document.grid.start(frame)

    def is_gone(place: Place) -> bool:
        return place[1] < frame if before else place[1] >= frame

    side = "before" if before else "from"
    info = document.info(object_id)
    life = replace(info, first=frame) if before else replace(info, last=frame - 1)
    return _change(
        document,
        f"cut object {object_id} {side} {document.grid.moment(frame)}{'' if before else ' on'}",
        dict.fromkeys(filter(is_gone, _mask_places(document, object_id))),
        dict.fromkeys(filter(is_gone, _prompt_places(document, object_id)), ()),
        {object_id: life},
    )


def divide(document: Document, mother: int, frame: int, daughters: Sequence[int]) -> Change:
    """Let an object end before a frame and its daughters begin there.

    Parameters
    ----------
    document : Document
    mother : int
    frame : int
        First frame after the division.
    daughters : sequence of int
        Objects, at least two as a rule; they may have no mask yet.

    Raises
    ------
    ValueError
        If the mother is not there, is among her daughters or descends from one of them.
    """
    _check(document, mother)
    above, seen = document.lineage, [mother]
    while above.get(seen[-1]) is not None and above[seen[-1]] not in seen:
        seen.append(above[seen[-1]])
    if loop := set(seen) & set(daughters):
        raise ValueError(f"object {min(loop)} cannot descend from itself: choose other daughters")
    frame = document.grid.start(frame)
    end = cut(document, mother, frame)
    infos: _Infos = {i: replace(document.info(i), parent=mother, first=frame) for i in daughters}
    names = " and ".join(map(str, daughters))
    born = _change(document, f"divide object {mother} into {names}", {}, {}, infos)
    return born.then(end)


def set_parent(document: Document, object_id: int, parent: int | None) -> Change:
    """Set or clear the mother of an object."""
    _check(document, object_id)
    info = replace(document.info(object_id), parent=parent)
    title = f"parent of object {object_id}: {'none' if parent is None else parent}"
    return _change(document, title, {}, {}, {object_id: info})


def review(document: Document, objects: Sequence[int], state: ReviewState) -> Change:
    """Accept objects, reject them, or take them back into work."""
    _check(document, *objects)
    infos: _Infos = {i: replace(document.info(i), state=state) for i in objects}
    return _change(document, f"{_named(objects)}: {state}", {}, {}, infos)


def rename(document: Document, object_id: int, name: str) -> Change:
    """Name an object."""
    _check(document, object_id)
    info = replace(document.info(object_id), name=name)
    return _change(document, f"name object {object_id}", {}, {}, {object_id: info})


def lock(
    document: Document,
    objects: Sequence[int],
    frames: Sequence[int] | None = None,
    *,
    locked: bool = True,
) -> Change:
    """Lock or unlock masks of objects on some frames, by default on every frame."""
    _check(document, *objects)
    infos: _Infos = {i: _locked(document.info(i), frames, locked) for i in objects}
    title = f"{'lock' if locked else 'unlock'} {_named(objects)}"
    return _change(document, title, {}, {}, infos)


def _locked(info: ObjectInfo, frames: Sequence[int] | None, locked: bool) -> ObjectInfo:
    if frames is None:
        return replace(info, is_locked=locked, locked=info.locked if locked else frozenset())
    held = info.locked | set(frames) if locked else info.locked - set(frames)
    return replace(info, locked=held)


def _named(objects: Sequence[int]) -> str:
    return f"object {objects[0]}" if len(objects) == 1 else f"{len(objects)} objects"


def _hand_over(
    document: Document,
    title: str,
    objects: Sequence[int],
    frame: int,
    owner: Callable[[int, int], int],
) -> Change:
    """Give what objects have from a frame on, daughters included, to other objects."""
    masks: _Records = {}
    prompts: _Prompts = {}
    for object_id in objects:
        for place in _mask_places(document, object_id):
            if place[1] >= frame:
                masks.setdefault(place, None)
                masks[owner(*place), place[1]] = document.masklets.record(*place)
        for place in _prompt_places(document, object_id):
            if place[1] >= frame:
                prompts.setdefault(place, ())
                new = owner(*place)
                prompts[new, place[1]] = _renamed(document.prompts.on(*place), new)
    infos: _Infos = {
        i: replace(info, parent=owner(info.parent, frame))
        for i, info in document.objects.items()
        if info.parent is not None
        and info.parent in objects
        and min(document.masklets.frames(i), default=-1) >= frame
    }
    return _change(document, title, masks, prompts, infos)


def _change(
    document: Document, title: str, masks: _Records, prompts: _Prompts, infos: _Infos | None = None
) -> Change:
    """Add what is there now to what shall be there; what stays the same is left out."""
    change = Change(
        title,
        {place: (document.masklets.record(*place), record) for place, record in masks.items()},
        {place: (document.prompts.on(*place), group) for place, group in prompts.items()},
        {i: (document.objects.get(i), info) for i, info in (infos or {}).items()},
    )
    return change.then(Change(title))


def _check(document: Document, *objects: int) -> None:
    known = document.object_ids
    for object_id in objects:
        if object_id not in known:
            there = ", ".join(map(str, known)) or "none"
            raise ValueError(f"there is no object {object_id}: choose among {there}")


def _mask_places(document: Document, object_id: int) -> list[Place]:
    return [(object_id, frame) for frame in document.masklets.frames(object_id)]


def _prompt_places(document: Document, object_id: int) -> list[Place]:
    return [(object_id, frame) for frame in document.prompts.frames(object_id)]


def _renamed(prompts: Sequence[Prompt], object_id: int) -> tuple[Prompt, ...]:
    return tuple(reassigned(prompt, object_id) for prompt in prompts)


def _unite(records: Sequence[MaskRecord]) -> MaskRecord:
    """Return the union of masks, with the scores of the first."""
    seen = [record for record in records if record.visible]
    if len(seen) < 2:
        return (seen or list(records))[0]
    boxes = np.array([record.bbox for record in seen])
    (y0, x0), (y1, x1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    canvas = np.zeros((y1 - y0, x1 - x0), bool)
    for record in seen:
        top, left, bottom, right = record.bbox
        canvas[top - y0 : bottom - y0, left - x0 : right - x0] |= record.crop()
    first = seen[0]
    return MaskRecord.from_mask(
        canvas,
        predicted_iou=first.predicted_iou,
        object_score=first.object_score,
        prompted=any(record.prompted for record in seen),
        origin=(int(y0), int(x0)),
    )


def _united_life(kept: ObjectInfo, other: ObjectInfo) -> ObjectInfo:
    """Return what is known of an object that lives whenever one of two did."""
    firsts, lasts = (kept.first, other.first), (kept.last, other.last)
    return replace(
        kept,
        first=None if None in firsts else min(f for f in firsts if f is not None),
        last=None if None in lasts else max(f for f in lasts if f is not None),
    )


def _span(document: Document, frames: Sequence[int]) -> str:
    if not frames:
        return "nowhere"
    if document.grid.is_line:
        return f"on frames {frames[0]} to {frames[-1]}"
    return f"from {document.grid.moment(frames[0])} to {document.grid.moment(frames[-1])}"
