"""Fates of single cells: mitosis, death, leaving the focal plane and coming back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_sam2.training.synthetic.chromosomes import chromosomes
from napari_sam2.training.synthetic.mitosis import Mitosis
from napari_sam2.training.synthetic.shapes import Body

#: How much narrower the waist of a cell that pinches is, just before it divides.
_WAIST = 0.5


@dataclass(slots=True)
class Cell:
    """A cell between frames: what is drawn of it now, and what it is on the way to.

    ``divides_in`` and ``dies_in`` count frames down; ``focus`` holds the focus of the frames to
    come; ``age`` is frames since birth.
    """

    body: Body
    velocity: np.ndarray
    rest_radius: float
    rest_elongation: float
    rest_brightness: float
    divides_in: int | None = None
    dies_in: int | None = None
    focus: list[float] = field(default_factory=list)
    sinks: bool = False
    age: int = 99
    satellites: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))

    @property
    def is_idle(self) -> bool:
        """Nothing is happening to the cell."""
        return self.divides_in is None and self.dies_in is None and not self.focus


def leave_focus(cell: Cell, rng: np.random.Generator) -> None:
    """Let a cell sink out of focus: two in three come back after a while, the others never."""
    fall = int(rng.integers(1, 5))
    path = list(0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall + 1)[1:]))
    cell.sinks = bool(rng.random() < 0.35)
    if not cell.sinks:
        path += [0.0] * int(rng.integers(0, 4))
        path += list(0.5 - 0.5 * np.cos(np.linspace(0, np.pi, fall + 1)[1:]))
    cell.focus = [float(value) for value in path]


def enter_focus(cell: Cell, rng: np.random.Generator) -> None:
    """Let a cell rise into focus within a few frames."""
    rise = int(rng.integers(2, 6))
    cell.body.focus = 0.0
    cell.focus = [float(v) for v in 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, rise + 1)[1:])]


def shape_by_stage(cell: Cell, mitosis: Mitosis) -> None:
    """Set size, length and brightness by how far mitosis or death has gone.

    Parameters
    ----------
    cell : Cell
        The cell; its body is changed.
    mitosis : Mitosis
        How cells divide; death takes as long.
    """
    if mitosis.way == "veiled" and cell.divides_in and cell.divides_in <= mitosis.before:
        _shape_veiled(cell, mitosis, cell.divides_in - 1)
        return
    body, is_pinch = cell.body, mitosis.way == "pinch"
    stage, goal = mitosis.condensed * max(0.0, 1 - cell.age / (mitosis.after + 1)), mitosis.born
    body.waist = 0.0
    if cell.divides_in is not None and cell.divides_in <= mitosis.before:
        frames = mitosis.before
        stage = min((frames + 1 - cell.divides_in) / max(frames - 0.5, 1), 1.0)
        goal = mitosis.goal
        body.waist = _WAIST * stage**2 * is_pinch
    body.calm = stage
    # Chromatin of a cell that pinches is hardly denser than before.
    body.condensed = 0.3 * stage if is_pinch else stage
    share = stage**2 if mitosis.way == "plate" else stage
    body.elongation = cell.rest_elongation + share * (goal - cell.rest_elongation)
    body.radius = cell.rest_radius * (1 - mitosis.shrinks * stage)
    body.brightness = cell.rest_brightness * (1 + mitosis.gain * stage)
    if cell.dies_in is not None:
        gone = 1 - cell.dies_in / (mitosis.before + 1)
        body.radius = cell.rest_radius * (1 - 0.55 * gone)
        body.elongation = cell.rest_elongation + gone * (1.0 - cell.rest_elongation)
        body.brightness = cell.rest_brightness * (1 + (0.5 + mitosis.gain) * gone)
        body.condensed, body.calm = gone, 0.5 * gone


def _shape_veiled(cell: Cell, mitosis: Mitosis, left: int) -> None:
    """Set the look of a cell that stays one for ``left`` more frames after this one."""
    body, late = cell.body, mitosis.parted + mitosis.tied
    early = max(mitosis.before - late, 1)
    gathered = min((mitosis.before - left) / early, 1.0)
    # Chromosomes part fast, then slowly.
    parted = (max(late - left, 0) / max(late, 1)) ** 0.5
    is_tied = left < mitosis.tied
    loosened = mitosis.loosened * is_tied
    body.holes = chromosomes(body.label, gathered, parted, mitosis.gain / mitosis.veil, loosened)
    body.radius = cell.rest_radius * (1 - mitosis.shrinks * gathered)
    body.elongation = cell.rest_elongation * (1 - gathered) + gathered
    body.elongation += parted * (mitosis.goal - body.elongation)
    body.brightness = cell.rest_brightness * (1 + gathered * (mitosis.veil - 1))
    body.waist = mitosis.waist * parted * is_tied
    body.calm = gathered


def fragments(body: Body, rng: np.random.Generator) -> list[Body]:
    """Return the pieces that a dying cell breaks into; nobody annotates them."""
    pieces = []
    for _ in range(int(rng.integers(2, 7))):
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.3) * body.radius
        pieces.append(
            Body(
                label=0,
                y=body.y + away * np.sin(turn),
                x=body.x + away * np.cos(turn),
                radius=max(body.radius * rng.uniform(0.2, 0.5), 1.0),
                elongation=float(rng.uniform(1, 1.5)),
                brightness=body.brightness * float(rng.uniform(0.4, 1.0)),
                depth=body.depth,
                texture=body.texture,
            )
        )
    return pieces


def satellites_of(cell: Cell) -> list[Body]:
    """Return the micronuclei of a cell as they lie now; ``satellites`` is (K, 3) u, v, size."""
    body, found = cell.body, []
    cos, sin = np.cos(body.angle), np.sin(body.angle)
    for u, v, size in cell.satellites:
        found.append(
            Body(
                label=0,
                y=body.y + body.radius * (sin * u + cos * v),
                x=body.x + body.radius * (cos * u - sin * v),
                radius=max(body.radius * size, 1.0),
                brightness=0.8 * body.brightness,
                focus=body.focus,
                depth=body.depth,
            )
        )
    return found
