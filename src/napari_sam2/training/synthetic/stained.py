"""Stained tissue in grey: dark nuclei in fibrous surroundings, as in sections of an organ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import Body, FloatArray, patch_of
from napari_sam2.training.synthetic.staging import (
    bump,
    drop_hidden,
    live,
    log_uniform,
    on_body,
    paste_label,
    soft_step,
    sometimes,
)
from napari_sam2.training.synthetic.thickness import Tiles


@dataclass(frozen=True, slots=True)
class Stain:
    """How much light the parts absorb (exponents), and the point spread in pixels."""

    nucleus: float
    chromatin: float
    envelope: float
    matrix: float
    fibres: float
    softness: float
    blur: float


def stained_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make serial sections of stained tissue, or a slowly moving one; see `brightfield_scene`."""
    habit = Habit(
        diameter=log_uniform(rng, 12, 48),
        size_spread=float(rng.uniform(0.1, 0.3)),
        elongation=(1.0, float(rng.uniform(1.2, 3.5))),
        roughness=float(rng.uniform(0.02, 0.1)),
        wobble=float(rng.uniform(0.02, 0.2)),
        speed=log_uniform(rng, 0.01, 0.1),
        turning=float(rng.uniform(0, 0.08)),
        fill=float(rng.uniform(0.15, 0.55)),
        clustering=float(rng.uniform(0, 0.7)),
        overlap=float(rng.uniform(-0.1, 0.2)),
        division_rate=0.002,
        death_rate=float(rng.uniform(0, 0.01)),
        defocus_rate=float(rng.uniform(0, 0.03)),
        brightness_spread=float(rng.uniform(0.05, 0.3)),
    )
    stain = Stain(
        nucleus=float(rng.uniform(0.35, 1.3)),
        chromatin=float(rng.uniform(0.1, 0.6)),
        envelope=sometimes(rng, 0.5),
        matrix=float(rng.uniform(0.1, 0.5)),
        fibres=float(rng.uniform(0.05, 0.3)),
        softness=float(rng.uniform(0.7, 2.0)),
        blur=float(rng.uniform(0.4, 1.2)),
    )
    tiles = Tiles.draw(rng)
    lives = live(rng, frames, shape, habit)
    surroundings = _surroundings(rng, shape, stain)
    drift = rng.normal(0, 0.15, 2) * habit.diameter * float(rng.random() < 0.5)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        # The surroundings change as one cuts on: two fields that slide past each other.
        rows, columns = (np.rint(drift * index)).astype(int)
        absorption = np.roll(surroundings[0], (rows, columns), (0, 1))
        absorption += np.roll(surroundings[1], (-columns, rows), (0, 1))
        areas = {
            body.label: _add_nucleus(absorption, labels[index], body, stain, tiles)
            for body in bodies
        }
        drop_hidden(labels[index], areas)
        light = np.exp(-ndimage.gaussian_filter(absorption, stain.blur, truncate=3))
        signal[index] = np.float32(0.95) * light
    labels, lineage = number_from_one(labels, lives.lineage)
    return Scene(signal, labels, lineage)


def _surroundings(
    rng: np.random.Generator, shape: tuple[int, int], stain: Stain
) -> tuple[FloatArray, FloatArray]:
    """Two fields (Y, X) of absorption: cytoplasm with holes, and bundles of fibres."""
    clouds = 0.5 + 0.5 * np.tanh(smooth_noise(rng, shape, log_uniform(rng, 8, 40)) + 0.7)
    grain = 1 + 0.25 * smooth_noise(rng, shape, log_uniform(rng, 1, 3))
    angle = float(rng.uniform(-45, 45))
    side = int(1.5 * max(shape))
    streaks = rng.standard_normal((side, side), dtype=np.float32)
    streaks = ndimage.gaussian_filter(streaks, (float(rng.uniform(1, 3)), 14), mode="wrap")
    streaks = ndimage.rotate(streaks, angle, reshape=False, order=1, mode="wrap")
    y0, x0 = (side - shape[0]) // 2, (side - shape[1]) // 2
    streaks = streaks[y0 : y0 + shape[0], x0 : x0 + shape[1]]
    fibres = np.maximum(streaks / max(float(streaks.std()), 1e-6), 0) * clouds
    matrix = np.maximum(np.float32(stain.matrix) * clouds * grain, 0)
    return np.asarray(matrix, np.float32), np.asarray(stain.fibres * fibres, np.float32)


def _add_nucleus(
    absorption: FloatArray,
    labels: NDArray[np.uint16],
    body: Body,
    stain: Stain,
    tiles: Tiles,
) -> int:
    patch = patch_of(body, absorption.shape, 6, rod=False)
    if patch is None:
        return 0
    cover = soft_step(patch.level, stain.softness * (1 + 3 * (1 - body.focus)))
    dense = 1 + np.float32(stain.chromatin) * on_body(tiles.grain, body, patch)
    dense += np.float32(0.6 * stain.chromatin) * on_body(tiles.granules, body, patch, 31)
    dense += np.float32(stain.envelope) * bump(patch.level - np.float32(1.2), 1.4)
    strength = stain.nucleus * body.brightness * (0.1 + 0.9 * body.focus)
    view = absorption[patch.window]
    view *= 1 - np.float32(0.7 * body.focus) * cover
    view += np.float32(strength * (1 + 0.6 * body.condensed)) * cover * np.maximum(dense, 0.1)
    return paste_label(labels, body, patch, patch.level)
