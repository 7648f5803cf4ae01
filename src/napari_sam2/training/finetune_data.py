"""Which movies teach and which measure, and clips from sparsely annotated ones."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.training.clip_sampling import cut_clip
from napari_sam2.training.clips import Clip, ClipBatch
from napari_sam2.training.crowding import crowd
from napari_sam2.training.datasets import LabelledMovie, ObjectTable
from napari_sam2.training.light import MovieLight
from napari_sam2.training.readers import DataEntry, read_entry

__all__ = ["Lessons", "SparseClips", "count_masks", "read_lessons"]

_TRIES = 200
#: Annotated frames that lie farther apart than this are not shown as one movement.
_WIDEST_GAP = 5
#: A movie with fewer annotated frames than this keeps none of them back.
_FEWEST_TO_SPLIT = 4
#: Share of clips that are one frame set in motion, in which every frame is annotated.
_SET_IN_MOTION = 0.6
#: Share of frames, of those shown alone or set in motion, that cells are pasted into.
_CROWDED = 0.8


@dataclass(frozen=True)
class Lessons:
    """What teaches and what measures; no frame does both.

    Attributes
    ----------
    train, validation : tuple of LabelledMovie
        Validation may be empty.
    """

    train: tuple[LabelledMovie, ...]
    validation: tuple[LabelledMovie, ...] = ()

    def describe(self) -> list[str]:
        """Return a line about what teaches and one about what measures."""
        lines = [f"learns from {_count(self.train)}"]
        kept = _count(self.validation) if self.validation else "nothing: no frame is kept back"
        return [*lines, f"measures on {kept}"]

    def fingerprint(self) -> list[str]:
        """Return a text for each movie that changes when its images or labels do."""
        return [
            f"{use}: {movie.name} {movie.images.shape}, frames "
            f"{','.join(map(str, annotated_frames(movie)))}, {_checksum(movie)}"
            for use, movies in (("learns from", self.train), ("measures on", self.validation))
            for movie in movies
        ]


def read_lessons(entries: Sequence[DataEntry], base: Path, share: float) -> Lessons:
    """Read data and keep a part back: whole movies, or the last frames of a single one.

    Parameters
    ----------
    entries : sequence of DataEntry
    base : Path
        Folder that relative paths start from.
    share : float
        Of the annotated frames that are kept back, where entries leave it open; 0 keeps none.

    Raises
    ------
    ValueError
        If something cannot be read or nothing is left to learn from.
    """
    movies: dict[str, list[LabelledMovie]] = {"train": [], "validate": [], "auto": []}
    for entry in entries:
        movies[entry.use] += read_entry(entry, base)
    if not movies["train"] and not movies["auto"]:
        raise ValueError('every entry of the data has use = "validate": nothing is left to learn')
    if movies["validate"] or share == 0:
        return Lessons((*movies["train"], *movies["auto"]), tuple(movies["validate"]))
    kept = _choose_kept(movies["auto"], share)
    if kept:
        taught = [movie for movie in movies["auto"] if movie not in kept]
        return Lessons((*movies["train"], *taught), tuple(kept))
    if len(movies["auto"]) == 1:
        first, last = _split_frames(movies["auto"][0], share)
        return Lessons((*movies["train"], first), () if last is None else (last,))
    return Lessons((*movies["train"], *movies["auto"]))


def annotated_frames(movie: LabelledMovie) -> list[int]:
    """Return the annotated frames of a movie, ascending."""
    return [t for t in range(len(movie)) if movie.is_annotated(t)]


def measured_frames(movie: LabelledMovie) -> list[int]:
    """Return the annotated frames of a movie that it may be measured on, ascending."""
    return [t for t in annotated_frames(movie) if t >= movie.lead]


@dataclass(slots=True)
class _Excerpt(LabelledMovie):
    """A few frames of a movie; remembers on which of them a clip began.

    A clip may run backwards, and only the frame that it asks objects of tells.
    """

    began: int = 0

    def objects(self, frame: int) -> ObjectTable:
        """Return the objects of a frame, on which a clip begins."""
        self.began = frame
        # Without arguments super() does not work in a dataclass with slots.
        return LabelledMovie.objects(self, frame)


@dataclass
class SparseClips:
    """Cuts clips whose unannotated frames are seen and never judged.

    Parameters
    ----------
    movies : sequence of LabelledMovie
        At least one, each with an object on an annotated frame.
    """

    movies: Sequence[LabelledMovie]
    _shares: NDArray[np.float64] = field(init=False, repr=False)
    _lights: list[MovieLight] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Weigh movies by the square root of what is annotated in them."""
        sizes = [sum(len(m.objects(t).ids) for t in annotated_frames(m)) for m in self.movies]
        if not any(sizes):
            raise ValueError("the movies to learn from hold no object: annotate at least one cell")
        self._shares = np.sqrt(np.asarray(sizes, float))
        self._shares /= self._shares.sum()
        self._lights = [MovieLight.of(movie) for movie in self.movies]

    def batch(
        self, rng: np.random.Generator, clips: int, num_frames: int, num_objects: int
    ) -> ClipBatch:
        """Cut a batch; the same state of `rng` cuts the same.

        Raises
        ------
        ValueError
            If no window with an object that is large enough is found.
        """
        cut = [self.clip(rng, num_frames, num_objects) for _ in range(clips)]
        return ClipBatch(
            torch.stack([clip.images for clip in cut]),
            torch.stack([clip.masks for clip in cut]),
            torch.stack([clip.annotated for clip in cut]),
            [clip.source for clip in cut],
        )

    def clip(self, rng: np.random.Generator, num_frames: int, num_objects: int) -> Clip:
        """Cut one clip."""
        for _ in range(_TRIES):
            place = int(rng.choice(len(self.movies), p=self._shares))
            movie = self.movies[place]
            excerpt = _excerpt(movie, num_frames, rng)
            cut = cut_clip(excerpt, rng, num_frames, num_objects, self._lights[place])
            if cut is None:
                continue
            known = torch.ones(num_frames, dtype=torch.bool)
            if len(excerpt) > 1:
                known = torch.tensor([excerpt.is_annotated(t) for t in range(num_frames)])
                known = known.flip(0) if excerpt.began > 0 else known
            return Clip(cut[0], cut[1], known, movie.name)
        raise ValueError(
            f"no object that is large enough is found in {_TRIES} windows of "
            f"{', '.join(movie.name for movie in self.movies[:3])}: objects need 12 pixels or more"
        )


