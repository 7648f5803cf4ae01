"""Optical thickness of cells: what phase contrast and interference contrast make visible.

A cell is flat with a mound around its nucleus, granules and a ruffled border, or, when it divides
or dies, a ball.  Cells that crawl over each other add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of
from napari_sam2.training.synthetic.staging import (
    bump,
    log_uniform,
    noise_tile,
    on_body,
    paste_label,
    soft_step,
    sometimes,
    spot_tile,
)


@dataclass(frozen=True, slots=True)
class Build:
    """Optical thickness (radians) of the parts of a cell.

    ``hump_width`` and ``nucleus_width`` are shares of the radius; ``edge`` is the softness of the
    border in pixels; ``rounded`` the thickness of the ball before a division.
    """

    lamella: float
    hump: float
    hump_width: float
    nucleus: float
    nucleus_width: float
    granules: float
    ruffle: float
    edge: float
    rounded: float


@dataclass(frozen=True, slots=True)
class Tiles:
    """Textures of the cytoplasm (``grain``), its granules and the ruffles of the border."""

    grain: FloatArray
    granules: FloatArray
    ruffles: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Tiles:
        """Make random textures."""
        return cls(
            noise_tile(rng, log_uniform(rng, 1.0, 3.0)),
            spot_tile(rng, log_uniform(rng, 0.8, 1.8), float(rng.uniform(0.05, 0.25))),
            noise_tile(rng, log_uniform(rng, 2.0, 6.0)),
        )


def add_cell(
    thickness: FloatArray, labels: NDArray[np.uint16], body: Body, build: Build, tiles: Tiles
) -> int:
    """Add a cell to the optical thickness and the labels; its area in the frame, pixels."""
    shown = rounded_up(body)
    edge = build.edge * (1 + 4 * (1 - body.focus))
    patch = patch_of(shown, thickness.shape, 3 * edge + 2, rod=False)
    if patch is None:
        return 0
    height = _flat_height(shown, patch, build, tiles, edge)
    if body.condensed > 0:
        round_share = np.float32(min(1.0, 1.3 * body.condensed))
        height *= 1 - round_share
        height += round_share * _round_height(shown, patch, build, tiles)
    thickness[patch.window] += np.float32(0.1 + 0.9 * body.focus) * height
    return paste_label(labels, shown, patch, patch.level)


def rounded_up(body: Body) -> Body:
    """Draw the arms in, as cells do before they divide or die."""
    shown = body.copy()
    flat = 1 - body.condensed
    shown.modes[:, 0] *= flat
    if len(shown.spikes):
        shown.spikes[:, 2] *= flat
    shown.radius = body.radius * (1 - 0.3 * body.condensed)
    shown.elongation = 1.15 + (body.elongation - 1.15) * flat
    return shown


def _flat_height(body: Body, patch: Patch, build: Build, tiles: Tiles, edge: float) -> FloatArray:
    far = body_distance(body, patch)
    mound = bump(far, build.hump_width)
    height = np.float32(build.lamella) + np.float32(build.hump * body.brightness) * mound
    grain = on_body(tiles.grain, body, patch)
    height *= 1 + np.float32(0.12) * grain
    near_nucleus = mound * np.float32(build.granules)
    height += near_nucleus * on_body(tiles.granules, body, patch, 31)
    if build.nucleus != 0:
        height += np.float32(build.nucleus) * nucleus_relief(far, body, patch, build, tiles)
    if build.ruffle > 0:
        folds = np.maximum(on_body(tiles.ruffles, body, patch, 67) + np.float32(0.4), 0)
        height += np.float32(build.ruffle) * bump(patch.level - np.float32(2), 1.8) * folds
    return height * soft_step(patch.level, edge)


def body_distance(body: Body, patch: Patch) -> FloatArray:
    """Distance from the nucleus in radii, along the ellipse of the body."""
    # The nucleus sits off the centre, differently in every cell.
    off_u = body.radius * ((body.texture[0] % 17) / 17 - 0.5) * 0.35
    off_v = body.radius * ((body.texture[1] % 13) / 13 - 0.5) * 0.35
    stretch = np.float32(np.sqrt(body.elongation))
    along = (patch.u - np.float32(off_u)) / (stretch * np.float32(body.radius))
    across = (patch.v - np.float32(off_v)) * stretch / np.float32(body.radius)
    return np.asarray(np.hypot(along, across), np.float32)


def nucleus_relief(
    far: FloatArray, body: Body, patch: Patch, build: Build, tiles: Tiles
) -> FloatArray:
    """Relief of a nucleus, about 0 to 2: lens, envelope and nucleoli."""
    inside = soft_step((np.float32(build.nucleus_width) - far) * np.float32(body.radius), 1.2)
    rim = bump((np.float32(build.nucleus_width) - far) * np.float32(body.radius), 1.3)
    nucleoli = on_body(tiles.ruffles, body, patch, 5) > 1.3
    return np.asarray(0.6 * inside + 0.7 * rim + 1.2 * inside * nucleoli, np.float32)


def _round_height(body: Body, patch: Patch, build: Build, tiles: Tiles) -> FloatArray:
    depth = np.clip(patch.level / np.float32(body.radius), 0, 1)
    ball = np.float32(build.rounded) * np.sqrt(depth * (2 - depth))
    return np.asarray(ball * (1 + np.float32(0.06) * on_body(tiles.ruffles, body, patch)))


# ------------------------------------------------------------------------------ debris


def scatter_specks(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Draw floating debris: (N, 6) y, x, their speeds, radius, thickness."""
    count = int(sometimes(rng, 16))
    table = np.empty((count, 6), np.float32)
    table[:, :2] = rng.uniform(0, 1, (count, 2)) * shape
    table[:, 2:4] = rng.normal(0, 1.0, (count, 2)) * (rng.random((count, 1)) < 0.4)
    table[:, 4] = rng.uniform(0.8, 3.5, count)
    table[:, 5] = rng.uniform(0.4, 3.0, count)
    return table


def add_specks(thickness: FloatArray, specks: FloatArray, index: int) -> None:
    """Add the debris of frame ``index`` to the optical thickness."""
    for y, x, dy, dx, radius, height in specks.tolist():
        dot = Body(0, y + dy * index, x + dx * index, radius)
        patch = patch_of(dot, thickness.shape, 3, rod=False)
        if patch is not None:
            thickness[patch.window] += np.float32(height) * soft_step(patch.level, 1.2)
