"""Bright field: cells in suspension, crawling in wells, budding yeast, eggs, stained tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.defocus import (
    Focus,
    Lens,
    add_lens,
    propagate,
    random_backdrop,
)
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import Body, FloatArray
from napari_sam2.training.synthetic.staging import (
    Lives,
    drop_hidden,
    eventful,
    live,
    log_uniform,
    show_enough,
    sometimes,
)
from napari_sam2.training.synthetic.stained import stained_scene
from napari_sam2.training.synthetic.thickness import (
    Build,
    Tiles,
    add_cell,
    add_specks,
    scatter_specks,
)
from napari_sam2.training.synthetic.yeast import Budding, YeastField

#: Cells stand out from the background by so much at least.
_LEAST_CONTRAST = 0.05

Style = Literal["suspension", "crawling", "yeast", "eggs", "stained"]
STYLES: tuple[Style, ...] = ("suspension", "crawling", "yeast", "eggs", "stained")


def brightfield_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a bright field movie: cells in suspension, yeast, eggs, or stained nuclei in tissue.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    frames : int
        Number of frames.
    shape : tuple of int
        Height and width in pixels.

    Returns
    -------
    Scene
        Signal, labels and lineage.
    """
    style = STYLES[int(rng.choice(len(STYLES), p=(0.28, 0.16, 0.22, 0.14, 0.2)))]
    if style == "stained":
        return stained_scene(rng, frames, shape)
    tiles = Tiles.draw(rng)
    if style == "yeast":
        diameter, cast = _yeast(rng, frames, shape)
        lives = Lives(cast, {})
    else:
        habit = eventful(rng, _HABITS[style](rng))
        lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 3)))
        diameter = habit.diameter
    painter = (
        Crawling(_random_build(rng), tiles)
        if style == "crawling"
        else Round(_random_lens(rng, style), tiles)
    )
    return _photograph(rng, lives, painter, _random_focus(rng, diameter), shape)


class Painter(Protocol):
    """Adds a cell to phase, absorption and labels, all (Y, X); its area in the frame, pixels."""

    def __call__(
        self, phase: FloatArray, absorption: FloatArray, labels: NDArray[np.uint16], body: Body
    ) -> int:
        """See above."""


@dataclass(frozen=True, slots=True)
class Round:
    """Paints round cells, which are lenses."""

    lens: Lens
    tiles: Tiles

    def __call__(
        self, phase: FloatArray, absorption: FloatArray, labels: NDArray[np.uint16], body: Body
    ) -> int:
        """See `Painter`."""
        return add_lens(phase, absorption, labels, body, (self.lens, self.tiles))


@dataclass(frozen=True, slots=True)
class Crawling:
    """Paints flat cells, which only bend the phase."""

    build: Build
    tiles: Tiles

    def __call__(
        self, phase: FloatArray, absorption: FloatArray, labels: NDArray[np.uint16], body: Body
    ) -> int:
        """See `Painter`."""
        return add_cell(phase, labels, body, self.build, self.tiles)


def _photograph(
    rng: np.random.Generator, lives: Lives, painter: Painter, focus: Focus, shape: tuple[int, int]
) -> Scene:
    specks = scatter_specks(rng, shape)
    backdrop = random_backdrop(rng, shape)
    frames = len(lives.frames)
    sway = np.cumsum(rng.normal(0, focus.sway, frames))
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        phase, absorption = backdrop.copy(), np.zeros(shape, np.float32)
        areas = {body.label: painter(phase, absorption, labels[index], body) for body in bodies}
        drop_hidden(labels[index], areas)
        add_specks(phase, specks, index)
        seen = propagate(phase, absorption, focus.defocus + float(sway[index]), focus)
        signal[index] = 0.55 + 0.45 * np.tanh(np.float32(focus.contrast) * (seen - 1))
    signal = show_enough(signal, labels, _LEAST_CONTRAST)
    labels, lineage = number_from_one(labels, lives.lineage)
    return Scene(signal, labels, lineage)


# ----------------------------------------------------------------------- kinds of cells


def _suspension(rng: np.random.Generator) -> Habit:
    # Now and then a clone: a few cells that soon are many.
    dividing = float(rng.uniform(0.03, 0.1) if rng.random() < 0.25 else rng.uniform(0, 0.02))
    return Habit(
        diameter=log_uniform(rng, 13, 70),
        size_spread=float(rng.uniform(0.03, 0.25)),
        elongation=(1.0, float(rng.uniform(1.02, 1.5))),
        roughness=float(rng.uniform(0.005, 0.08)),
        wobble=float(rng.uniform(0.02, 0.3)),
        speed=log_uniform(rng, 0.02, 0.3),
        persistence=float(rng.uniform(0.1, 0.95)),
        turning=float(rng.uniform(0, 0.2)),
        fill=float(rng.uniform(0.05, 0.6)),
        clustering=float(rng.uniform(0, 0.8)),
        overlap=float(rng.uniform(0, 0.25)),
        division_rate=dividing,
        death_rate=float(rng.uniform(0, 0.008)),
        defocus_rate=float(rng.uniform(0, 0.015)),
        brightness_spread=float(rng.uniform(0.05, 0.3)),
    )


