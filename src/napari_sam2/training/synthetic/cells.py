"""Scenes of cells that live together: one population, one painter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_sam2.training.synthetic.mitosis import WHOLE_CELLS, random_mitosis
from napari_sam2.training.synthetic.painter import Optics, Painter
from napari_sam2.training.synthetic.population import Habit, Population
from napari_sam2.training.synthetic.scene import Scene


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a scene of cells is made from, but for the random numbers.

    ``divisions`` are scheduled on top of those that happen by chance.
    """

    habit: Habit
    optics: Optics
    divisions: int = 0


def cell_scene(
    rng: np.random.Generator, frames: int, shape: tuple[int, int], recipe: Recipe
) -> Scene:
    """Simulate and draw a recipe.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    frames : int
        T.
    shape : tuple of int
        Height and width in pixels.
    recipe : Recipe
        What to draw.

    Returns
    -------
    Scene
        The movie before the camera.
    """
    population = Population(rng, shape, recipe.habit)
    late = max(frames - recipe.habit.mitosis.before - recipe.habit.mitosis.after, 1)
    population.schedule_division(recipe.divisions, late)
    painter = Painter(rng, shape, recipe.optics)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.empty((frames, *shape), np.uint16)
    for index in range(frames):
        signal[index], labels[index] = painter.frame(population.bodies())
        population.step()
    return Scene(signal, labels, population.lineage)


def random_habit(rng: np.random.Generator, diameters: tuple[float, float] = (16, 90)) -> Habit:
    """Draw how cells look and behave, from very calm to very lively."""
    diameter = float(np.exp(rng.uniform(*np.log(diameters))))
    streaming = rng.random() < 0.3
    passing = rng.random() < 0.2
    return Habit(
        diameter=diameter,
        size_spread=float(rng.uniform(0.03, 0.3)),
        elongation=(1.0, float(rng.uniform(1.1, 2.2))),
        roughness=float(rng.uniform(0.02, 0.1)),
        wobble=float(rng.uniform(0.02, 0.25)),
        speed=float(np.exp(rng.uniform(np.log(0.01), np.log(0.25)))),
        flow=tuple(rng.normal(0, 0.2, 2) * streaming),
        persistence=float(rng.uniform(0.2, 0.97)),
        turning=float(rng.uniform(0, 0.12)),
        bursts=sometimes(rng, 0.05),
        fill=float(np.exp(rng.uniform(np.log(0.02), np.log(0.75)))),
        refill=bool(rng.random() < 0.7),
        clustering=float(rng.uniform(0, 1)),
        overlap=float(rng.uniform(0.4, 0.9) if passing else rng.uniform(-0.05, 0.25)),
        mitosis=random_mitosis(rng, WHOLE_CELLS),
        division_rate=float(rng.uniform(0, 0.03)),
        death_rate=float(rng.uniform(0, 0.025)),
        defocus_rate=sometimes(rng, 0.05),
        arrivals=sometimes(rng, 0.02),
        brightness_spread=float(rng.uniform(0.05, 0.5)),
        fading=sometimes(rng, 0.12),
    )


def random_optics(rng: np.random.Generator, habit: Habit) -> Optics:
    """Draw how the cells of a habit look."""
    return Optics(
        psf=float(rng.uniform(0.4, 1.8)),
        background=float(rng.uniform(0.0, 0.45)) ** 1.5,
        texture=float(rng.uniform(0.05, 0.55)),
        grain=float(np.exp(rng.uniform(np.log(1.2), np.log(max(habit.diameter / 6, 1.5))))),
        churn=sometimes(rng, 0.4),
        spots=float(rng.choice([1.0, -1.0])),
        edge=float(rng.uniform(0.35, 1.2)) * min(habit.diameter / 30, 1.6),
        dim_border=float(rng.uniform(0.1, 0.7)),
        transparent=bool(rng.random() < 0.5),
        debris=int(sometimes(rng, 25.0)),
        clutter=sometimes(rng, 0.2),
        glow=sometimes(rng, 0.5),
        glow_reach=float(rng.uniform(0.3, 0.9)) * habit.diameter,
    )


def sometimes(rng: np.random.Generator, most: float) -> float:
    """Draw 0 in half of the cases, else uniformly up to ``most``."""
    return float(rng.uniform(0, most)) * float(rng.random() < 0.5)
