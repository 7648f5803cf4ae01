"""Stacks of slices: neurites under the electron microscope, and organelles as objects.

The first axis is depth.  An object has one connected profile on a slice at most: what a tube has
beside its largest profile is seen but not labelled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_sam2.training.synthetic.micrograph import photograph_tissue
from napari_sam2.training.synthetic.neuropil import Doubles, Packing, cut, pack
from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import Body, FloatArray, patch_of
from napari_sam2.training.synthetic.staging import (
    bump,
    drop_hidden,
    log_uniform,
    on_body,
    paste_label,
    soft_step,
    sometimes,
)
from napari_sam2.training.synthetic.thickness import Tiles


def neurites_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a stack through packed neurites; the profiles of neurites are the objects.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    frames : int
        Number of slices.
    shape : tuple of int
        Height and width in pixels.

    Returns
    -------
    Scene
        Signal and labels; there is no lineage.
    """
    largest = log_uniform(rng, 14, 60)
    packing = _random_packing(rng, (float(rng.uniform(4, 8)), largest))
    signal, neurites, _ = photograph_tissue(rng, frames, shape, packing)
    labels, _ = number_from_one(neurites, {})
    return Scene(signal, labels)


def _random_packing(rng: np.random.Generator, radii: tuple[float, float]) -> Packing:
    return Packing(
        radii=radii,
        fill=float(rng.uniform(0.85, 1.3)),
        lumpiness=float(rng.uniform(0.2, 3.5)),
        speed=log_uniform(rng, 0.3, 3.5),
        persistence=float(rng.uniform(0.6, 0.98)),
        ends=float(rng.uniform(0.05, 0.25)),
        branches=float(rng.uniform(0, 0.15)),
        swelling=float(rng.uniform(0.02, 0.2)),
        ripple=float(rng.uniform(0.5, 3.5)),
        ripple_scale=log_uniform(rng, 4, 14),
        most=220,
    )


