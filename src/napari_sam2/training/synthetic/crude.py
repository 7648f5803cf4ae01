"""Kinds that are still drawn simply."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sam2.training.synthetic.cells import Recipe, cell_scene, random_habit, random_optics
from napari_sam2.training.synthetic.scene import Scene


def whole_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw fluorescent whole cells; parameters as of `cell_scene`."""
    habit = replace(
        random_habit(rng, (26, 100)),
        mitosis="round",
        spikes=int(rng.integers(0, 7)),
        elongation=(1.0, float(rng.uniform(1.2, 3.5))),
        roughness=float(rng.uniform(0.05, 0.2)),
    )
    recipe = Recipe("whole", habit, random_optics(rng, habit), divisions=int(rng.integers(0, 3)))
    return cell_scene(rng, frames, shape, recipe)


def phase_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw dark cells with bright halos; parameters as of `cell_scene`."""
    habit = random_habit(rng, (20, 90))
    habit = replace(
        habit,
        mitosis="round",
        elongation=(1.0, float(rng.uniform(1.1, 2.5))),
        fill=min(habit.fill, 0.5),
    )
    recipe = Recipe("phase", habit, random_optics(rng, habit), divisions=int(rng.integers(0, 3)))
    return cell_scene(rng, frames, shape, recipe)


def rods_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw rods; parameters as of `cell_scene`."""
    habit = random_habit(rng, (16, 44))
    habit = replace(
        habit,
        elongation=(float(rng.uniform(2.0, 4.0)), float(rng.uniform(4.0, 9.0))),
        bend=0.03,
        overlap=min(habit.overlap, 0.15),
        fill=min(habit.fill, 0.5),
    )
    return cell_scene(rng, frames, shape, Recipe("rods", habit, random_optics(rng, habit)))


def tissue_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw a sheet of cells by their membranes; parameters as of `cell_scene`."""
    habit = random_habit(rng, (24, 90))
    habit = replace(
        habit,
        mitosis="round",
        fill=float(rng.uniform(0.8, 1.1)),
        clustering=0.0,
        overlap=0.05,
        speed=min(habit.speed, 0.05),
        bursts=0.0,
        elongation=(1.0, 1.4),
        defocus_rate=0.0,
        arrivals=0.0,
    )
    return cell_scene(rng, frames, shape, Recipe("tissue", habit, random_optics(rng, habit), 2))