def _excerpt(movie: LabelledMovie, num_frames: int, rng: np.random.Generator) -> _Excerpt:
    """Return frames to cut a clip from: one that is set in motion, or a stretch of the movie."""
    known = annotated_frames(movie)
    start = known[int(rng.integers(len(known)))]
    frames = [start]
    if num_frames > 1 and len(movie) > 1 and rng.random() >= _SET_IN_MOTION:
        stretch = _stretch(movie, known, start, num_frames, rng)
        frames = stretch if sum(map(movie.is_annotated, stretch)) > 1 else frames
    excerpt = _take(movie, frames, rng)
    is_crowded = len(frames) == 1 and not movie.traced and rng.random() < _CROWDED
    return _crowded(excerpt, rng) if is_crowded else excerpt


def _crowded(excerpt: _Excerpt, rng: np.random.Generator) -> _Excerpt:
    """Return an excerpt of one frame with cells pasted beside others."""
    (image,), (labels,) = excerpt.images, excerpt.labels
    image, labels, new = crowd(image, labels, excerpt.objects(0), rng)
    eligible = None if excerpt.eligible is None else excerpt.eligible | frozenset(new)
    return replace(excerpt, images=image[None], labels=labels[None], eligible=eligible, _tables={})


def _stretch(
    movie: LabelledMovie, known: list[int], start: int, num_frames: int, rng: np.random.Generator
) -> list[int]:
    """Return `num_frames` frames from `start` on: annotated ones only, or as they come."""
    if rng.random() < 0.5:
        later = [t for t in known if t >= start]
        beyond = [b for a, b in pairwise(later) if b - a > _WIDEST_GAP]
        frames = [t for t in later if not beyond or t < beyond[0]][:num_frames]
    else:
        stride = int(rng.integers(1, movie.max_stride + 1))
        frames = list(range(start, len(movie), stride))[:num_frames]
    return frames + frames[-1:] * (num_frames - len(frames))


