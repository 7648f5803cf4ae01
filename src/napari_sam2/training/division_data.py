"""What the division network learns from: cells of synthetic movies that divide, and that do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.division_crops import DivisionWindow, division_crops, frames_around
from napari_sam2.training.synthetic import GENERATOR_VERSION, SyntheticMovie, random_movie

__all__ = ["DivisionSamples", "draw_samples", "samples_of_movies"]

#: Kinds of movies in turn; stacks have no time, and neither have their objects divisions.
KINDS = (
    *("nuclei",) * 6, "whole", "whole", "sheet", "membranes", "phase", "phase", "dic",
    "brightfield", "brightfield", "rods",
)  # fmt: skip
#: Seeds of the first movie to train on, of the first of nuclei alone, and of the first that is
#: kept back.
FIRST_SEED, NUCLEI_SEED, KEPT_BACK_SEED = 770_000_000, 775_000_000, 780_000_000

_FRAMES = 14
_MOST = 60  # samples of a movie: a plate of rods must not outweigh the rest
_LIVING, _LEAVING = 6, 2
_EARLY = 2  # frames before a division on which she looks as if
_LATE = 3  # frames after a division on which both daughters are still found in one mask
_GROWTH, _OFFSET = 0.12, 0.04
_ROUGH = 0.12  # of the diameter by which a mask is wrong at most
_CHUNK = 50  # movies a file

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DivisionSamples:
    """Cells with the truth.

    Attributes
    ----------
    crops : Tensor, (N, 5, 64, 64) uint8
    divided : Tensor, (N,) bool
    places : Tensor, (N, 2, 2) float32
        Centres (y, x) of the daughters, 0 to 1 in the window; NaN where there is none.
    """

    crops: torch.Tensor
    divided: torch.Tensor
    places: torch.Tensor

    def __len__(self) -> int:
        return len(self.divided)

    @classmethod
    def joined(cls, parts: Iterable[DivisionSamples]) -> DivisionSamples:
        """Return all samples of several as one."""
        rows = list(parts)
        return cls(
            torch.cat([one.crops for one in rows]),
            torch.cat([one.divided for one in rows]),
            torch.cat([one.places for one in rows]),
        )


@dataclass(frozen=True, slots=True)
class _Case:
    """The labels that make up a mask on a frame, and the daughters on the next one."""

    frame: int
    labels: tuple[int, ...]
    daughters: tuple[int, ...] = ()


def samples_of_movies(
    first: int, count: int, folder: Path, kind: str | None = None
) -> DivisionSamples:
    """Return the samples of synthetic movies, made where they are not in a folder yet.

    Parameters
    ----------
    first : int
        Seed of the first movie.
    count : int
        Movies; the last file of 50 may hold more.
    folder : Path
        Keeps what has been drawn.
    kind : str, optional
        Of all movies; those of `KINDS` in turn when absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(first, first + count, _CHUNK)
    name = f"divisions_v{GENERATOR_VERSION}" + (f"_{kind}" if kind else "")
    paths = [folder / f"{name}_{start}.npz" for start in starts]
    missing = [each for each in zip(starts, paths, strict=True) if not each[1].exists()]
    if missing:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            draw = partial(_draw_file, count=_CHUNK, kind=kind)
            list(pool.map(draw, *zip(*missing, strict=True)))
    return DivisionSamples.joined(_read(path) for path in paths)


def draw_samples(movie: SyntheticMovie, rng: np.random.Generator) -> DivisionSamples:
    """Draw cells of a movie: all that divide, and several times as many that do not.

    Parameters
    ----------
    movie : SyntheticMovie
    rng : numpy.random.Generator
    """
    cases = list(_cases(movie, rng))
    chosen = rng.permutation(len(cases))[:_MOST]
    return _samples(movie, [cases[index] for index in chosen], rng)


def _of_seeds(start: int, stop: int, kind: str | None) -> Iterator[DivisionSamples]:
    for seed in range(start, stop):
        movie = random_movie(seed, _FRAMES, kind=kind or KINDS[seed % len(KINDS)])
        yield draw_samples(movie, np.random.default_rng(seed))


def _draw_file(start: int, path: Path, count: int, kind: str | None) -> None:
    torch.set_num_threads(1)
    _write(path, DivisionSamples.joined(_of_seeds(start, start + count, kind)))


def _read(path: Path) -> DivisionSamples:
    with np.load(path) as saved:
        arrays = [torch.from_numpy(saved[name]) for name in ("crops", "divided", "places")]
    return DivisionSamples(*arrays)


