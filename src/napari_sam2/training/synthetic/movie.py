"""Synthetic microscopy movies with exact masks and lineage.

Cells are star-shaped bodies (or capsules, or the cells of a tissue) that move, push one another,
divide, die, leave the field and leave the focal plane (`population`), drawn through
simple optics and a noisy camera (`optics`).  The same seed gives the same movie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.optics import KINDS, Kind, Optics, Painter
from napari_sam2.training.synthetic.population import MITOSIS, Habit, Population
from napari_sam2.training.synthetic.shapes import Body

#: Changes whenever the same seed would give another movie: caches are keyed by it.
GENERATOR_VERSION = 3
#: Relative frequency of the kinds in `random_movie`.
_KIND_SHARES = {"nuclei": 0.44, "whole": 0.18, "rods": 0.1, "phase": 0.14, "tissue": 0.14}


@dataclass(frozen=True, slots=True)
class SyntheticMovie:
    """A movie with its truth.

    Attributes
    ----------
    images : numpy.ndarray
        (T, Y, X) uint8 or uint16.
    labels : numpy.ndarray
        (T, Y, X) uint16; 0 is background, a cell keeps its id over time.
    lineage : dict of int to int
        Daughter id to mother id.  A division ends the mother's id.
    kind : str
        One of `KINDS`.
    """

    images: NDArray[np.uint8] | NDArray[np.uint16]
    labels: NDArray[np.uint16]
    lineage: dict[int, int]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything but the seed that a synthetic movie is made from."""

    kind: Kind
    habit: Habit
    optics: Optics
    divisions: int = 0


