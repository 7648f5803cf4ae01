"""Bacteria: rods that grow, divide by septation and push each other, in phase or fluorescence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.colony import Colony, Growth, Rods
from napari_sam2.training.synthetic.phase import Ring, phase_image
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import FloatArray
from napari_sam2.training.synthetic.staging import (
    SMALLEST_SLIVER,
    VISIBLE_FOCUS,
    bump,
    drop_hidden,
    log_uniform,
    noise_tile,
    soft_step,
    sometimes,
)
from napari_sam2.training.synthetic.thickness import add_specks, scatter_specks

Stain = Literal["phase", "cytoplasm", "membrane", "nucleoid"]

#: A rod is no longer constricted than this many radii from its middle.
_SEPTUM_WIDTH = 0.8
#: More rods than this do not grow on: the field is full.
_MOST_RODS = 170


@dataclass(frozen=True, slots=True)
class Dye:
    """What is seen of a rod, how deep it constricts, and its texture."""

    stain: Stain
    pinch: float
    texture: float
    background: float
    glow: float
    tile: FloatArray


def rods_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a movie of growing bacteria, in phase contrast or fluorescence.

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
    growth = _random_growth(rng)
    colony = _grown_colony(rng, shape, growth)
    dye = _random_dye(rng)
    ring = _random_ring(rng, growth.radius)
    specks = scatter_specks(rng, shape)
    walls = _walls(shape, growth)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index in range(frames):
        glow, labels[index] = draw_rods(colony.rods, shape, dye)
        if dye.stain == "phase":
            add_specks(glow, specks, index)
            signal[index] = phase_image(glow + walls, ring)
        else:
            signal[index] = _fluorescence(glow, dye, ring)
        if len(colony.rods) > _MOST_RODS:
            colony.rods.rate[:] = 0
        colony.step()
    labels, lineage = number_from_one(labels, colony.lineage)
    return Scene(signal, labels, lineage)


# ---------------------------------------------------------------------- random parameters


def _random_growth(rng: np.random.Generator) -> Growth:
    radius = log_uniform(rng, 6, 16) / 2
    channels = bool(rng.random() < 0.12)
    swims = bool(rng.random() < 0.15) and not channels
    length = radius * log_uniform(rng, 3.0, 10.0)
    return Growth(
        radius=radius,
        division_length=length,
        rate=float(np.log(2) / log_uniform(rng, 5, 45)),
        rate_spread=float(rng.uniform(0.05, 0.35)),
        filaments=sometimes(rng, 0.12),
        bend=float(rng.uniform(0, 0.12)) / length,
        jiggle=log_uniform(rng, 0.05, 0.6),
        swim=float(rng.uniform(1, 5)) if swims else 0.0,
        turning=log_uniform(rng, 0.005, 0.05) * (4 if swims else 1),
        flow=(0.0, 0.0) if rng.random() < 0.7 else tuple(rng.normal(0, 1.5, 2).tolist()),
        death_rate=sometimes(rng, 0.012),
        fade_rate=sometimes(rng, 0.02),
        channel=radius * float(rng.uniform(4.0, 9.0)) if channels else 0.0,
    )


def _grown_colony(rng: np.random.Generator, shape: tuple[int, int], growth: Growth) -> Colony:
    """Found a few microcolonies, or a full field, and let them grow to what the movie begins with.

    Each doubling takes ten steps, whatever the rate of the movie is.
    """
    room = shape[0] * shape[1] / (1.5 * growth.radius * growth.division_length)
    wanted = int(np.clip(room * log_uniform(rng, 0.04, 0.8), 2, 0.6 * _MOST_RODS))
    founders = max(2, int(wanted / 2 ** rng.uniform(0, 4.5)))
    colony = Colony.found(rng, shape, growth, founders)
    colony.push_apart(30)
    quick = Growth(**{
        **{name: getattr(growth, name) for name in growth.__slots__},
        "rate": float(np.log(2) / 10), "swim": 0.0, "flow": (0.0, 0.0), "fade_rate": 0.0,
        "death_rate": 0.0,
    })  # fmt: skip
    colony.growth = quick
    colony.rods.rate[:] *= quick.rate / growth.rate
    for _ in range(60):
        if len(colony.rods) >= wanted or (growth.channel and len(colony.rods) > _MOST_RODS / 2):
            break
        colony.step(iterations=8)
    colony.growth = growth
    colony.rods.rate[:] *= growth.rate / quick.rate
    colony.push_apart(20)
    return colony


def _random_dye(rng: np.random.Generator) -> Dye:
    kinds: tuple[Stain, ...] = ("phase", "cytoplasm", "membrane", "nucleoid")
    return Dye(
        stain=kinds[int(rng.choice(4, p=(0.5, 0.28, 0.14, 0.08)))],
        pinch=float(rng.uniform(0.25, 0.75)),
        texture=float(rng.uniform(0, 0.3)),
        background=float(rng.uniform(0.02, 0.3)),
        glow=float(rng.uniform(0, 0.3)),
        tile=noise_tile(rng, log_uniform(rng, 1.2, 4.0)),
    )


def _random_ring(rng: np.random.Generator, radius: float) -> Ring:
    return Ring(
        halo=float(rng.uniform(0.5, 1.0)),
        spread=float(rng.uniform(0.6, 1.5)) * radius,
        gain=float(rng.uniform(0.15, 0.4)),
        negative=bool(rng.random() < 0.05),
        psf=float(rng.uniform(0.5, 0.35 * radius)),
    )


def _walls(shape: tuple[int, int], growth: Growth) -> FloatArray:
    """Optical thickness of the walls of growth channels; 0 without channels."""
    walls = np.zeros(shape, np.float32)
    if growth.channel:
        x = np.arange(shape[1], dtype=np.float32)
        off_centre = np.abs((x % np.float32(growth.channel)) - np.float32(growth.channel / 2))
        profile = soft_step(off_centre - np.float32(1.4 * growth.radius), 1.0)
        walls[:] = -0.35 * profile
        walls[: int(shape[0] / 16 - 0.3 * growth.radius)] = -0.35
    return walls


# ------------------------------------------------------------------------------- drawing


def draw_rods(
    rods: Rods, shape: tuple[int, int], dye: Dye
) -> tuple[FloatArray, NDArray[np.uint16]]:
    """Draw rods: what they add to the image, float32, and labels, uint16, both (Y, X)."""
    image = np.zeros(shape, np.float32)
    deepest = np.zeros(shape, np.float32)
    labels = np.zeros(shape, np.uint16)
    areas: dict[int, int] = {}
    for row in range(len(rods)):
        window, level, along = _rod_level(rods, row, shape, dye.pinch)
        if level.size == 0:
            continue
        radius = float(rods.radius[row])
        # A rod may be longer than the tile, which continues itself.
        tile = np.take(dye.tile, range(level.shape[0]), 0, mode="wrap")
        tile = np.take(tile, range(level.shape[1]), 1, mode="wrap")
        shade = _shade(level, along, radius, dye) * (1 + np.float32(dye.texture) * tile)
        shade *= np.float32(rods.brightness[row] * (0.1 + 0.9 * rods.focus[row]))
        np.maximum(image[window], shade, out=image[window])
        label = int(rods.label[row])
        areas[label] = int(np.count_nonzero(level > 0))
        if rods.focus[row] > VISIBLE_FOCUS and rods.brightness[row] > VISIBLE_FOCUS:
            mine = level > deepest[window]
            labels[window][mine] = label
            deepest[window][mine] = level[mine]
    drop_hidden(labels, {label: max(area, SMALLEST_SLIVER) for label, area in areas.items()})
    return image, labels


def _rod_level(
    rods: Rods, row: int, shape: tuple[int, int], pinch: float
) -> tuple[tuple[slice, slice], FloatArray, FloatArray]:
    """Window of a rod in the frame, its level (positive inside, pixels) and the place along it."""
    y, x, half, radius = (float(getattr(rods, n)[row]) for n in ("y", "x", "half", "radius"))
    cos, sin = float(np.cos(rods.angle[row])), float(np.sin(rods.angle[row]))
    bend = float(rods.bend[row])
    spread = radius + 2.5 + 0.7 * abs(bend) * half * half
    reach_y, reach_x = abs(sin) * half + spread, abs(cos) * half + spread
    y0, y1 = max(int(y - reach_y), 0), min(int(y + reach_y) + 2, shape[0])
    x0, x1 = max(int(x - reach_x), 0), min(int(x + reach_x) + 2, shape[1])
    window = (slice(y0, max(y1, y0)), slice(x0, max(x1, x0)))
    dy = (np.arange(y0, max(y1, y0), dtype=np.float32) - np.float32(y))[:, None]
    dx = (np.arange(x0, max(x1, x0), dtype=np.float32) - np.float32(x))[None, :]
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    on_axis = np.clip(along, -half, half)
    aside = across - np.float32(bend) * (on_axis**2 - half * half / 3)
    aside = aside / np.sqrt(1 + (2 * bend * on_axis) ** 2)
    ripe = np.clip((2 * half / float(rods.divides_at[row]) - 0.8) / 0.2, 0, 1)
    waist = 1 - np.float32(pinch * ripe) * bump(along, _SEPTUM_WIDTH * radius)
    level = np.float32(radius) * waist - np.hypot(along - on_axis, aside)
    return window, np.asarray(level, np.float32), np.asarray(along, np.float32)


def _shade(level: FloatArray, along: FloatArray, radius: float, dye: Dye) -> FloatArray:
    edge = soft_step(level, 0.8)
    if dye.stain == "membrane":
        return np.asarray(0.15 * edge + bump(level - np.float32(0.8), 1.1), np.float32)
    depth = np.clip(level / np.float32(radius), 0, 1)
    round_profile = np.sqrt(depth * (2 - depth))
    if dye.stain == "phase":
        return np.asarray(1.3 * round_profile, np.float32)
    if dye.stain == "nucleoid":
        lobes = 0.5 + 0.5 * np.cos(along * np.float32(np.pi / (1.6 * radius)))
        return np.asarray(0.2 * edge + soft_step(depth - np.float32(0.45), 0.3) * lobes, np.float32)
    return np.asarray(0.9 * round_profile, np.float32)


def _fluorescence(glow: FloatArray, dye: Dye, ring: Ring) -> FloatArray:
    sharp = ndimage.gaussian_filter(glow, max(ring.psf, 0.6), truncate=3)
    haze = ndimage.gaussian_filter(glow, 3 * ring.spread, truncate=2)
    lit = np.float32(1 - dye.background) * sharp + np.float32(dye.glow) * haze
    return np.asarray(np.float32(dye.background) + np.float32(0.7) * lit, np.float32)
