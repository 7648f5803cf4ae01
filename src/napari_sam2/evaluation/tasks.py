"""What is asked: objects on stills, and objects to follow, picked without chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import ndimage

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.predictor.correction import agreement

PromptKind = Literal["mask", "box", "1 click", "3 clicks", "5 clicks"]

SMALLEST = 50
"""Smaller objects (square pixels) are specks or cut by the border, and are not asked for."""
ENTERED = 0.25
"""Part of its median area that an object shows when a person clicks it."""
_SAME_PLACE = 0.5
"""IoU above which the masks of two tracks lie in one place, as is usual for detections."""


@dataclass(frozen=True)
class Still:
    """One object on one annotated frame."""

    movie: AnnotatedMovie
    frame: int
    object_id: int


@dataclass(frozen=True)
class MaskletTask:
    """Objects to follow, each from a frame of its own, and the frames on which they are scored.

    Attributes
    ----------
    movie : AnnotatedMovie
    starts : dict of int to int
        Object to the annotated frame on which it is prompted.
    last : int
        Last frame to follow them to.
    scored : tuple of int
        Annotated frames that count; an object is scored on those after its own start. One that
        the annotation leaves out, though its track goes on, is not scored there.
    protocol : str
        Name in tables.
    prompt : str
        What is said of each object on its first frame.
    ends : dict of int to int
        Objects that a person ends, and the first frame on which they are no longer: mothers,
        once their daughters have been prompted.
    """

    movie: AnnotatedMovie
    starts: dict[int, int]
    last: int
    scored: tuple[int, ...]
    protocol: str
    prompt: PromptKind = "mask"
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects, sorted."""
        return tuple(sorted(self.starts))

    @property
    def first(self) -> int:
        """First frame on which something is prompted."""
        return min(self.starts.values())

    def is_on(self, object_id: int, frame: int) -> bool:
        """Tell whether the object has been prompted by this frame and not been ended."""
        return self.starts[object_id] <= frame < self.ends.get(object_id, self.last + 1)

    def frames_of(self, object_id: int) -> tuple[int, ...]:
        """Return the frames on which the object is scored: after its prompt, where truth is."""
        return tuple(
            frame
            for frame in self.scored
            if frame > self.starts[object_id]
            and self.is_on(object_id, frame)
            and self.movie.is_scored(object_id, frame)
        )


def pick_stills(
    movies: list[AnnotatedMovie],
    count: int,
    seed: int,
    min_area: int = SMALLEST,
    max_frames: int = 20,
) -> list[Still]:
    """Pick objects on annotated frames: one of every frame, then a second one, and so on.

    Parameters
    ----------
    movies : list of AnnotatedMovie
        The movies, or the stills, of one set.
    count : int
        How many objects; all that there are where there are fewer.
    seed : int
        The same seed picks the same objects.
    min_area : int
        Smaller objects (square pixels) are left out.
    max_frames : int
        Frames, drawn by chance, among which the objects are shared out.
    """
    rng = np.random.default_rng(seed)
    frames = [(movie, frame) for movie in movies for frame in movie.annotated]
    drawn = sorted(int(index) for index in rng.permutation(len(frames))[:max_frames])
    queues = [
        (movie, frame, list(rng.permutation(_whole_objects(movie, frame, min_area))))
        for movie, frame in (frames[index] for index in drawn)
    ]
    picked: list[Still] = []
    while len(picked) < count and any(queue for _, _, queue in queues):
        for movie, frame, queue in queues:
            if queue and len(picked) < count:
                picked.append(Still(movie, frame, int(queue.pop())))
    order = {(movie.name, frame): rank for rank, (movie, frame, _) in enumerate(queues)}
    return sorted(picked, key=lambda still: order[still.movie.name, still.frame])


def pick_masklets(
    movie: AnnotatedMovie,
    count: int,
    length: int,
    seed: int,
    starts: int = 4,
    prompt: PromptKind = "mask",
) -> list[MaskletTask]:
    """Pick objects that live for `length` more frames, from a few first frames.

    Parameters
    ----------
    movie : AnnotatedMovie
        With truth on enough frames.
    count : int
        How many masklets in all.
    length : int
        Frames to follow after the first.
    seed : int
        The same seed picks the same objects.
    starts : int
        First frames, spread evenly over the movie; objects are shared out among them.
    prompt : str
        What is said of them on the first frame.
    """
    rng = np.random.default_rng(seed)
    last_start = len(movie.images) - 1 - length
    possible = [frame for frame in movie.annotated if frame <= last_start]
    if not possible:
        return []
    places = np.linspace(0, len(possible) - 1, min(starts, len(possible))).round().astype(int)
    firsts = sorted({possible[place] for place in places})
    article = {"mask": "a ", "box": "a "}.get(prompt, "")
    name = f"{length} frames from {article}{prompt}"
    tasks = []
    for index, first in enumerate(firsts):
        share = count // len(firsts) + (index < count % len(firsts))
        last = first + length
        scored = tuple(frame for frame in movie.annotated if first < frame <= last)
        alive = _living(movie, first, scored, last)
        ids = sorted(int(value) for value in rng.permutation(alive)[:share])
        tasks.append(MaskletTask(movie, dict.fromkeys(ids, first), last, scored, name, prompt))
    return [task for task in tasks if task.starts]


