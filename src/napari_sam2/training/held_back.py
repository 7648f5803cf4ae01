"""The clips that a run is measured on: kept back by still, by slice and by seed of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from napari_sam2.training.clips import ClipBatch, ClipSource, clip_batches, default_sources
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.synthetic import GENERATOR_VERSION, random_movie
from napari_sam2.training.synthetic.movie import KINDS
from napari_sam2.training.validation import ValidationSet

#: Seeds from here on are for validation; those of training begin at 0.
FIRST_SEED = 10_000_000
_MOVIES = 4  # of each kind
_FRAMES = 12
_OBJECTS = 3
_STILL_BATCHES = {"dsb2018": 6, "em_fibsem": 2}
_SEED = 7


@dataclass(frozen=True, slots=True)
class KindMovies:
    """A few synthetic movies of one kind, rendered when first drawn and kept in a folder."""

    folder: Path
    kind: str

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """Return a random movie."""
        return self.number(int(rng.integers(_MOVIES)))

    def number(self, place: int) -> LabelledMovie:
        """Return one movie by its place, 0 or more; runs draw from the first four."""
        seed = FIRST_SEED + place
        path = self.folder / f"held_back_v{GENERATOR_VERSION}_{self.kind}_{seed}.npy"
        if not path.exists():
            movie = random_movie(seed, _FRAMES, kind=self.kind)
            labels = movie.labels.astype(np.uint16)
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(path, np.stack([movie.images.astype(np.uint16), labels]))
        images, labels = np.load(path, mmap_mode="r")
        return LabelledMovie(f"{self.kind} {seed}", images, labels, max_stride=2, kind=self.kind)


def held_back(data: Path, cache: Path) -> ValidationSet:
    """Return fixed validation batches of stills and of eight-frame clips.

    Parameters
    ----------
    data : Path
        Folder of the annotated sets.
    cache : Path
        Folder where synthetic movies are kept.

    Returns
    -------
    ValidationSet
        Stills of the nuclei kept back; of the electron-microscopy slices kept back and of every
        kind of synthetic movie both stills and clips.
    """
    sources, _ = default_sources(data, cache, "validation")
    real = {source.name: source for source in sources}
    made = {kind: ClipSource(kind, KindMovies(cache, kind)) for kind in sorted(KINDS)}
    stills = {
        "dsb2018": _take(real["dsb2018"], 8, 1, 6),
        "em_fibsem": _take(real["em_fibsem"], 8, 1, 2),
    }
    clips = {"em_fibsem": _take(real["em_fibsem"], 4, 8, 1)}
    for kind, source in made.items():
        stills[kind] = _take(source, 8, 1, 1)
        clips[kind] = _take(source, 4, 8, 1)
    return ValidationSet(stills, clips)


def _take(source: ClipSource, batch: int, frames: int, count: int) -> list[ClipBatch]:
    batches = clip_batches(
        [source], [1.0], batch=batch, num_frames=frames, num_objects=_OBJECTS, seed=_SEED
    )
    return list(islice(batches, count))
