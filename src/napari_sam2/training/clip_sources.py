"""Where training clips are cut from: movies in memory, and synthetic movies kept on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.synthetic import GENERATOR_VERSION, random_movie


class MovieSet(Protocol):
    """Anything that movies can be drawn from."""

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """Return a random movie."""
        ...


@dataclass(frozen=True, slots=True)
class StoredMovies:
    """Movies in memory; a kind is drawn by the square root of the number of its movies.

    Parameters
    ----------
    movies : sequence of LabelledMovie
        At least one.
    """

    movies: Sequence[LabelledMovie]
    _kinds: dict[str, list[int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.movies:
            raise ValueError("movies is empty; give at least one labelled movie.")
        kinds: dict[str, list[int]] = {}
        for index, movie in enumerate(self.movies):
            kinds.setdefault(movie.kind, []).append(index)
        object.__setattr__(self, "_kinds", kinds)

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """Return a random movie."""
        groups = list(self._kinds.values())
        shares = np.sqrt([len(group) for group in groups])
        group = groups[rng.choice(len(groups), p=shares / shares.sum())]
        return self.movies[group[rng.integers(len(group))]]


@dataclass(frozen=True, slots=True)
class SyntheticMovies:
    """Synthetic movies, rendered when first drawn and kept on disk.

    Parameters
    ----------
    folder : pathlib.Path
        Where the movies are kept, 2 MB each; files may be removed at any time.
    count : int
        Number of different movies.
    first_seed : int
        The seeds are ``first_seed`` to ``first_seed + count - 1``.
    frames : int
        Length of the movies.
    """

    folder: Path
    count: int = 600
    first_seed: int = 0
    frames: int = 12

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """Return a random movie."""
        return self.movie(self.first_seed + int(rng.integers(self.count)))

    def movie(self, seed: int) -> LabelledMovie:
        """Return the movie of a seed, memory-mapped."""
        path = self.folder / f"v{GENERATOR_VERSION}_{self.frames}_{seed:08d}.npy"
        if not path.exists():
            self._render(seed, path)
        packed = np.load(path, mmap_mode="r")
        return LabelledMovie(f"synthetic {seed}", packed[0], packed[1], max_stride=2)

    def _render(self, seed: int, path: Path) -> None:
        movie = random_movie(seed, self.frames)
        # Ids over 255 are rare (many births in a crowded movie) and become unannotated.
        labels = np.where(movie.labels < 256, movie.labels, 0).astype(np.uint8)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Several workers may render the same movie: each writes its own file, the last one wins.
        handle, partial = tempfile.mkstemp(dir=self.folder, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, np.stack([movie.images, labels]))
        Path(partial).replace(path)
