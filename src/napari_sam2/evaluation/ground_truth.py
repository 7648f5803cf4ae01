"""Read annotated movies and stills, and pick objects from them without chance.

A frame that is not listed as annotated has no truth: its zeros are not background. Whoever
scores asks `AnnotatedMovie.mask`, which refuses such a frame.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.io import imread

from napari_sam2.evaluation.metrics import BoolMask

Truth = Literal["labels", "gold"]


@dataclass(frozen=True)
class AnnotatedMovie:
    """A movie, its label images, and which frames of them are true.

    Attributes
    ----------
    name : str
        For tables.
    images : array, (T, H, W) or (T, H, W, C)
        Raw intensities.
    labels : integer array, (T, H, W)
        One id an object over all frames; 0 is background.
    annotated : tuple of int
        Frames on which `labels` is truth.
    lifetimes : dict of int to (int, int)
        First and last frame of each object, where a table of tracks says so.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[np.integer]
    annotated: tuple[int, ...]
    lifetimes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def mask(self, object_id: int, frame: int) -> BoolMask:
        """Return the true mask (H, W) of one object; ValueError off the annotated frames."""
        if frame not in self.annotated:
            raise ValueError(f"frame {frame} of {self.name} is not annotated; choose another")
        return np.asarray(self.labels[frame] == object_id)

    def objects_on(self, frame: int, min_area: int = 1) -> tuple[int, ...]:
        """Return the ids with at least `min_area` pixels on an annotated frame, sorted."""
        if frame not in self.annotated:
            raise ValueError(f"frame {frame} of {self.name} is not annotated; choose another")
        areas = np.bincount(self.labels[frame].ravel())
        areas[0] = 0
        return tuple(int(value) for value in np.flatnonzero(areas >= max(1, min_area)))

    def lives_until(self, object_id: int, frame: int) -> bool:
        """Tell whether the object is still there on `frame`, as far as the track table knows."""
        return object_id not in self.lifetimes or self.lifetimes[object_id][1] >= frame

    def is_scored(self, object_id: int, frame: int) -> bool:
        """Tell whether there is truth: a mask on an annotated frame, or the end of the track."""
        is_there = bool(self.mask(object_id, frame).any())
        return is_there or not self.lives_until(object_id, frame)


@dataclass(frozen=True)
class Still:
    """One object on one annotated frame."""

    movie: AnnotatedMovie
    frame: int
    object_id: int


@dataclass(frozen=True)
class MaskletTask:
    """Objects to follow from one frame, and the later frames on which they are scored.

    `scored` holds only annotated frames after `first`; an object that the annotation leaves
    out on one of them, though its track goes on, is not scored there. `protocol` names the task
    in tables.
    """

    movie: AnnotatedMovie
    first: int
    last: int
    object_ids: tuple[int, ...]
    scored: tuple[int, ...]
    protocol: str


def read_movie(folder: Path, truth: Truth = "labels") -> AnnotatedMovie:
    """Read ``NAME_images.tif``, its labels and ``info.json`` from the folder called NAME.

    Parameters
    ----------
    folder : Path
        Folder of one movie.
    truth : {"labels", "gold"}
        Which masks are the truth: all that there are, or the sparse ones drawn by people.

    Raises
    ------
    ValueError
        If a file is missing or says nothing of its annotated frames.
    """
    name = folder.name
    paths = [folder / f"{name}_images.tif", folder / f"{name}_{truth}.tif", folder / "info.json"]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is missing; the folder of a movie holds {paths[1].name} too")
    info = json.loads(paths[2].read_text())
    key = "labelled_frame_indices" if truth == "labels" else "gold_frame_indices"
    if key not in info:
        raise ValueError(f"{paths[2]} has no {key!r}; without it no frame counts as annotated")
    images, labels = tifffile.imread(paths[0]), tifffile.imread(paths[1])
    numbers = info.get("frame_numbers", list(range(len(images))))
    lifetimes = _read_lifetimes(folder / "man_track.txt", numbers)
    suffix = "" if truth == "labels" else " (human)"
    return AnnotatedMovie(name + suffix, images, labels, tuple(info[key]), lifetimes)


