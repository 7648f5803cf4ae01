"""Fluorescent nuclei: chromatin, nucleoli, mitosis, death; sparse or crowded, bright and dim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sam2.training.synthetic.cells import (
    Recipe,
    cell_scene,
    random_habit,
    random_optics,
    sometimes,
)
from napari_sam2.training.synthetic.mitosis import Way, random_mitosis
from napari_sam2.training.synthetic.painter import Optics
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene

#: How often chromosomes gather in a plate, and how often a nucleus is parted as it is.
_DIVIDING: dict[Way, float] = {"plate": 0.35, "veiled": 0.45, "pinch": 0.12, "round": 0.08}


def nuclei_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw fluorescent nuclei; parameters as of `cell_scene`."""
    habit = _habit(rng)
    recipe = Recipe(habit, _optics(rng, habit), divisions=int(rng.integers(0, 4)))
    return cell_scene(rng, frames, shape, recipe)


def _habit(rng: np.random.Generator) -> Habit:
    # Three in ten movies: a low magnification, with small nuclei that crowd and touch.
    is_small = rng.random() < 0.3
    habit = random_habit(rng, (14, 30) if is_small else (18, 90))
    return replace(
        habit,
        elongation=(1.0, float(rng.uniform(1.1, 2.0))),
        roughness=float(rng.uniform(0.01, 0.05)),
        lobed=sometimes(rng, 0.3),
        wobble=float(rng.uniform(0.02, 0.15)),
        bend=sometimes(rng, 0.08),
        clustering=float(rng.uniform(0.3, 1)) if is_small else habit.clustering,
        # A stain takes evenly; a protein that cells express may be a tenth in one cell of another.
        brightness_spread=float(
            rng.choice([rng.uniform(0.05, 0.4), rng.uniform(0.4, 0.7), rng.uniform(0.7, 1.2)])
        ),
        holes=float(rng.choice([0, rng.uniform(1, 4)])),
        hole_depth=float(rng.choice([1, 1, 1, -1.5])) * float(rng.uniform(0.3, 0.9)),
        mitosis=random_mitosis(rng, _DIVIDING),
        fragments=0.6,
        satellites=sometimes(rng, 0.12),
    )


def _optics(rng: np.random.Generator, habit: Habit) -> Optics:
    optics = random_optics(rng, habit)
    texture = 0.05 + 0.45 * float(rng.random()) ** 1.7
    if rng.random() < 0.25:
        # Condensed chromatin: few large patches, the brightest several times as bright.
        optics = replace(optics, grain=float(rng.uniform(0.06, 0.16)) * habit.diameter)
        texture = float(rng.uniform(0.4, 0.9))
    return replace(
        optics,
        texture=texture,
        dim_border=float(rng.uniform(0.25, 1.0)),
        rim=float(rng.uniform(0.2, 1.0)),
    )