def _take(movie: LabelledMovie, frames: list[int], rng: np.random.Generator) -> _Excerpt:
    """Copy frames, with the objects of which every flagged frame says where they are."""
    flags = {place for place, t in enumerate(frames) if movie.is_annotated(t)}
    eligible = movie.eligible
    if movie.lifetimes is not None and len(frames) > 1:
        here = movie.objects(frames[0]).ids
        if len(here):
            focus = int(here[rng.integers(len(here))])
            flags = {place for place in flags if movie.is_known(focus, frames[place])}
            eligible = frozenset(
                int(i) for i in here if all(movie.is_known(int(i), frames[p]) for p in flags)
            )
    labels = movie.labels[frames]
    # Where nothing is known nothing is shown: what looks for objects must not find any.
    labels[[place for place in range(len(frames)) if place not in flags]] = 0
    return _Excerpt(
        movie.name,
        movie.images[frames],
        labels,
        eligible,
        max_stride=1,
        kind=movie.kind,
        annotated=frozenset(flags),
    )


def _choose_kept(movies: Sequence[LabelledMovie], share: float) -> list[LabelledMovie]:
    """Choose whole movies that hold about a share of all annotated frames, at most half."""
    sizes = {movie.name: len(annotated_frames(movie)) for movie in movies}
    total, kept, count = sum(sizes.values()), [], 0
    # By a hash of the name: no chance, and no favour to an order.
    for movie in sorted(movies, key=lambda m: hashlib.sha256(m.name.encode()).hexdigest()):
        if count < share * total and 2 * (count + sizes[movie.name]) <= total:
            kept.append(movie)
            count += sizes[movie.name]
    return kept


def _split_frames(movie: LabelledMovie, share: float) -> tuple[LabelledMovie, LabelledMovie | None]:
    """Cut the last annotated frames off.

    What is kept back begins with the last frame that teaches, from which objects are followed:
    a single annotated frame could not tell how well a network tracks.
    """
    known = annotated_frames(movie)
    if len(known) < _FEWEST_TO_SPLIT:
        return movie, None
    place = len(known) - max(1, round(share * len(known)))
    last, first = known[place - 1], known[place]
    kept = replace(_part(movie, last, len(movie), " (end)"), lead=first - last)
    if not any(len(kept.objects(t).ids) for t in measured_frames(kept)):
        return movie, None
    return _part(movie, 0, last + 1, " (beginning)"), kept


def _part(movie: LabelledMovie, start: int, stop: int, suffix: str) -> LabelledMovie:
    lifetimes = movie.lifetimes
    return replace(
        movie,
        name=movie.name + suffix,
        images=movie.images[start:stop],
        labels=movie.labels[start:stop],
        annotated=frozenset(t - start for t in annotated_frames(movie) if start <= t < stop),
        lifetimes=None
        if lifetimes is None
        else {i: (a - start, b - start) for i, (a, b) in lifetimes.items()},
        _tables={},
    )


def _count(movies: Iterable[LabelledMovie]) -> str:
    """Say how much is annotated."""
    movies = list(movies)
    frames = sum(len(measured_frames(movie)) for movie in movies)
    sets = f"{len(movies)} movies or stills" if len(movies) > 1 else movies[0].name
    return f"{sets}: {frames} annotated frames with {count_masks(movies)} masks"


def count_masks(movies: Iterable[LabelledMovie]) -> int:
    """Return how many masks the annotated frames hold."""
    return sum(len(movie.objects(t).ids) for movie in movies for t in measured_frames(movie))


def _checksum(movie: LabelledMovie) -> str:
    """Return a checksum of the annotated frames."""
    value = 0
    for t in annotated_frames(movie):
        for array in (movie.images[t], movie.labels[t]):
            value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return f"{value:08x}"
