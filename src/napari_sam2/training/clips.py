"""Training clips: a 256-pixel window of a few frames, with the masks of a few objects."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from napari_sam2.training.clip_sampling import SMALLEST_AREA, cut_clip
from napari_sam2.training.clip_sources import MovieSet, StoredMovies, SyntheticMovies
from napari_sam2.training.datasets import Split, read_dsb2018, read_em_fibsem, read_embryo3d

#: Of stills, synthetic movies, electron microscopy and embryo among the clips.
SHARES = (0.38, 0.47, 0.1, 0.05)

_MOVIES_TRIED = 64
_WINDOWS_TRIED = 8


@dataclass(frozen=True, slots=True)
class Clip:
    """One training example.

    Attributes
    ----------
    images : torch.Tensor
        (T, 3, H, W) float32 within 0..1, H = W = 256, not yet normalised by mean and deviation.
    masks : torch.Tensor
        (T, N, H, W) bool.  Every object is visible on the first frame and may be absent later;
        where the window holds fewer than N objects, objects are repeated.
    annotated : torch.Tensor
        (T,) bool; masks of other frames mean nothing.
    source : str
        Name of the movie.
    """

    images: torch.Tensor
    masks: torch.Tensor
    annotated: torch.Tensor
    source: str

    @property
    def present(self) -> torch.Tensor:
        """(T, N) bool: the object has pixels on the frame."""
        return self.masks.flatten(2).any(2)


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips stacked along a new first axis: images (B, T, 3, H, W), masks (B, T, N, H, W)."""

    images: torch.Tensor
    masks: torch.Tensor
    annotated: torch.Tensor
    sources: list[str]

    @property
    def present(self) -> torch.Tensor:
        """(B, T, N) bool: the object has pixels on the frame."""
        return self.masks.flatten(3).any(3)

    def to(self, device: torch.device) -> ClipBatch:
        """Return the batch on a device; from page-locked memory nothing waits for the copy."""
        return ClipBatch(
            self.images.to(device, non_blocking=True),
            self.masks.to(device, non_blocking=True),
            self.annotated.to(device, non_blocking=True),
            self.sources,
        )

    def pin_memory(self) -> ClipBatch:
        """Copy the batch into page-locked memory, for a quick copy to a GPU."""
        return ClipBatch(
            self.images.pin_memory(),
            self.masks.pin_memory(),
            self.annotated.pin_memory(),
            self.sources,
        )


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A named set of movies from which clips are cut."""

    name: str
    movies: MovieSet

    def sample_clip(self, rng: np.random.Generator, num_frames: int, num_objects: int) -> Clip:
        """Cut a random clip.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of all randomness: the same state gives the same clip.
        num_frames, num_objects : int
            T and N of the clip, at least 1.

        Raises
        ------
        RuntimeError
            If no window with an object is found, which means that the source has no objects.
        """
        for _ in range(_MOVIES_TRIED):
            movie = self.movies.draw(rng)
            for _ in range(_WINDOWS_TRIED):
                cut = cut_clip(movie, rng, num_frames, num_objects)
                if cut is not None:
                    return Clip(*cut, torch.ones(num_frames, dtype=torch.bool), movie.name)
        raise RuntimeError(f"source {self.name!r} holds no object of {SMALLEST_AREA} pixels.")


def clip_batches(  # noqa: PLR0913 - all but two by keyword
    sources: Sequence[ClipSource],
    weights: Sequence[float],
    *,
    batch: int,
    num_frames: int,
    num_objects: int,
    seed: int,
    start_step: int = 0,
    workers: int = 0,
    pinned: bool = False,
) -> Iterator[ClipBatch]:
    """Endless batches; the batch of a step depends on ``seed`` and the step alone.

    Parameters
    ----------
    sources, weights : sequence
        Where clips come from and how often, relative.
    batch, num_frames, num_objects : int
        B, T and N.
    seed : int
        With the number of the step it fixes the batch, whatever ``workers`` is.
    start_step : int
        First step; a resumed run gets the batches that it would have got.
    workers : int
        Processes that prepare batches ahead; 0 prepares them in the caller.
    pinned : bool
        Put batches into page-locked memory.

    Yields
    ------
    ClipBatch
        The next batch.
    """
    if len(sources) != len(weights) or not sources:
        raise ValueError(f"{len(sources)} sources have {len(weights)} weights; give one for each.")
    if min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"weights {list(weights)} must be at least 0 and not all 0.")
    dataset = _Batches(sources, np.asarray(weights, float), (batch, num_frames, num_objects), seed)
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=_Steps(start_step),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pinned,
        worker_init_fn=_give_way,
    )
    return iter(loader)


def default_sources(
    data_root: Path | str,
    cache_dir: Path | str,
    split: Split = "train",
    movies: int = 600,
    shares: Sequence[float] = SHARES,
) -> tuple[list[ClipSource], list[float]]:
    """Give the sources that the bundled network is trained or validated on, and their weights.

    Parameters
    ----------
    data_root : path
        Folder of the annotated sets.
    cache_dir : path
        Folder where synthetic movies are kept.
    split : {"train", "validation"}
        The parts are disjoint; the embryo is for training only.
    movies : int
        Number of different synthetic movies to train on.
    shares : sequence of float
        Weights of stills, synthetic movies, electron microscopy and embryo in training.

    Raises
    ------
    ValueError
        If there are not four shares.
    """
    if len(shares) != len(SHARES):
        raise ValueError(f"{len(shares)} shares for {len(SHARES)} sources; give one for each.")
    root, cache = Path(data_root), Path(cache_dir)
    stills = ClipSource("dsb2018", StoredMovies(read_dsb2018(root, split)))
    em = ClipSource("em_fibsem", StoredMovies(read_em_fibsem(root, split)))
    if split == "validation":
        made = ClipSource("synthetic", SyntheticMovies(cache, 40, first_seed=10_000_000))
        return [stills, made, em], [0.45, 0.45, 0.1]
    made = ClipSource("synthetic", SyntheticMovies(cache, movies))
    embryo = ClipSource("embryo3d", StoredMovies(read_embryo3d(root)))
    return [stills, made, em, embryo], list(shares)


class _Steps:
    """The numbers of the steps, without end."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __iter__(self) -> Iterator[int]:
        step = self._start
        while True:
            yield step
            step += 1


