"""Budding yeast: round cells that grow buds, which part from them when they are large enough.

A bud is an object of its own from its first pixels on, and its mother goes on, so that budding
leaves no trace in the lineage, where a division ends the mother.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_sam2.training.synthetic.shapes import Body

#: A bud parts at this share of the radius of a grown cell, and starts at the other.
_PARTS_AT = 0.72
_STARTS_AT = 0.22


@dataclass(frozen=True, slots=True)
class Budding:
    """How yeast lives: lengths are pixels, ``rate`` is the growth per frame, in final radii."""

    diameter: float
    size_spread: float
    elongation: float
    rate: float
    rest: float
    jiggle: float
    cells: int
    colonies: int


@dataclass(slots=True)
class _Yeast:
    body: Body
    full_radius: float
    rests: float
    mother: _Yeast | None = None
    direction: float = 0.0


@dataclass(slots=True)
class YeastField:
    """Yeast cells, advanced a frame at a time."""

    rng: np.random.Generator
    shape: tuple[int, int]
    habit: Budding
    cells: list[_Yeast] = field(default_factory=list)
    next_label: int = 1

    @classmethod
    def sow(cls, rng: np.random.Generator, shape: tuple[int, int], habit: Budding) -> YeastField:
        """Place the founders and let them bud until there are enough cells."""
        garden = cls(rng, shape, habit)
        for _ in range(habit.colonies):
            place = rng.uniform(-0.05, 1.05, 2) * shape
            garden.cells.append(garden._newborn(place, grown=True))
        for _ in range(400):
            if len(garden.cells) >= habit.cells:
                break
            garden.step()
        garden.push_apart(30)
        return garden

    def bodies(self) -> list[Body]:
        """Return copies of the cells as they are now."""
        return sorted((cell.body.copy() for cell in self.cells), key=lambda body: body.depth)

    def step(self) -> None:
        """Grow, bud, part, jiggle and push apart: one frame."""
        habit, rng = self.habit, self.rng
        for cell in list(self.cells):
            room = max(cell.full_radius - cell.body.radius, 0.0)
            cell.body.radius += min(habit.rate * cell.full_radius, room)
            cell.body.y += rng.normal(0, habit.jiggle)
            cell.body.x += rng.normal(0, habit.jiggle)
            if cell.mother is not None:
                if cell.body.radius > _PARTS_AT * cell.full_radius:
                    cell.mother = None
                else:
                    _sit_on_mother(cell)
            elif cell.body.radius > 0.9 * cell.full_radius:
                cell.rests -= 1
                if cell.rests < 0 and len(self.cells) < 1.8 * habit.cells + 4:
                    self._bud(cell)
        self.push_apart(6)

    def push_apart(self, turns: int) -> None:
        """Move cells until they hardly overlap; buds stay on their mothers."""
        if len(self.cells) < 2:
            return
        radius = np.array([cell.body.radius for cell in self.cells])
        tied = self._tied()
        for _ in range(turns):
            yx = np.array([(cell.body.y, cell.body.x) for cell in self.cells])
            apart = yx[:, None] - yx[None]
            distance = np.hypot(apart[..., 0], apart[..., 1]) + 1e-3
            push = np.maximum(radius[:, None] + radius[None] - distance, 0)
            push[tied] = 0
            np.fill_diagonal(push, 0)
            shift = 0.4 * ((push / distance)[..., None] * apart).sum(1)
            for cell, (dy, dx) in zip(self.cells, shift, strict=True):
                cell.body.y += float(dy)
                cell.body.x += float(dx)
            for cell in self.cells:
                if cell.mother is not None:
                    _sit_on_mother(cell)

    def _tied(self) -> np.ndarray:
        rows = {id(cell): row for row, cell in enumerate(self.cells)}
        tied = np.zeros((len(self.cells), len(self.cells)), bool)
        for row, cell in enumerate(self.cells):
            if cell.mother is not None:
                other = rows[id(cell.mother)]
                tied[row, other] = tied[other, row] = True
        return tied

    def _newborn(self, place: np.ndarray, grown: bool) -> _Yeast:
        rng, habit = self.rng, self.habit
        full = habit.diameter / 2 * float(np.exp(rng.normal(0, habit.size_spread)))
        body = Body(
            label=self.next_label,
            y=float(place[0]),
            x=float(place[1]),
            radius=full if grown else _STARTS_AT * full,
            elongation=1 + float(rng.uniform(0, habit.elongation)),
            angle=float(rng.uniform(0, np.pi)),
            modes=np.stack([rng.normal(0, 0.015, 3), rng.uniform(0, 2 * np.pi, 3)], 1),
            brightness=float(np.exp(rng.normal(0, 0.12))),
            depth=float(rng.random()),
            texture=(int(rng.integers(256)), int(rng.integers(256))),
        )
        self.next_label += 1
        return _Yeast(body, full, float(rng.exponential(habit.rest)))

    def _bud(self, mother: _Yeast) -> None:
        bud = self._newborn(np.array([mother.body.y, mother.body.x]), grown=False)
        bud.mother = mother
        bud.direction = float(self.rng.uniform(0, 2 * np.pi))
        mother.rests = float(self.rng.exponential(self.habit.rest)) + _PARTS_AT / self.habit.rate
        _sit_on_mother(bud)
        self.cells.append(bud)


def _sit_on_mother(bud: _Yeast) -> None:
    assert bud.mother is not None
    mother = bud.mother.body
    turned = bud.direction - mother.angle
    stretch = np.sqrt(mother.elongation)
    reach = mother.radius / np.hypot(np.cos(turned) / stretch, np.sin(turned) * stretch)
    away = reach + 0.85 * bud.body.radius
    bud.body.y = mother.y + away * float(np.sin(bud.direction))
    bud.body.x = mother.x + away * float(np.cos(bud.direction))