def dividing_cells(
    frames: int = 30,
    shape: tuple[int, int] = (256, 256),
    seed: int = 0,
    dtype: type[np.uint8] | type[np.uint16] = np.uint16,
) -> SyntheticMovie:
    """Make a calm movie of fluorescent nuclei, some of which divide.

    Parameters
    ----------
    frames : int
        Number of frames, at least 1.
    shape : tuple of int
        Height and width in pixels, each at least 32.
    seed : int
        The same seed gives the same movie.
    dtype : type
        ``numpy.uint8`` or ``numpy.uint16`` (12-bit camera counts).

    Returns
    -------
    SyntheticMovie
        Images, labels and lineage.

    Raises
    ------
    ValueError
        If ``frames`` or ``shape`` is too small.
    """
    habit = Habit(
        diameter=34, size_spread=0.1, elongation=(1.0, 1.5), speed=0.03, fill=0.16,
        clustering=0.0, overlap=0.0, division_rate=0.0, death_rate=0.0, defocus_rate=0.0,
    )  # fmt: skip
    optics = Optics(psf=1.0, photons=250, background=0.12, unevenness=0.25, texture=0.28, grain=2.5)
    recipe = Recipe("nuclei", habit, optics, divisions=max(frames // 8, 1) if frames > 8 else 0)
    return render_movie(recipe, frames, shape, seed, dtype)


def random_movie(
    seed: int, frames: int = 12, shape: tuple[int, int] = (288, 288), kind: Kind | None = None
) -> SyntheticMovie:
    """Make an 8-bit movie of random kind, size, behaviour and optics; see `dividing_cells`."""
    rng = np.random.default_rng((seed, 7919))
    return render_movie(random_recipe(rng, kind), frames, shape, seed, np.uint8)


def random_recipe(rng: np.random.Generator, kind: Kind | None = None) -> Recipe:
    """Draw a recipe; ``kind`` fixes its kind."""
    drawn = rng.choice(len(KINDS), p=[_KIND_SHARES[name] for name in KINDS])
    kind = kind or KINDS[drawn]
    habit = _random_habit(rng, kind)
    return Recipe(kind, habit, _random_optics(rng, habit), divisions=int(rng.integers(0, 4)))


def render_movie(
    recipe: Recipe,
    frames: int,
    shape: tuple[int, int],
    seed: int,
    dtype: type[np.uint8] | type[np.uint16] = np.uint8,
) -> SyntheticMovie:
    """Simulate and draw a recipe; parameters and errors as for `dividing_cells`."""
    if frames < 1:
        raise ValueError(f"frames is {frames}; ask for at least 1.")
    if min(shape) < 32:
        raise ValueError(f"shape is {shape}; ask for at least 32 x 32 pixels.")
    rng = np.random.default_rng(seed)
    population = Population(rng, shape, recipe.habit)
    population.schedule_division(recipe.divisions, max(frames - 2 * MITOSIS, 1))
    painter = Painter(rng, shape, recipe.kind, recipe.optics)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.empty((frames, *shape), np.uint16)
    sway = np.cumsum(rng.normal(0, recipe.optics.jitter, (frames, 2)), axis=0)
    for index in range(frames):
        shift = sway[index] + index * np.asarray(recipe.optics.drift)
        bodies = [_shifted(body, shift) for body in population.bodies()]
        signal[index], labels[index] = painter.frame(bodies, index)
        population.step()
    labels, lineage = _number_from_one(labels, population.lineage)
    return SyntheticMovie(_digitise(signal, dtype), labels, lineage, recipe.kind)


def _shifted(body: Body, shift: NDArray[np.float64]) -> Body:
    body.y += float(shift[0])
    body.x += float(shift[1])
    return body


def _number_from_one(
    labels: NDArray[np.uint16], lineage: dict[int, int]
) -> tuple[NDArray[np.uint16], dict[int, int]]:
    # Cells that were never in the frame have no id, and no place in the lineage.
    seen = np.flatnonzero(np.bincount(labels.ravel()))
    seen = seen[seen > 0]
    table = np.zeros(int(labels.max()) + 1, np.uint16)
    table[seen] = np.arange(1, len(seen) + 1)
    number = {int(old): int(table[old]) for old in seen}
    kept = {number[c]: number[m] for c, m in lineage.items() if c in number and m in number}
    return table[labels], kept


def _digitise(
    signal: NDArray[np.float32], dtype: type[np.uint8] | type[np.uint16]
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    sampled = signal[:, ::3, ::3]
    low, high = float(sampled.min()), float(np.percentile(sampled, 99.95))
    top, pedestal = (235.0, 8.0) if dtype is np.uint8 else (3500.0, 100.0)
    scaled = (signal - low) * np.float32((top - pedestal) / max(high - low, 1e-6)) + pedestal
    return np.clip(np.rint(scaled), 0, np.iinfo(dtype).max).astype(dtype)


def _random_habit(rng: np.random.Generator, kind: Kind) -> Habit:
    diameter = float(np.exp(rng.uniform(np.log(16), np.log(90))))
    habit = Habit(
        diameter=diameter,
        size_spread=float(rng.uniform(0.03, 0.3)),
        elongation=(1.0, float(rng.uniform(1.1, 2.2))),
        roughness=float(rng.uniform(0.02, 0.12)),
        wobble=float(rng.uniform(0.02, 0.25)),
        speed=float(np.exp(rng.uniform(np.log(0.01), np.log(0.2)))),
        persistence=float(rng.uniform(0.2, 0.95)),
        turning=float(rng.uniform(0, 0.12)),
        fill=float(rng.uniform(0.08, 0.75)),
        clustering=float(rng.uniform(0, 0.7)),
        overlap=float(rng.uniform(-0.05, 0.25)),
        division_rate=float(rng.uniform(0, 0.03)),
        death_rate=float(rng.uniform(0, 0.012)),
        defocus_rate=float(rng.uniform(0, 0.012)),
        brightness_spread=float(rng.uniform(0.05, 0.5)),
    )
    if kind == "whole":
        return replace(habit, diameter=max(diameter, 26.0), spikes=int(rng.integers(0, 7)),
                       elongation=(1.0, float(rng.uniform(1.2, 3.5))),
                       roughness=float(rng.uniform(0.05, 0.2)))  # fmt: skip
    if kind == "rods":
        lengths = (float(rng.uniform(2.0, 4.0)), float(rng.uniform(4.0, 9.0)))
        return replace(habit, diameter=min(diameter, 44.0), elongation=lengths, bend=0.03,
                       overlap=min(habit.overlap, 0.15), fill=min(habit.fill, 0.5))  # fmt: skip
    if kind == "phase":
        return replace(habit, elongation=(1.0, float(rng.uniform(1.1, 2.5))),
                       diameter=max(diameter, 20.0), fill=min(habit.fill, 0.5))  # fmt: skip
    if kind == "tissue":
        return replace(habit, fill=float(rng.uniform(0.8, 1.1)), clustering=0.0, overlap=0.05,
                       diameter=max(diameter, 24.0), speed=min(habit.speed, 0.05),
                       elongation=(1.0, 1.4), defocus_rate=0.0)  # fmt: skip
    return habit


def _random_optics(rng: np.random.Generator, habit: Habit) -> Optics:
    return Optics(
        psf=float(rng.uniform(0.5, 1.8)),
        photons=float(np.exp(rng.uniform(np.log(15), np.log(1500)))),
        read_noise=float(np.exp(rng.uniform(np.log(0.005), np.log(0.12)))),
        background=float(rng.uniform(0.02, 0.5)),
        unevenness=float(rng.uniform(0, 0.5)),
        bleaching=_sometimes(rng, 0.06),
        texture=float(rng.uniform(0.05, 0.55)),
        grain=float(np.exp(rng.uniform(np.log(1.2), np.log(max(habit.diameter / 6, 1.5))))),
        edge=float(rng.uniform(0.4, 1.2)) * min(habit.diameter / 30, 1.6),
        dim_border=float(rng.uniform(0.1, 0.7)),
        transparent=bool(rng.random() < 0.5),
        halo=float(rng.uniform(0.3, 1.0)),
        debris=int(_sometimes(rng, 25.0)),
        clutter=_sometimes(rng, 0.25),
        drift=(float(rng.normal(0, 0.5)), float(rng.normal(0, 0.5))),
        jitter=_sometimes(rng, 1.0),
        flicker=float(rng.uniform(0, 0.05)),
    )


def _sometimes(rng: np.random.Generator, most: float) -> float:
    """Draw 0 in half of the cases, else uniformly up to ``most``."""
    return float(rng.uniform(0, most)) * float(rng.random() < 0.5)
