"""Which objects of a movie vanish, and the frames that show it.

Objects leave the field, die, divide (the mother ends where her daughters go on) or are hidden for
a while. They are rare, and clips that are cut anywhere hardly show any; a network that has not
seen them says that everything is always there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.datasets import LabelledMovie

_SEARCHED = 32  # frames of a long movie that are looked through
_TRIED = 8


@dataclass(frozen=True, slots=True)
class Leaver:
    """An object that is on the first of the frames and absent from a later one.

    ``number`` is its id, ``frames`` the (T,) frames of the clip, in order or reversed.
    """

    number: int
    frames: NDArray[np.int64]


def choose_leaver(
    movie: LabelledMovie, num_frames: int, smallest: int, rng: np.random.Generator
) -> Leaver | None:
    """Draw a clip in which an object vanishes.

    Parameters
    ----------
    movie : LabelledMovie
    num_frames : int
        Frames of the clip, at least 2.
    smallest : int
        Pixels that the object must have on the first frame.
    rng : numpy.random.Generator

    Returns
    -------
    Leaver or None
        None where no object of the part of the movie that is looked through vanishes.
    """
    length = min(len(movie), _SEARCHED)
    first = int(rng.integers(len(movie) - length + 1))
    numbers, areas = _areas(movie.labels[first : first + length], movie.eligible)
    seen = areas > 0
    step = 1 if rng.random() < 0.5 else -1
    before, after = (seen[:-1], seen[1:]) if step > 0 else (seen[1:], seen[:-1])
    events = np.argwhere(before & ~after)
    if not len(events):
        return None
    for _ in range(_TRIED):
        frame, row = events[rng.integers(len(events))]
        # Index, within the part, of the first frame without the object.
        gone = int(frame) + (1 if step > 0 else 0)
        frames = _frames_around(gone, step, num_frames, movie.max_stride, length, rng)
        if frames is None or areas[frames[0], row] < smallest or seen[frames, row].all():
            continue
        return Leaver(int(numbers[row]), first + frames)
    return None


def _frames_around(
    gone: int, step: int, num_frames: int, max_stride: int, length: int, rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """Frames of which one of the later ones is at, or just after, the departure."""
    fitting = max((length - 1) // (num_frames - 1), 1)
    stride = int(rng.integers(1, min(max_stride, fitting) + 1))
    order = int(rng.integers(1, num_frames))
    start = gone - step * (stride * order - int(rng.integers(stride)))
    frames = start + step * stride * np.arange(num_frames)
    # Pushed into the movie where it looks over an end, so the departure comes sooner or later.
    frames = frames - min(int(frames.min()), 0) - max(int(frames.max()) - length + 1, 0)
    return frames if frames.min() >= 0 else None


def _areas(
    labels: NDArray[Any], eligible: frozenset[int] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids, (N,), and pixels of each on each frame, (T, N)."""
    frames = [np.asarray(frame).ravel() for frame in labels]
    size = max(int(frame.max(initial=0)) for frame in frames) + 1
    counts = np.stack([np.bincount(frame, minlength=size) for frame in frames])
    numbers = np.flatnonzero(counts.any(0))
    numbers = numbers[numbers > 0]
    if eligible is not None:
        numbers = numbers[np.isin(numbers, list(eligible))]
    return numbers, counts[:, numbers]
