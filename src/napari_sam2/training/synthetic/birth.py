"""What cells are born as: the habit of a movie, and cells drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_sam2.training.synthetic.life import Cell
from napari_sam2.training.synthetic.mitosis import Mitosis
from napari_sam2.training.synthetic.shapes import Body


@dataclass(frozen=True, slots=True)
class Habit:
    """How the cells of one movie look and behave.

    Lengths are pixels; rates are probabilities per cell and frame; ``speed`` and ``flow`` are
    shares of the diameter per frame; ``overlap`` is the share of the touching distance that cells
    may intrude; ``roughness`` the amplitude of the outline's waves; ``wobble`` how fast it changes;
    ``lobed`` is the share of cells of irregular outline; ``bursts`` the rate of sudden jumps;
    ``refill`` lets others enter for those that leave; ``arrivals`` is the rate of new cells in the
    focal plane; ``fading`` the change of brightness per frame; ``holes`` the mean number of
    nucleoli and ``hole_depth`` their contrast; ``satellites`` the share of cells with micronuclei,
    ``fragments`` of the dying ones that leave pieces (either are bodies without a label).
    """

    diameter: float = 40.0
    size_spread: float = 0.15
    elongation: tuple[float, float] = (1.0, 1.6)
    roughness: float = 0.06
    wobble: float = 0.15
    lobed: float = 0.0
    spikes: int = 0
    bend: float = 0.0
    speed: float = 0.06
    flow: tuple[float, float] = (0.0, 0.0)
    persistence: float = 0.7
    turning: float = 0.05
    bursts: float = 0.0
    fill: float = 0.3
    refill: bool = True
    clustering: float = 0.3
    overlap: float = 0.1
    mitosis: Mitosis = field(default_factory=Mitosis)
    division_rate: float = 0.01
    death_rate: float = 0.004
    defocus_rate: float = 0.005
    arrivals: float = 0.0
    brightness_spread: float = 0.3
    fading: float = 0.0
    holes: float = 0.0
    hole_depth: float = 0.6
    satellites: float = 0.0
    fragments: float = 0.0


class Nursery:
    """Makes cells of a habit and gives them labels 1, 2, ..."""

    def __init__(self, rng: np.random.Generator, habit: Habit) -> None:
        self._rng = rng
        self._habit = habit
        self._next_label = 1

    def newborn(self, yx: np.ndarray) -> Cell:
        """Make a cell at a place (y, x) in pixels."""
        habit, rng = self._habit, self._rng
        radius = habit.diameter / 2 * float(np.exp(rng.normal(0, habit.size_spread)))
        elongation = float(rng.uniform(*habit.elongation))
        rough = habit.roughness * (float(rng.uniform(1.5, 3)) if rng.random() < habit.lobed else 1)
        waves = np.clip(rng.normal(0, rough, 5), -0.3, 0.3) / np.arange(1, 6)
        brightness = float(np.clip(np.exp(rng.normal(0, habit.brightness_spread)), 0.1, 5))
        body = Body(
            label=self._label(),
            y=float(yx[0]),
            x=float(yx[1]),
            radius=radius,
            elongation=elongation,
            angle=float(rng.uniform(0, np.pi)),
            bend=float(rng.normal(0, habit.bend)),
            modes=np.stack([waves, rng.uniform(0, 2 * np.pi, 5)], 1),
            spikes=self._spikes(),
            brightness=brightness,
            contrast=float(np.exp(rng.normal(0, 0.25))),
            holes=self._holes(),
            depth=float(rng.random()),
            texture=(int(rng.integers(256)), int(rng.integers(256))),
        )
        velocity = rng.normal(0, habit.speed * habit.diameter, 2)
        cell = Cell(body, velocity, radius, elongation, brightness)
        if rng.random() < habit.satellites:
            turn = rng.uniform(0, 2 * np.pi, int(rng.integers(1, 3)))
            away = rng.uniform(1.05, 1.5, len(turn))
            size = rng.uniform(0.12, 0.3, len(turn))
            cell.satellites = np.stack([away * np.cos(turn), away * np.sin(turn), size], 1)
        return cell

    def _spikes(self) -> np.ndarray:
        rng = self._rng
        count = int(rng.integers(0, self._habit.spikes + 1)) if self._habit.spikes else 0
        angle, width = rng.uniform(-np.pi, np.pi, count), rng.uniform(0.12, 0.35, count)
        return np.stack([angle, width, rng.uniform(0.25, 1.1, count)], 1)

    def _holes(self) -> np.ndarray:
        rng, habit = self._rng, self._habit
        count = min(int(rng.poisson(habit.holes)), 6) if habit.holes else 0
        turn, away = rng.uniform(0, 2 * np.pi, count), 0.55 * np.sqrt(rng.uniform(0, 1, count))
        depth = habit.hole_depth * rng.uniform(0.6, 1.2, count)
        size = rng.uniform(0.1, 0.23, count)
        return np.stack([away * np.cos(turn), away * np.sin(turn), size, depth], 1)

    def _label(self) -> int:
        self._next_label += 1
        return self._next_label - 1
