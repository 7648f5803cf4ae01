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
        spikes=int(rng.integers(0, 7)),
        elongation=(1.0, float(rng.uniform(1.2, 3.5))),
        roughness=float(rng.uniform(0.05, 0.2)),
    )
    recipe = Recipe("whole", habit, random_optics(rng, habit), divisions=int(rng.integers(0, 3)))
    return cell_scene(rng, frames, shape, recipe)


def tissue_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw a sheet of cells by their membranes; parameters as of `cell_scene`."""
    habit = random_habit(rng, (24, 90))
    habit = replace(
        habit,
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