def read_stills(folder: Path, indices: tuple[int, ...]) -> list[AnnotatedMovie]:
    """Read ``NNN_image.png`` with ``NNN_labels.png`` as movies of one frame each."""
    stills = []
    for index in indices:
        image = imread(folder / f"{index:03d}_image.png")
        labels = imread(folder / f"{index:03d}_labels.png")
        name = f"{folder.name}/{index:03d}"
        colours = image[..., :3] if image.ndim == 3 else image
        stills.append(AnnotatedMovie(name, colours[None], labels[None], (0,)))
    return stills


def pick_stills(
    movies: list[AnnotatedMovie],
    count: int,
    seed: int,
    min_area: int = 50,
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
        Smaller objects (square pixels) are specks or cut by the border, and are left out.
    max_frames : int
        Frames, drawn by chance, among which the objects are shared out.
    """
    rng = np.random.default_rng(seed)
    frames = [(movie, frame) for movie in movies for frame in movie.annotated]
    drawn = sorted(int(index) for index in rng.permutation(len(frames))[:max_frames])
    queues = [
        (movie, frame, list(rng.permutation(movie.objects_on(frame, min_area))))
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
    movie: AnnotatedMovie, count: int, length: int, seed: int, starts: int = 4, min_area: int = 50
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
    min_area : int
        Smallest object (square pixels) on its first frame.
    """
    rng = np.random.default_rng(seed)
    last_start = len(movie.images) - 1 - length
    possible = [frame for frame in movie.annotated if frame <= last_start]
    if not possible:
        return []
    places = np.linspace(0, len(possible) - 1, min(starts, len(possible))).round().astype(int)
    firsts = sorted({possible[place] for place in places})
    tasks = []
    for index, first in enumerate(firsts):
        share = count // len(firsts) + (index < count % len(firsts))
        task = _masklets_from(movie, first, length, min_area)
        chosen = rng.permutation(task.object_ids)[:share]
        ids = tuple(sorted(int(value) for value in chosen))
        tasks.append(replace(task, object_ids=ids))
    return [task for task in tasks if task.object_ids]


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
        starts = [frame for frame in starts if movie.mask(object_id, frame).any()]
        scored = tuple(frame for frame in movie.annotated if end < frame <= last)
        if starts and scored:
            name = f"up to {after} frames after it has gone: left empty"
            tasks.append(MaskletTask(movie, starts[0], last, (object_id,), scored, name))
    chosen = np.random.default_rng(seed).permutation(len(tasks))[:count]
    return [tasks[index] for index in sorted(chosen)]


def _masklets_from(movie: AnnotatedMovie, first: int, length: int, min_area: int) -> MaskletTask:
    """Collect all objects that live from `first` to `length` frames later."""
    last = first + length
    scored = tuple(frame for frame in movie.annotated if first < frame <= last)
    alive = [
        object_id
        for object_id in movie.objects_on(first, min_area)
        if movie.lives_until(object_id, last)
        and scored
        and object_id in movie.objects_on(scored[-1])
    ]
    name = f"{length} frames from a mask"
    return MaskletTask(movie, first, last, tuple(alive), scored, name)


def _read_lifetimes(path: Path, frame_numbers: list[int]) -> dict[int, tuple[int, int]]:
    """Read label, begin, end of a track table, as indices into the frames that are there."""
    if not path.is_file():
        return {}
    numbers = np.asarray(frame_numbers)
    lifetimes = {}
    for line in path.read_text().split("\n"):
        if not line.strip():
            continue
        label, begin, end = (int(value) for value in line.split()[:3])
        inside = np.flatnonzero((numbers >= begin) & (numbers <= end))
        if inside.size:
            lifetimes[label] = (int(inside[0]), int(inside[-1]))
    return lifetimes