def pick_departures(
    movie: AnnotatedMovie, count: int, seed: int, before: int = 5, after: int = 10
) -> list[MaskletTask]:
    """Pick objects whose track ends in mid-movie: they leave, die or divide.

    Each is followed by itself from a few frames before its end, and scored only on the annotated
    frames after it, where the right answer is an empty mask: IoU is 1 there or 0.

    Parameters
    ----------
    movie : AnnotatedMovie
        With a table of tracks; without one nobody is known to have gone.
    count : int
        How many objects.
    seed : int
        The same seed picks the same objects.
    before, after : int
        Frames before the last one of the track to start at, at most, and frames after it.
    """
    tasks = []
    for object_id, (_, end) in sorted(movie.lifetimes.items()):
        last = min(end + after, len(movie.images) - 1)
        starts = [frame for frame in movie.annotated if end - before <= frame <= end]
        starts = [frame for frame in starts if movie.record(object_id, frame).visible]
        scored = tuple(frame for frame in movie.annotated if end < frame <= last)
        if starts and scored and not _goes_on(movie, object_id, scored):
            name = f"up to {after} frames after it has gone: left empty"
            tasks.append(MaskletTask(movie, {object_id: starts[0]}, last, scored, name))
    chosen = np.random.default_rng(seed).permutation(len(tasks))[:count]
    return [tasks[index] for index in sorted(chosen)]


def _goes_on(movie: AnnotatedMovie, object_id: int, after: Sequence[int]) -> bool:
    """Say whether a new track takes up an object in its last place.

    A cell that leaves the field in which a challenge annotates, stays in view and returns is named
    anew.
    """
    end = movie.lifetimes[object_id][1]
    shown = [t for t in movie.annotated if t <= end and movie.record(object_id, t).visible]
    place = movie.record(object_id, shown[-1])
    new = [i for i, (begin, _) in movie.lifetimes.items() if begin > end]
    others = [i for i in new if movie.mothers.get(i) != object_id]
    return any(agreement(place, movie.record(i, t)) > _SAME_PLACE for i in others for t in after)


def pick_stretch(movie: AnnotatedMovie, count: int, length: int, seed: int) -> MaskletTask | None:
    """Pick a stretch of the movie where much comes and goes, and objects in it.

    Newcomers are prompted with their mask when they appear; nobody ends a track.

    Parameters
    ----------
    movie : AnnotatedMovie
    count : int
        Most objects; those that come, go, divide or are born in the stretch are taken first.
    length : int
        Frames after the first.
    seed : int
        The same seed picks the same objects.
    """
    firsts = [frame for frame in movie.annotated if frame + length < len(movie.images)]
    if not firsts or count < 1:
        return None
    first = max(firsts, key=lambda frame: (len(_eventful(movie, frame, frame + length)), -frame))
    last = first + length
    starts = first_shown(movie, first, last)
    eventful = [i for i in _eventful(movie, first, last) if i in starts]
    rng = np.random.default_rng(seed)
    others = [i for i in starts if i not in set(eventful)]
    order = [*rng.permutation(eventful), *rng.permutation(others)]
    chosen = {int(i): starts[int(i)] for i in sorted(order[:count])}
    scored = tuple(frame for frame in movie.annotated if first < frame <= last)
    name = f"{length} frames with newcomers, from masks"
    task = MaskletTask(movie, chosen, last, scored, name)
    kept = {i: frame for i, frame in chosen.items() if task.frames_of(i)}
    return MaskletTask(movie, kept, last, scored, name) if kept else None


def whole_movie(movie: AnnotatedMovie, last: int | None = None) -> MaskletTask:
    """Ask for every cell of a movie: one click on each when it appears.

    A person who clicks the daughters of a division ends their mother with it.

    Parameters
    ----------
    movie : AnnotatedMovie
    last : int, optional
        Where to stop; the end of the movie by default.
    """
    last = len(movie.images) - 1 if last is None else min(last, len(movie.images) - 1)
    starts = first_shown(movie, movie.annotated[0], last)
    ends: dict[int, int] = {}
    for daughter, mother in sorted(movie.mothers.items()):
        if daughter in starts and mother in starts and starts[daughter] > starts[mother]:
            ends[mother] = min(starts[daughter], ends.get(mother, last + 1))
    scored = tuple(frame for frame in movie.annotated if frame <= last)
    return MaskletTask(movie, starts, last, scored, "whole movie from 1 click", "1 click", ends)


def first_shown(movie: AnnotatedMovie, first: int, last: int) -> dict[int, int]:
    """Return the annotated frame on which each object has appeared: enough of it to click on."""
    areas: dict[int, dict[int, int]] = {}
    for frame in (frame for frame in movie.annotated if first <= frame <= last):
        for object_id, area in enumerate(np.bincount(movie.labels[frame].ravel())):
            if object_id and area:
                areas.setdefault(object_id, {})[frame] = int(area)
    usual = {i: float(np.median(list(found.values()))) for i, found in areas.items()}
    return {
        object_id: next(f for f, area in found.items() if area >= ENTERED * usual[object_id])
        for object_id, found in sorted(areas.items())
    }


def _living(movie: AnnotatedMovie, first: int, scored: tuple[int, ...], last: int) -> list[int]:
    """Return the objects of the first frame that live to the last and are seen at the end."""
    if not scored:
        return []
    return [
        object_id
        for object_id in _whole_objects(movie, first, SMALLEST)
        if movie.lives_until(object_id, last) and movie.record(object_id, scored[-1]).visible
    ]


def _eventful(movie: AnnotatedMovie, first: int, last: int) -> list[int]:
    """Return the objects that begin or end inside a stretch, as the table of tracks has it."""
    return [
        object_id
        for object_id, (begin, end) in movie.lifetimes.items()
        if first < begin <= last or first <= end < last
    ]


def _whole_objects(movie: AnnotatedMovie, frame: int, min_area: int) -> list[int]:
    """Return the objects of a frame, of stacks only those that are one profile there."""
    found = movie.objects_on(frame, min_area)
    if not movie.pieces:
        return list(found)
    return [i for i in found if ndimage.label(movie.record(i, frame).crop())[1] == 1]