class _Batches(Dataset[ClipBatch]):
    def __init__(
        self,
        sources: Sequence[ClipSource],
        weights: NDArray[np.float64],
        size: tuple[int, int, int],
        seed: int,
    ) -> None:
        self._sources = sources
        self._weights = weights / weights.sum()
        self._size = size
        self._seed = seed

    def __getitem__(self, step: int) -> ClipBatch:
        batch, frames, objects = self._size
        clips = []
        for row in range(batch):
            rng = np.random.default_rng((self._seed, step, row))
            source = self._sources[rng.choice(len(self._sources), p=self._weights)]
            clips.append(source.sample_clip(rng, frames, objects))
        return ClipBatch(
            torch.stack([clip.images for clip in clips]),
            torch.stack([clip.masks for clip in clips]),
            torch.stack([clip.annotated for clip in clips]),
            [clip.source for clip in clips],
        )


def _give_way(_: int) -> None:
    """Leave the cores to the process that learns: a GPU waits for each of its calls."""
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(10)


def fit_to(batch: ClipBatch, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and masks of a batch at the input side of a network.

    Parameters
    ----------
    batch : ClipBatch
        Windows of 256 pixels.
    side : int

    Returns
    -------
    images : Tensor, (B, T, 3, side, side) float32
    masks : Tensor, (B, T, N, side, side) bool
    """
    if batch.images.shape[-1] == side:
        return batch.images, batch.masks
    images = _resize(batch.images, side)
    return images.clamp(0, 1), _resize(batch.masks.float(), side) > 0.5


def _resize(values: torch.Tensor, side: int) -> torch.Tensor:
    flat = values.flatten(0, 1)
    sized = functional.interpolate(
        flat, size=(side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return sized.unflatten(0, values.shape[:2])
