"""Life of synthetic cells together: places, motion, crowding, births and deaths."""

from __future__ import annotations

import numpy as np

from napari_sam2.training.synthetic.birth import Habit, Nursery
from napari_sam2.training.synthetic.life import (
    Cell,
    enter_focus,
    fragments,
    leave_focus,
    satellites_of,
    shape_by_stage,
)
from napari_sam2.training.synthetic.shapes import Body

__all__ = ["Habit", "Population"]


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
        Labels never exceed this number plus the number of births and newcomers.
    """

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int], habit: Habit, max_cells: int = 90
    ) -> None:
        self._rng = rng
        self._shape = np.asarray(shape, float)
        self._habit = habit
        self._nursery = Nursery(rng, habit)
        longest = np.sqrt(habit.elongation[1]) * (1.6 if habit.spikes else 1.0)
        self._margin = 0.75 * habit.diameter * float(longest)
        self.lineage: dict[int, int] = {}
        self._debris: list[tuple[Body, int]] = []
        self._cells = [self._nursery.newborn(yx) for yx in self._places(max_cells)]
        for cell in self._cells:
            if rng.random() < 2 * habit.defocus_rate:
                enter_focus(cell, rng)
        for _ in range(60):
            self._push_apart()

    def bodies(self) -> list[Body]:
        """Return copies of the cells as they are now, the front ones last."""
        bodies = [cell.body.copy() for cell in self._cells]
        for cell in self._cells:
            bodies.extend(satellites_of(cell))
        bodies.extend(piece.copy() for piece, _ in self._debris)
        return sorted(bodies, key=lambda body: body.depth)

    def step(self) -> None:
        """Advance by one frame."""
        for cell in list(self._cells):
            self._move(cell)
            self._age(cell)
        self._debris = [(piece, left - 1) for piece, left in self._debris if left > 1]
        self._replace_leavers()
        if self._rng.random() < self._habit.arrivals * max(len(self._cells), 4):
            cell = self._nursery.newborn(self._rng.uniform(0, 1, 2) * self._shape)
            enter_focus(cell, self._rng)
            self._cells.append(cell)
        self._push_apart()
        self._push_apart()

    def schedule_division(self, count: int, within: int) -> None:
        """Make ``count`` cells of the frame divide, spread over the next ``within`` frames."""
        places = np.array([(cell.body.y, cell.body.x) for cell in self._cells]).reshape(-1, 2)
        inside = np.flatnonzero(((places > 0) & (places < self._shape)).all(1))
        for rank, index in enumerate(self._rng.permutation(inside)[:count]):
            due = int((rank + 0.7) * within / max(count, 1))
            self._cells[index].divides_in = due + self._habit.mitosis.before

    # ------------------------------------------------------------------ birth

    def _places(self, max_cells: int) -> np.ndarray:
        # Cells live on a field larger than the frame, so that they enter and leave it.
        habit, rng = self._habit, self._rng
        field = self._shape + 2 * self._margin
        wanted = habit.fill * field.prod() / (np.pi * habit.diameter**2 / 4)
        count = int(np.clip(round(wanted), 2, max_cells))
        places = rng.uniform(0, 1, (count, 2)) * field - self._margin
        centres = rng.uniform(0.15, 0.85, (max(count // 7, 1), 2)) * field - self._margin
        gathered = rng.random(count) < habit.clustering
        around = centres[rng.integers(0, len(centres), count)]
        spread = rng.normal(0, 1.5 * habit.diameter, (count, 2))
        places = np.where(gathered[:, None], around + spread, places)
        # At least one cell is seen on the first frame.
        places[0] = rng.uniform(0.2, 0.8, 2) * self._shape
        return np.asarray(places)

    # ------------------------------------------------------------------- life

    def _move(self, cell: Cell) -> None:
        habit, rng, body = self._habit, self._rng, cell.body
        kick = rng.normal(0, habit.speed * habit.diameter, 2)
        keep = habit.persistence
        cell.velocity = keep * cell.velocity + np.sqrt(1 - keep**2) * kick
        is_dividing = cell.divides_in is not None and cell.divides_in <= habit.mitosis.before
        slowed = 0.3 if is_dividing else 1.0
        step = slowed * cell.velocity + np.asarray(habit.flow) * habit.diameter
        if rng.random() < habit.bursts:
            step = step + rng.normal(0, 0.6 * habit.diameter, 2)
        body.y += float(step[0])
        body.x += float(step[1])
        body.angle += rng.normal(0, habit.turning)
        body.bend += 0.1 * rng.normal(0, habit.bend)
        size = np.abs(body.modes[:, 0])
        body.modes[:, 0] += habit.wobble * rng.normal(0, 0.5, 5) * (size + 0.01)
        np.clip(body.modes[:, 0], -0.3, 0.3, out=body.modes[:, 0])
        body.modes[:, 1] += rng.normal(0, habit.wobble, 5)
        if len(body.spikes):
            body.spikes[:, 0] += rng.normal(0, 0.25 * habit.wobble, len(body.spikes))
            body.spikes[:, 2] *= np.exp(rng.normal(0, habit.wobble, len(body.spikes)))
            np.clip(body.spikes[:, 2], 0.1, 1.3, out=body.spikes[:, 2])

    def _age(self, cell: Cell) -> None:
        habit, rng = self._habit, self._rng
        cell.age += 1
        cell.rest_radius *= 1.004
        cell.rest_brightness *= float(np.exp(rng.normal(0, habit.fading)))
        if cell.is_idle and cell.age > habit.mitosis.before + habit.mitosis.after:
            self._choose_fate(cell)
        shape_by_stage(cell, habit.mitosis)
        if cell.divides_in is not None:
            cell.divides_in -= 1
            if cell.divides_in < 0:
                self._divide(cell)
        elif cell.dies_in is not None:
            cell.dies_in -= 1
            if cell.dies_in < 0:
                self._die(cell)
        elif cell.focus:
            cell.body.focus = cell.focus.pop(0)
            if cell.sinks and not cell.focus:
                self._cells.remove(cell)

    def _choose_fate(self, cell: Cell) -> None:
        habit, rng = self._habit, self._rng
        draw = rng.random()
        if draw < habit.division_rate:
            cell.divides_in = habit.mitosis.before
        elif draw < habit.division_rate + habit.death_rate:
            cell.dies_in = habit.mitosis.before
        elif draw < habit.division_rate + habit.death_rate + habit.defocus_rate:
            leave_focus(cell, rng)

    def _die(self, cell: Cell) -> None:
        self._cells.remove(cell)
        if self._rng.random() < self._habit.fragments:
            stays = int(self._rng.integers(1, 6))
            self._debris.extend((piece, stays) for piece in fragments(cell.body, self._rng))

    def _divide(self, mother: Cell) -> None:
        body, rng, habit = mother.body, self._rng, self._habit
        self._cells.remove(mother)
        axis = habit.mitosis.axis(body, rng)
        away = np.array([np.sin(axis), np.cos(axis)])
        apart = habit.mitosis.distance(rng) * mother.rest_radius
        for side in (-1.0, 1.0):
            daughter = self._nursery.newborn(np.array([body.y, body.x]) + side * away * apart)
            daughter.rest_radius = mother.rest_radius * 0.78
            daughter.rest_brightness = mother.rest_brightness * float(np.exp(rng.normal(0, 0.1)))
            daughter.body.angle = axis - np.pi / 2
            daughter.velocity = 0.25 * side * away * mother.rest_radius + 0.5 * mother.velocity
            daughter.age = 0
            shape_by_stage(daughter, habit.mitosis)
            self._cells.append(daughter)
            self.lineage[daughter.body.label] = body.label

    def _replace_leavers(self) -> None:
        """Let another cell enter at the far side for each that has left the field for good."""
        field = self._shape + 2 * self._margin
        kept = []
        for cell in self._cells:
            place = np.array([cell.body.y, cell.body.x]) + self._margin
            if np.all(place >= 0) and np.all(place <= field):
                kept.append(cell)
            elif self._habit.refill:
                kept.append(self._nursery.newborn(place % field - self._margin))
        self._cells = kept

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
