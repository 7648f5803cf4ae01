"""Growth of bacteria: rods that lengthen, divide and push each other."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FloatColumn = NDArray[np.float64]

#: Contacts are looked up again every so many iterations; rods move little in between.
_LOOKUP_EVERY = 4


@dataclass(frozen=True, slots=True)
class Growth:
    """How rods live.  Lengths are pixels; rates are per rod and frame.

    ``division_length`` is the distance between the centres of the caps at which a rod divides;
    ``channel`` is the distance between the walls of growth channels, 0 without channels.
    """

    radius: float
    division_length: float
    rate: float
    rate_spread: float
    filaments: float
    bend: float
    jiggle: float
    swim: float
    turning: float
    flow: tuple[float, float]
    death_rate: float
    fade_rate: float
    channel: float


@dataclass(slots=True)
class Rods:
    """One row a rod: centre, half the length between the cap centres, angle, curvature...

    ``share`` is how far a rod is from birth (0) to division (1, never for filaments); ``focus``
    runs from 1 to 0; ``dying`` counts frames down and is -1 for the living.
    """

    y: FloatColumn
    x: FloatColumn
    half: FloatColumn
    radius: FloatColumn
    angle: FloatColumn
    bend: FloatColumn
    rate: FloatColumn
    divides_at: FloatColumn
    brightness: FloatColumn
    focus: FloatColumn
    phase: FloatColumn
    dying: FloatColumn
    channel: FloatColumn
    label: FloatColumn

    def __len__(self) -> int:
        return len(self.y)

    def pick(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Rods:
        """Return some of the rods."""
        return Rods(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def join(self, other: Rods) -> Rods:
        """Return these rods and the others."""
        names = [part.name for part in fields(self)]
        return Rods(
            **{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        )


@dataclass(slots=True)
class Colony:
    """Rods on a field somewhat larger than the frame, advanced a frame at a time."""

    rng: np.random.Generator
    shape: tuple[int, int]
    growth: Growth
    rods: Rods
    lineage: dict[int, int] = field(default_factory=dict)
    next_label: int = 1

    @classmethod
    def found(
        cls, rng: np.random.Generator, shape: tuple[int, int], growth: Growth, founders: int
    ) -> Colony:
        """Scatter founders over the field (a few: well inside it), or one into every channel."""
        margin = growth.division_length if founders > 5 else -0.15 * min(shape)
        y = rng.uniform(-margin, shape[0] + margin, founders)
        x = rng.uniform(-margin, shape[1] + margin, founders)
        angle = rng.uniform(0, 2 * np.pi, founders)
        channel = np.full(founders, np.nan)
        if growth.channel:
            channel = np.arange(0.5, shape[1] / growth.channel) * growth.channel
            founders = len(channel)
            x, angle = channel.copy(), np.full(founders, np.pi / 2)
            y = rng.uniform(0.2, 0.5, founders) * shape[0]
        colony = cls(rng, shape, growth, _newborn(rng, growth, np.stack([y, x, angle, channel])))
        colony._number(colony.rods)
        return colony

    def step(self, iterations: int = 14) -> None:
        """Grow, divide, die, move and push apart: one frame."""
        growth, rng, rods = self.growth, self.rng, self.rods
        alive = rods.dying < 0
        rods.half[alive] += (rods.half + rods.radius)[alive] * np.expm1(rods.rate[alive])
        self._divide()
        self._pass_away()
        rods = self.rods
        count = len(rods)
        rods.y += rng.normal(0, growth.jiggle, count) + growth.swim * np.sin(rods.angle)
        rods.x += rng.normal(0, growth.jiggle, count) + growth.swim * np.cos(rods.angle)
        rods.y += growth.flow[0]
        rods.x += growth.flow[1]
        rods.angle += rng.normal(0, growth.turning, count)
        rods.bend += rng.normal(0, 0.15 * growth.bend, count)
        self.push_apart(iterations)
        self._forget_leavers()

    def push_apart(self, iterations: int) -> None:
        """Move and turn rods until they hardly overlap."""
        rods = self.rods
        if len(rods) == 0:
            return
        for turn in range(iterations):
            points, owner = discs_of(rods)
            if turn % _LOOKUP_EVERY == 0:
                found = cKDTree(points).query_pairs(2.4 * float(rods.radius.max()))
                pairs = np.array(list(found), np.intp).reshape(-1, 2)
                pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
            _resolve(rods, points, owner, pairs)
            if self.growth.channel:
                self._confine()

    # ---------------------------------------------------------------- births and deaths

    def _number(self, rods: Rods) -> None:
        rods.label[:] = np.arange(self.next_label, self.next_label + len(rods))
        self.next_label += len(rods)

    def _divide(self) -> None:
        rods, rng = self.rods, self.rng
        ripe = (2 * rods.half > rods.divides_at) & (rods.dying < 0)
        if not ripe.any():
            return
        mothers = rods.pick(ripe)
        self.rods = rods.pick(~ripe)
        for side in (-1.0, 1.0):
            away = 0.5 * side * (mothers.half + mothers.radius)
            place = np.stack([
                mothers.y + away * np.sin(mothers.angle),
                mothers.x + away * np.cos(mothers.angle),
                mothers.angle + rng.normal(0, 0.05, len(mothers)),
                mothers.channel,
            ])  # fmt: skip
            daughters = _newborn(rng, self.growth, place)
            daughters.half = np.maximum(0.5 * (mothers.half - mothers.radius), 0.5)
            daughters.radius = mothers.radius.copy()
            daughters.bend = mothers.bend.copy()
            daughters.brightness = mothers.brightness * np.exp(rng.normal(0, 0.06, len(mothers)))
            daughters.focus = mothers.focus.copy()
            self._number(daughters)
            ids = zip(daughters.label, mothers.label, strict=True)
            self.lineage.update({int(daughter): int(mother) for daughter, mother in ids})
            self.rods = self.rods.join(daughters)

    def _pass_away(self) -> None:
        rods, rng, growth = self.rods, self.rng, self.growth
        rods.dying[(rods.dying < 0) & (rng.random(len(rods)) < growth.death_rate)] = 4
        rods.dying[rods.dying > 0] -= 1
        rods.brightness[rods.dying >= 0] *= 0.6
        # Some rods leave the focal plane and come back: a dip of the focus over six frames.
        dips = (rods.phase >= 1) & (rng.random(len(rods)) < growth.fade_rate)
        rods.phase[dips] = 0
        rods.phase[:] = np.minimum(rods.phase + 1 / 6, 1)
        rods.focus[:] = 0.5 + 0.5 * np.cos(2 * np.pi * rods.phase)
        self.rods = rods.pick(rods.dying != 0)

    def _forget_leavers(self) -> None:
        rods = self.rods
        margin = 2.5 * self.growth.division_length
        inside = (rods.y > -margin) & (rods.y < self.shape[0] + margin)
        inside &= (rods.x > -margin) & (rods.x < self.shape[1] + margin)
        self.rods = rods.pick(inside)

    def _confine(self) -> None:
        """Keep rods in their channels, whose closed end is a sixteenth of the way down."""
        rods = self.rods
        slack = max(0.35 * self.growth.radius, 0.5)
        rods.x[:] = np.clip(rods.x, rods.channel - slack, rods.channel + slack)
        rods.angle[:] = np.pi / 2 + np.clip(rods.angle - np.pi / 2, -0.08, 0.08)
        rods.bend[:] = 0
        top = self.shape[0] / 16
        rods.y[:] = np.maximum(rods.y, top + rods.half + rods.radius)


def axis_height(along: FloatColumn, half: FloatColumn, bend: FloatColumn) -> FloatColumn:
    """Sideways distance of the bent axis at a place along it; 0 on average."""
    return np.asarray(bend * (along**2 - half**2 / 3))


def discs_of(rods: Rods) -> tuple[FloatColumn, NDArray[np.intp]]:
    """Cover rods by discs a radius apart: centres (N, 2) and the row of the rod of each."""
    counts = np.ceil(2 * rods.half / rods.radius).astype(np.intp) + 1
    owner = np.repeat(np.arange(len(rods)), counts)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    steps = np.maximum(counts - 1, 1)[owner]
    along = rods.half[owner] * (2 * rank / steps - 1)
    aside = axis_height(along, rods.half[owner], rods.bend[owner])
    cos, sin = np.cos(rods.angle)[owner], np.sin(rods.angle)[owner]
    points = np.stack(
        [rods.y[owner] + sin * along + cos * aside, rods.x[owner] + cos * along - sin * aside], 1
    )
    return points, owner


def _resolve(
    rods: Rods, points: FloatColumn, owner: NDArray[np.intp], pairs: NDArray[np.intp]
) -> None:
    """Move and turn both rods of every overlapping pair of discs by the mean of their pushes."""
    first, second = pairs[:, 0], pairs[:, 1]
    apart = points[first] - points[second]
    distance = np.hypot(apart[:, 0], apart[:, 1]) + 1e-6
    overlap = rods.radius[owner[first]] + rods.radius[owner[second]] - distance
    touching = overlap > 0
    first, second, apart = first[touching], second[touching], apart[touching]
    push = 0.5 * (overlap / distance)[touching, None] * apart
    where = np.concatenate([first, second])
    push = np.concatenate([push, -push])
    row = owner[where]
    count = len(rods)
    contacts = np.bincount(row, minlength=count) + 0.3
    rods.y += np.bincount(row, push[:, 0], count) / contacts
    rods.x += np.bincount(row, push[:, 1], count) / contacts
    arm_y, arm_x = points[where, 0] - rods.y[row], points[where, 1] - rods.x[row]
    torque = np.bincount(row, arm_x * push[:, 0] - arm_y * push[:, 1], count)
    inertia = np.bincount(row, arm_y**2 + arm_x**2, count) + rods.radius**2
    rods.angle += np.clip(torque / inertia, -0.15, 0.15)


def _newborn(rng: np.random.Generator, growth: Growth, place: FloatColumn) -> Rods:
    """Make rods at places (4, N): y, x, angle, channel."""
    count = place.shape[1]
    divides_at = growth.division_length * np.exp(rng.normal(0, 0.1, count))
    filament = rng.random(count) < growth.filaments
    divides_at[filament] *= rng.uniform(2, 5, int(np.count_nonzero(filament)))
    half = 0.5 * divides_at * rng.uniform(0.35, 0.95, count)
    steepest = 0.45 / np.maximum(divides_at, 1)
    return Rods(
        y=place[0].copy(),
        x=place[1].copy(),
        half=half,
        radius=growth.radius * np.exp(rng.normal(0, 0.04, count)),
        angle=place[2].copy(),
        bend=np.clip(rng.normal(0, growth.bend, count), -steepest, steepest),
        rate=growth.rate * np.exp(rng.normal(0, growth.rate_spread, count)),
        divides_at=divides_at,
        brightness=np.exp(rng.normal(0, 0.15, count)),
        focus=np.ones(count),
        phase=np.ones(count),
        dying=np.full(count, -1.0),
        channel=place[3].copy(),
        label=np.zeros(count),
    )
