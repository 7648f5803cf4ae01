"""Life of synthetic cells: motion, growth, crowding, division, death, leaving focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_sam2.training.synthetic.shapes import Body

#: Frames over which a mother condenses before, and daughters relax after, a division.
MITOSIS = 3


@dataclass(frozen=True, slots=True)
class Habit:
    """How the cells of one movie look and behave.

    Lengths are pixels; rates are probabilities per cell and frame; ``speed`` is a share of the
    diameter per frame; ``overlap`` is the share of the touching distance that cells may intrude.
    """

    diameter: float = 40.0
    size_spread: float = 0.15
    elongation: tuple[float, float] = (1.0, 1.6)
    roughness: float = 0.06
    wobble: float = 0.15
    spikes: int = 0
    bend: float = 0.0
    speed: float = 0.06
    persistence: float = 0.7
    turning: float = 0.05
    fill: float = 0.3
    clustering: float = 0.3
    overlap: float = 0.1
    division_rate: float = 0.01
    death_rate: float = 0.004
    defocus_rate: float = 0.005
    brightness_spread: float = 0.3


@dataclass(slots=True)
class _Cell:
    body: Body
    velocity: np.ndarray
    rest_radius: float
    rest_elongation: float
    divides_in: int | None = None
    dies_in: int | None = None
    defocus: tuple[int, int] | None = None  # frames gone by, frames in all
    age: int = 99


class Population:
    """The cells of one movie, advanced a frame at a time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    shape : tuple of int
        Frame height and width in pixels.
    habit : Habit
        Look and behaviour.
    max_cells : int
        Labels never exceed this number plus the number of births.
    """

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int], habit: Habit, max_cells: int = 90
    ) -> None:
        self._rng = rng
        self._shape = shape
        self._habit = habit
        self._next_label = 1
        self.lineage: dict[int, int] = {}
        self._cells = [self._newborn(yx) for yx in self._places(max_cells)]
        for _ in range(60):
            self._push_apart()

    def bodies(self) -> list[Body]:
        """Return copies of the cells as they are now, the front ones last."""
        return sorted((cell.body.copy() for cell in self._cells), key=lambda body: body.depth)

    def step(self) -> None:
        """Advance by one frame."""
        for cell in list(self._cells):
            self._move(cell)
            self._age(cell)
        self._push_apart()
        self._push_apart()

    def schedule_division(self, count: int, within: int) -> None:
        """Make ``count`` cells of the frame divide, spread over the next ``within`` frames."""
        places = np.array([(cell.body.y, cell.body.x) for cell in self._cells])
        inside = np.flatnonzero(((places > 0) & (places < self._shape)).all(1))
        for rank, index in enumerate(self._rng.permutation(inside)[:count]):
            self._cells[index].divides_in = int((rank + 0.7) * within / max(count, 1)) + MITOSIS

    # ------------------------------------------------------------------ birth

    def _places(self, max_cells: int) -> np.ndarray:
        # Cells live on a field larger than the frame, so that they enter and leave it.
        habit, rng = self._habit, self._rng
        margin = 0.75 * habit.diameter
        field = np.asarray(self._shape) + 2 * margin
        wanted = habit.fill * field.prod() / (np.pi * habit.diameter**2 / 4)
        count = int(np.clip(round(wanted), 2, max_cells))
        places = rng.uniform(0, 1, (count, 2)) * field - margin
        centres = rng.uniform(0.15, 0.85, (max(count // 7, 1), 2)) * field - margin
        gathered = rng.random(count) < habit.clustering
        around = centres[rng.integers(0, len(centres), count)]
        spread = rng.normal(0, 1.5 * habit.diameter, (count, 2))
        return np.asarray(np.where(gathered[:, None], around + spread, places))

    def _newborn(self, yx: np.ndarray) -> _Cell:
        habit, rng = self._habit, self._rng
        radius = habit.diameter / 2 * float(np.exp(rng.normal(0, habit.size_spread)))
        elongation = float(rng.uniform(*habit.elongation))
        modes = np.stack(
            [rng.normal(0, habit.roughness, 5) / np.arange(1, 6), rng.uniform(0, 2 * np.pi, 5)], 1
        )
        count = int(rng.integers(0, habit.spikes + 1)) if habit.spikes else 0
        spikes = np.stack(
            [
                rng.uniform(-np.pi, np.pi, count),
                rng.uniform(0.12, 0.35, count),
                rng.uniform(0.25, 1.1, count),
            ],
            1,
        )
        body = Body(
            label=self._label(),
            y=float(yx[0]),
            x=float(yx[1]),
            radius=radius,
            elongation=elongation,
            angle=float(rng.uniform(0, np.pi)),
            bend=float(rng.normal(0, habit.bend)),
            modes=modes,
            spikes=spikes,
            brightness=float(np.exp(rng.normal(0, habit.brightness_spread))),
            depth=float(rng.random()),
            texture=(int(rng.integers(256)), int(rng.integers(256))),
        )
        velocity = rng.normal(0, habit.speed * habit.diameter, 2)
        return _Cell(body, velocity, radius, elongation)

    def _label(self) -> int:
        self._next_label += 1
        return self._next_label - 1

    # ------------------------------------------------------------------- life

    def _move(self, cell: _Cell) -> None:
        habit, rng, body = self._habit, self._rng, cell.body
        kick = rng.normal(0, habit.speed * habit.diameter, 2)
        keep = habit.persistence
        cell.velocity = keep * cell.velocity + np.sqrt(1 - keep**2) * kick
        slowed = 0.3 if cell.divides_in is not None and cell.divides_in <= MITOSIS else 1.0
        body.y += slowed * cell.velocity[0]
        body.x += slowed * cell.velocity[1]
        body.angle += rng.normal(0, habit.turning)
        body.bend = 0.9 * body.bend + rng.normal(0, 0.3 * habit.bend)
        calm = habit.roughness / np.arange(1, 6)
        body.modes[:, 0] += habit.wobble * (rng.normal(0, 1, 5) * calm - body.modes[:, 0])
        body.modes[:, 1] += rng.normal(0, habit.wobble, 5)
        if len(body.spikes):
            body.spikes[:, 0] += rng.normal(0, 0.25 * habit.wobble, len(body.spikes))
            body.spikes[:, 2] *= np.exp(rng.normal(0, habit.wobble, len(body.spikes)))
            np.clip(body.spikes[:, 2], 0.1, 1.3, out=body.spikes[:, 2])

    def _age(self, cell: _Cell) -> None:
        habit, rng = self._habit, self._rng
        cell.age += 1
        cell.rest_radius *= 1.004
        idle = cell.divides_in is None and cell.dies_in is None and cell.defocus is None
        if idle and cell.age > 2 * MITOSIS:
            draw = rng.random()
            if draw < habit.division_rate:
                cell.divides_in = MITOSIS
            elif draw < habit.division_rate + habit.death_rate:
                cell.dies_in = MITOSIS
            elif draw < habit.division_rate + habit.death_rate + habit.defocus_rate:
                cell.defocus = (0, int(rng.integers(5, 14)))
        self._shape_by_age(cell)
        if cell.divides_in is not None:
            cell.divides_in -= 1
            if cell.divides_in < 0:
                self._divide(cell)
        elif cell.dies_in is not None:
            cell.dies_in -= 1
            if cell.dies_in < 0:
                self._cells.remove(cell)
        elif cell.defocus is not None:
            gone, total = cell.defocus[0] + 1, cell.defocus[1]
            cell.body.focus = 0.5 + 0.5 * float(np.cos(2 * np.pi * gone / total))
            cell.defocus = (gone, total) if gone < total else None

    def _shape_by_age(self, cell: _Cell) -> None:
        body = cell.body
        condensed = max(0.0, 1 - cell.age / MITOSIS)
        if cell.divides_in is not None and cell.divides_in < MITOSIS:
            condensed = 1 - cell.divides_in / MITOSIS
        body.condensed = condensed
        body.radius = cell.rest_radius * (1 - 0.15 * condensed)
        body.elongation = cell.rest_elongation + 0.5 * condensed * (1.8 - cell.rest_elongation)
        if cell.dies_in is not None:
            share = cell.dies_in / MITOSIS
            body.radius = cell.rest_radius * (0.35 + 0.65 * share)
            body.condensed = 1 - share

    def _divide(self, mother: _Cell) -> None:
        body, rng = mother.body, self._rng
        self._cells.remove(mother)
        # The spindle axis: daughters part across the mother's long (metaphase) axis.
        axis = body.angle + np.pi / 2 + rng.normal(0, 0.2)
        away = np.array([np.sin(axis), np.cos(axis)])
        for side in (-1.0, 1.0):
            daughter = self._newborn(np.array([body.y, body.x]) + side * away * body.radius * 0.6)
            daughter.rest_radius = mother.rest_radius * 0.75
            daughter.body.angle = body.angle
            daughter.body.brightness = body.brightness * float(np.exp(rng.normal(0, 0.1)))
            daughter.velocity = 0.15 * side * away * body.radius + 0.5 * mother.velocity
            daughter.age = 0
            self._shape_by_age(daughter)
            self._cells.append(daughter)
            self.lineage[daughter.body.label] = body.label

    # --------------------------------------------------------------- crowding

    def _push_apart(self) -> None:
        if len(self._cells) < 2:
            return
        yx = np.array([(cell.body.y, cell.body.x) for cell in self._cells])
        apart = yx[:, None] - yx[None]
        distance = np.hypot(apart[..., 0], apart[..., 1]) + 1e-3
        reach = self._reach_towards(np.arctan2(apart[..., 0], apart[..., 1]))
        touching = (reach + reach.T) * (1 - self._habit.overlap)
        push = np.maximum(touching - distance, 0)
        np.fill_diagonal(push, 0)
        shift = 0.35 * (push / distance)[..., None] * apart
        for cell, (dy, dx) in zip(self._cells, shift.sum(1), strict=True):
            cell.body.y += float(dy)
            cell.body.x += float(dx)

    def _reach_towards(self, direction: np.ndarray) -> np.ndarray:
        """Distance (N, N) from the centre of each ellipse to its outline in a direction (N, N)."""
        bodies = [cell.body for cell in self._cells]
        stretch = np.sqrt([body.elongation for body in bodies])[:, None]
        radius = np.array([body.radius for body in bodies])[:, None]
        turned = direction - np.array([body.angle for body in bodies])[:, None]
        along, across = np.cos(turned) / stretch, np.sin(turned) * stretch
        return np.asarray(radius / np.hypot(along, across))
