"""Cell bodies with arms: long thin processes that grow, swing and are drawn in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.shapes import Body, Patch, patch_of

FrameArray = NDArray[np.float64]


@dataclass(slots=True)
class Limbs:
    """The arms of one cell.

    ``arms`` is (K, 5): angle, length in radii, width at the base and at the tip in radii, and
    curvature (sideways bend at the tip, in lengths).
    """

    arms: FrameArray

    def step(self, rng: np.random.Generator, liveliness: float) -> None:
        """Advance by one frame: arms swing, bend, grow and are drawn in."""
        count = len(self.arms)
        self.arms[:, 0] += rng.normal(0, 0.12 * liveliness, count)
        self.arms[:, 1] *= np.exp(rng.normal(0, 0.35 * liveliness, count))
        np.clip(self.arms[:, 1], 0.3, 4.5, out=self.arms[:, 1])
        self.arms[:, 4] += rng.normal(0, 0.15 * liveliness, count)
        np.clip(self.arms[:, 4], -0.5, 0.5, out=self.arms[:, 4])
        fresh = rng.random(count) < 0.1 * liveliness
        self.arms[fresh, 0] = rng.uniform(-np.pi, np.pi, int(fresh.sum()))
        self.arms[fresh, 1] = 0.4


@dataclass(frozen=True, slots=True)
class LimbStyle:
    """How many arms cells have, how long (radii), and how lively; ``bipolar`` ones lie in line."""

    count: tuple[int, int]
    length: tuple[float, float]
    width: tuple[float, float]
    bipolar: bool
    liveliness: float


@dataclass(slots=True)
class LimbRegister:
    """The arms of all cells of a movie, by label; made when a cell is first asked for."""

    rng: np.random.Generator
    style: LimbStyle
    known: dict[int, Limbs] = field(default_factory=dict)

    def of(self, body: Body) -> Limbs:
        """Return the arms of a cell."""
        if body.label not in self.known:
            self.known[body.label] = self._grow()
        return self.known[body.label]

    def step(self) -> None:
        """Advance all arms by one frame."""
        for limbs in self.known.values():
            limbs.step(self.rng, self.style.liveliness)

    def _grow(self) -> Limbs:
        rng, style = self.rng, self.style
        count = int(rng.integers(style.count[0], style.count[1] + 1))
        angles = rng.uniform(-np.pi, np.pi, count)
        lengths = rng.uniform(*style.length, count)
        if style.bipolar:
            angles[:2] = (np.array([0, np.pi]) + rng.normal(0, 0.2, 2))[:count]
            lengths[2:] *= 0.4
        base = rng.uniform(*style.width, count)
        tip = base * rng.uniform(0.1, 0.5, count)
        bend = rng.normal(0, 0.15, count)
        return Limbs(np.stack([angles, lengths, base, tip, bend], 1))


def limbed_patch(body: Body, limbs: Limbs, shape: tuple[int, int], margin: float) -> Patch | None:
    """Compute the level of a body with its arms; as `patch_of`, which does without arms."""
    lively = 1 - body.calm
    longest = float(limbs.arms[:, 1].max(initial=0)) * lively * body.radius
    patch = patch_of(body, shape, margin + longest, rod=False)
    if patch is None or lively < 0.1 or not len(limbs.arms):
        return patch
    level = patch.level
    stretch = np.sqrt(body.elongation)
    for angle, length, base, tip, bend in limbs.arms:
        cos, sin = np.cos(angle), np.sin(angle)
        # Arms start where the outline of the ellipse is, so that long cells have long arms.
        root = body.radius / np.hypot(cos / stretch, sin * stretch)
        whole = np.float32(0.8 * root + lively * length * body.radius)
        along = np.float32(cos) * patch.u + np.float32(sin) * patch.v
        across = np.float32(cos) * patch.v - np.float32(sin) * patch.u
        share = np.clip(along / whole, 0, 1)
        across = across - np.float32(bend) * whole * share * share
        half = np.float32(body.radius * base) * (1 - share) ** 2 + np.float32(body.radius * tip)
        arm = np.maximum(half, 0.9) * np.sqrt(1 - share**6) - np.abs(across)
        arm = np.where((along > 0) & (along < whole), arm, np.float32(-1e3))
        level = np.maximum(level, arm)
    return Patch(patch.window, np.asarray(level, np.float32), patch.u, patch.v)