def _write(path: Path, samples: DivisionSamples) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part.npz")
    arrays = {name: getattr(samples, name).numpy() for name in ("crops", "divided", "places")}
    np.savez(part, **arrays)
    part.replace(path)


def _cases(movie: SyntheticMovie, rng: np.random.Generator) -> Iterator[_Case]:
    last = len(movie.labels) - 1
    frames = _frames_by_label(movie.labels)
    daughters: dict[int, list[int]] = {}
    for daughter, mother in movie.lineage.items():
        daughters.setdefault(mother, []).append(daughter)
    divisions = 0
    for mother, both in daughters.items():
        found = list(_around_division(frames, mother, tuple(both), rng))
        divisions += any(case.daughters for case in found)
        yield from found
    living = [(i, t) for i, seen in frames.items() for t in seen if t + 1 in seen]
    leaving = [
        (i, max(seen)) for i, seen in frames.items() if i not in daughters and max(seen) < last
    ]
    counts = max(_LIVING, 3 * divisions), max(_LEAVING, divisions)
    for cases, count in zip((living, leaving), counts, strict=True):
        for index in rng.permutation(len(cases))[:count]:
            label, frame = cases[index]
            yield _Case(frame, (label,))


def _around_division(
    frames: dict[int, set[int]], mother: int, daughters: tuple[int, ...], rng: np.random.Generator
) -> Iterator[_Case]:
    """Yield a mother as she divides and before, both daughters in one mask, and one."""
    if mother not in frames:
        return
    end = max(frames[mother])
    if not any(end + 1 in frames.get(daughter, ()) for daughter in daughters):
        return
    yield _Case(end, (mother,), daughters)
    for early in range(1, _EARLY + 1):
        if end - early in frames[mother]:
            yield _Case(end - early, (mother,))
    later = end + 1 + int(rng.integers(_LATE))
    seen = [{later, later + 1} <= frames.get(daughter, set()) for daughter in daughters]
    if len(daughters) == 2 and all(seen):
        yield _Case(later, daughters, daughters)
        yield _Case(later, (daughters[int(rng.integers(2))],))


def _frames_by_label(labels: NDArray[np.integer]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for frame, picture in enumerate(labels):
        for label in np.unique(picture[picture > 0]):
            found.setdefault(int(label), set()).add(frame)
    return found


def _samples(
    movie: SyntheticMovie, cases: list[_Case], rng: np.random.Generator
) -> DivisionSamples:
    crops, places = [], []
    for case in cases:
        mask = np.isin(movie.labels[case.frame], case.labels)
        record = MaskRecord.from_mask(_roughened(mask, rng))
        away = rng.normal(0, _OFFSET, 2)
        window = DivisionWindow.around(
            record, float(np.exp(rng.normal(0, _GROWTH))), (float(away[0]), float(away[1]))
        )
        frames = [movie.images[t] for t in frames_around(case.frame + 1, len(movie.images))]
        crops.append(division_crops(frames, record, window=window))
        centres = [_centre(movie.labels[case.frame + 1] == i, window) for i in case.daughters[:2]]
        places.append(centres + [(np.nan, np.nan)] * (2 - len(centres)))
    divided = torch.tensor([bool(case.daughters) for case in cases], dtype=torch.bool)
    if not crops:
        empty = torch.zeros((0, 5, 64, 64), dtype=torch.uint8)
        return DivisionSamples(empty, divided, torch.zeros(0, 2, 2))
    return DivisionSamples(torch.stack(crops), divided, torch.tensor(places, dtype=torch.float32))


def _centre(mask: Mask, window: DivisionWindow) -> tuple[float, float]:
    if not mask.any():
        return np.nan, np.nan
    return window.place_of(MaskRecord.from_mask(mask).centroid())


def _roughened(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return a mask as a network would draw it: too wide, too narrow, beside itself, or right."""
    most = max(1, round(_ROUGH * float(np.sqrt(mask.sum())) * rng.random()))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    pad = most + 1
    window = tuple(slice(max(one[0] - pad, 0), one[-1] + pad + 1) for one in (rows, columns))
    part, way = mask[window], rng.random()
    if way < 0.25:
        part = ndimage.binary_dilation(part, iterations=most)
    elif way < 0.5:
        part = ndimage.binary_erosion(part, iterations=most)
    elif way < 0.7:
        part = ndimage.shift(part, rng.integers(-most, most + 1, 2), order=0)
    rough = np.zeros_like(mask)
    rough[window] = part
    return rough if rough.any() else mask