def organelles_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a stack of organelles: mitochondria in electron micrographs, glowing tubes or balls.

    Balls are nuclei, vesicles or droplets that begin, swell, shrink and end along the depth; tubes
    are mitochondria, axons or vessels that wander and branch.
    Parameters and result are those of `neurites_scene`.
    """
    draw = rng.random()
    if draw < 0.15:
        return _glowing_tubes(rng, frames, shape)
    if draw < 0.55:
        packing = _random_packing(rng, (float(rng.uniform(12, 20)), log_uniform(rng, 30, 90)))
        signal, _, mitochondria = photograph_tissue(rng, frames, shape, packing)
        labels, _ = number_from_one(mitochondria, {})
        return Scene(signal, labels)
    return _glowing_balls(rng, frames, shape)


def _glowing_tubes(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    packing = replace(
        _random_packing(rng, (float(rng.uniform(5, 8)), log_uniform(rng, 9, 40))),
        fill=log_uniform(rng, 0.06, 0.5),
        ends=float(rng.uniform(0.1, 0.4)),
    )
    glow = _random_glow(rng, step=float(rng.uniform(2, 6)))
    tubes = pack(rng, frames, shape, packing)
    shine = np.exp(rng.normal(0, 0.35, int(tubes.tube.max()) + 1)).astype(np.float32)
    grain = 1 + glow.texture * smooth_noise(rng, shape, log_uniform(rng, 1, 4))
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, piece in enumerate(cut(tubes, shape)):
        level = np.minimum(piece.level, 0.5 * piece.lead - 0.7)
        shade = 1 - np.float32(glow.hollow) * soft_step(level - np.float32(2.5), 2)
        lit = 0.6 * shine[piece.owner] * shade * soft_step(level, 0.8)
        signal[index] = lit * np.roll(grain, 7 * index, axis=index % 2)
        labels[index] = np.where(level > 0, piece.owner, 0)
        drop_hidden(labels[index], {})
    number_labels, _ = number_from_one(labels, {})
    return Scene(_seen_through(rng, signal, glow), number_labels)


# -------------------------------------------------------------------------------- balls


@dataclass(frozen=True, slots=True)
class Glow:
    """How balls shine: ``hollow`` ones at their surface; lengths in pixels, ``depth`` in slices."""

    hollow: float
    texture: float
    background: float
    haze: float
    psf: float
    depth: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Balls:
    """Ellipsoids: (N, 3) centres z, y, x in pixels of the slices, (N,) radii, and their look."""

    centre: Doubles
    radius: Doubles
    flat: Doubles
    bodies: list[Body]


def _random_glow(rng: np.random.Generator, step: float) -> Glow:
    return Glow(
        hollow=float(rng.uniform(0.5, 0.95)) if rng.random() < 0.3 else 0.0,
        texture=float(rng.uniform(0.05, 0.5)),
        background=float(rng.uniform(0.03, 0.3)),
        haze=sometimes(rng, 0.4),
        psf=float(rng.uniform(0.6, 2.0)),
        depth=float(np.clip(log_uniform(rng, 1.5, 6) / step, 0.1, 1.3)),
        overlap=float(rng.uniform(-0.1, 0.1)),
    )


def _glowing_balls(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    diameter = log_uniform(rng, 14, 90)
    step = diameter / log_uniform(rng, 4, 20)
    glow = _random_glow(rng, step)
    balls = _scatter(rng, diameter, step * frames, shape, glow.overlap)
    tiles = Tiles.draw(rng)
    signal = np.zeros((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index in range(frames):
        areas = {}
        for row, body in enumerate(balls.bodies):
            away = float(balls.centre[row, 0] - index * step)
            share = 1 - (away / (balls.flat[row] * balls.radius[row])) ** 2
            if share <= 0:
                continue
            shown = body.copy()
            shown.radius = float(balls.radius[row] * np.sqrt(share))
            areas[shown.label] = _add_ball(
                signal[index], labels[index], shown, (glow, tiles, index)
            )
        drop_hidden(labels[index], areas)
    number_labels, _ = number_from_one(labels, {})
    return Scene(_seen_through(rng, signal, glow), number_labels)


def _scatter(
    rng: np.random.Generator, diameter: float, depth: float, shape: tuple[int, int], overlap: float
) -> Balls:
    """Place ellipsoids at random in a box somewhat larger than the stack and push them apart."""
    margin = 0.6 * diameter
    box = np.array([depth, *shape]) + 2 * margin
    fill = float(rng.uniform(0.06, 0.6))
    count = int(np.clip(fill * box.prod() / (np.pi / 6 * diameter**3), 3, 220))
    gathered = rng.random(count) < sometimes(rng, 0.9)
    centre = rng.uniform(0, 1, (count, 3)) * box
    centre = np.where(gathered[:, None], 0.5 * box + rng.normal(0, 0.18, (count, 3)) * box, centre)
    radius = diameter / 2 * np.exp(rng.normal(0, float(rng.uniform(0.03, 0.3)), count))
    for _ in range(25):
        apart = centre[:, None] - centre[None]
        distance = np.sqrt((apart**2).sum(-1)) + 1e-3
        push = np.maximum((radius[:, None] + radius[None]) * (1 - overlap) - distance, 0)
        np.fill_diagonal(push, 0)
        centre = centre + 0.35 * ((push / distance)[..., None] * apart).sum(1)
    centre = centre - margin
    longest = float(rng.uniform(1.05, 1.7))
    waves = rng.normal(0, 0.04, (count, 4)) / np.arange(1, 5)
    bodies = [
        Body(
            label=row + 1,
            y=float(centre[row, 1]),
            x=float(centre[row, 2]),
            radius=float(radius[row]),
            elongation=float(rng.uniform(1, longest)),
            angle=float(rng.uniform(0, np.pi)),
            modes=np.stack([waves[row], rng.uniform(0, 2 * np.pi, 4)], 1),
            brightness=float(np.exp(rng.normal(0, 0.25))),
            depth=float(rng.random()),
            texture=(int(rng.integers(256)), int(rng.integers(256))),
        )
        for row in range(count)
    ]
    return Balls(centre, radius, rng.uniform(0.8, 1.2, count), bodies)


def _add_ball(
    signal: FloatArray, labels: np.ndarray, body: Body, make: tuple[Glow, Tiles, int]
) -> int:
    glow, tiles, index = make
    patch = patch_of(body, signal.shape, 4, rod=False)
    if patch is None:
        return 0
    shade = 1 + np.float32(glow.texture) * on_body(tiles.ruffles, body, patch, index)
    shade *= 1 - np.float32(glow.hollow) * soft_step(patch.level - np.float32(3), 2)
    shade *= 1 + np.float32(0.5 * glow.hollow) * bump(patch.level - np.float32(1.5), 1.5)
    lit = np.float32(0.6 * body.brightness) * np.maximum(shade, 0.05) * soft_step(patch.level, 0.8)
    np.maximum(signal[patch.window], lit, out=signal[patch.window])
    return paste_label(labels, body, patch, patch.level)


def _seen_through(rng: np.random.Generator, signal: FloatArray, glow: Glow) -> FloatArray:
    """Blur in all three directions, with haze of what lies above and below."""
    blurred = ndimage.gaussian_filter(signal, (glow.depth, glow.psf, glow.psf), truncate=3)
    if glow.haze:
        haze = ndimage.gaussian_filter1d(signal, 3, axis=0)
        for index in range(len(signal)):
            blurred[index] += np.float32(glow.haze) * ndimage.gaussian_filter(
                haze[index], 6, truncate=2
            )
    cloud = 1 + 0.2 * smooth_noise(rng, signal.shape[1:], 0.1 * signal.shape[1])
    return np.asarray(glow.background * cloud + blurred, np.float32)