def _crawling(rng: np.random.Generator) -> Habit:
    return Habit(
        diameter=log_uniform(rng, 18, 60),
        size_spread=float(rng.uniform(0.05, 0.25)),
        elongation=(1.0, float(rng.uniform(1.5, 6.0))),
        roughness=float(rng.uniform(0.04, 0.15)),
        wobble=float(rng.uniform(0.05, 0.4)),
        spikes=int(rng.integers(0, 5)),
        speed=log_uniform(rng, 0.02, 0.35),
        persistence=float(rng.uniform(0.3, 0.95)),
        turning=float(rng.uniform(0, 0.15)),
        fill=float(rng.uniform(0.04, 0.45)),
        clustering=float(rng.uniform(0, 0.6)),
        overlap=float(rng.uniform(0, 0.2)),
        division_rate=float(rng.uniform(0, 0.03)),
        death_rate=float(rng.uniform(0, 0.008)),
        defocus_rate=sometimes(rng, 0.01),
        brightness_spread=float(rng.uniform(0.05, 0.25)),
    )


def _eggs(rng: np.random.Generator) -> Habit:
    return Habit(
        diameter=log_uniform(rng, 55, 110),
        size_spread=float(rng.uniform(0.02, 0.15)),
        elongation=(1.0, float(rng.uniform(1.02, 1.6))),
        roughness=float(rng.uniform(0.003, 0.04)),
        wobble=float(rng.uniform(0.02, 0.1)),
        speed=log_uniform(rng, 0.005, 0.06),
        persistence=float(rng.uniform(0.3, 0.95)),
        turning=float(rng.uniform(0, 0.1)),
        fill=float(rng.uniform(0.15, 0.6)),
        clustering=float(rng.uniform(0, 0.5)),
        overlap=float(rng.uniform(0, 0.12)),
        division_rate=float(rng.uniform(0, 0.03)),
        death_rate=0.002,
        defocus_rate=sometimes(rng, 0.008),
    )


_HABITS: dict[Style, Callable[[np.random.Generator], Habit]] = {
    "suspension": _suspension,
    "crawling": _crawling,
    "eggs": _eggs,
}


def _yeast(
    rng: np.random.Generator, frames: int, shape: tuple[int, int]
) -> tuple[float, list[list[Body]]]:
    diameter = log_uniform(rng, 16, 60)
    room = shape[0] * shape[1] / diameter**2
    cells = int(np.clip(room * log_uniform(rng, 0.06, 0.9), 2, 75))
    habit = Budding(
        diameter=diameter,
        size_spread=float(rng.uniform(0.05, 0.15)),
        elongation=float(rng.uniform(0.05, 0.4)),
        rate=float(rng.uniform(0.02, 0.09)),
        rest=float(rng.uniform(1, 12)),
        jiggle=log_uniform(rng, 0.05, 0.6),
        cells=cells,
        colonies=max(1, int(cells / 2 ** rng.uniform(0, 4))),
    )
    garden = YeastField.sow(rng, shape, habit)
    cast = []
    for _ in range(frames):
        cast.append(garden.bodies())
        garden.step()
    return diameter, cast


def _random_lens(rng: np.random.Generator, style: Style) -> Lens:
    watery = 0.7 if style == "yeast" else 0.3
    stained = rng.random() < 0.3 and style != "eggs"
    return Lens(
        phase=log_uniform(rng, 0.6, 4.0),
        shell=sometimes(rng, 1.5, 0.4 if style == "suspension" else 0.8),
        shell_width=float(rng.uniform(1.0, 2.5)),
        granules=float(rng.uniform(0.05, 0.5)) * (2 if style == "eggs" else 1),
        grain=float(rng.uniform(0.0, 0.08)),
        vacuole=float(rng.uniform(0.25, 0.6)) * float(rng.random() < watery),
        absorption=float(rng.uniform(0.1, 0.9)) if stained else sometimes(rng, 0.15),
        edge=float(rng.uniform(0.7, 1.6)),
    )


def _random_build(rng: np.random.Generator) -> Build:
    return Build(
        lamella=float(rng.uniform(0.2, 0.9)),
        hump=float(rng.uniform(0.4, 2.0)),
        hump_width=float(rng.uniform(0.4, 0.9)),
        nucleus=float(rng.uniform(-0.3, 0.4)),
        nucleus_width=float(rng.uniform(0.2, 0.36)),
        granules=float(rng.uniform(0.1, 0.8)),
        ruffle=sometimes(rng, 0.3),
        edge=float(rng.uniform(0.8, 2.0)),
        rounded=float(rng.uniform(2.0, 4.5)),
    )


def _random_focus(rng: np.random.Generator, diameter: float) -> Focus:
    farthest = min(1.3 * diameter, 70.0)
    defocus = float(rng.choice((-1.0, 1.0))) * log_uniform(rng, 3.0, farthest)
    return Focus(
        defocus=defocus,
        sway=0.06 * abs(defocus) * float(rng.random() < 0.5),
        damping=float(rng.uniform(0.02, 0.08)),
        blur=log_uniform(rng, 0.5, 2.0),
        contrast=log_uniform(rng, 0.5, 2.2),
    )
