"""Fluorescent sheets: membranes (bright outlines, dark inside), and cytoplasm with nuclei."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.cells import random_habit, sometimes
from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene
from napari_sam2.training.synthetic.shapes import Body, FloatArray
from napari_sam2.training.synthetic.sheet import Sheet, lay_sheet
from napari_sam2.training.synthetic.staging import (
    bump,
    drop_hidden,
    live,
    noise_tile,
    on_body,
    soft_step,
    wide_blur,
)


@dataclass(frozen=True, slots=True)
class Dye:
    """Where the light of a sheet comes from.

    ``membrane`` and ``width`` (pixels) are of the outlines, ``patchy`` their unevenness;
    ``inside`` of the cytoplasm, which is dim within ``rim`` pixels of the border; ``nucleus`` is
    added in the nucleus (dark when negative), whose radius is ``nucleus_size`` radii.
    """

    membrane: float
    width: float
    patchy: float
    inside: float
    rim: float
    nucleus: float
    nucleus_size: float
    grain: float
    psf: float
    background: float
    tilt: float


def membranes_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw a sheet by its membranes; cells change neighbours, round up, divide and are extruded.

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
    dye = Dye(
        membrane=float(rng.uniform(0.6, 1.0)),
        width=float(rng.uniform(0.9, 2.6)),
        patchy=float(rng.uniform(0.05, 0.6)),
        inside=sometimes(rng, 0.25),
        rim=2.0,
        nucleus=sometimes(rng, 0.3),
        nucleus_size=float(rng.uniform(0.3, 0.55)),
        grain=float(rng.uniform(0.05, 0.4)),
        psf=float(rng.uniform(0.5, 1.4)),
        background=float(rng.uniform(0.0, 0.25)),
        tilt=sometimes(rng, 1.0),
    )
    return _sheet_scene(rng, frames, shape, dye)


def sheet_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw a sheet by its cytoplasm and nuclei; parameters as of `membranes_scene`."""
    dye = Dye(
        membrane=sometimes(rng, 0.3),
        width=float(rng.uniform(0.8, 2.0)),
        patchy=0.2,
        inside=float(rng.uniform(0.35, 0.8)),
        rim=float(rng.uniform(3.0, 9.0)),
        nucleus=float(rng.choice([rng.uniform(-0.7, -0.3), rng.uniform(0.3, 1.0)])),
        nucleus_size=float(rng.uniform(0.35, 0.6)),
        grain=float(rng.uniform(0.05, 0.35)),
        psf=float(rng.uniform(0.6, 1.6)),
        background=float(rng.uniform(0.0, 0.3)),
        tilt=0.0,
    )
    return _sheet_scene(rng, frames, shape, dye)


def _sheet_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int], dye: Dye) -> Scene:
    habit = _habit(rng)
    # A full sheet, or one with holes and a front.
    reach = float(rng.choice([2.2, rng.uniform(1.2, 1.7)]))
    ragged = noise_tile(rng, rng.uniform(4, 12)) * np.float32(rng.uniform(0, 0.05))
    tile = noise_tile(rng, rng.uniform(1.2, 4))
    patchy = np.maximum(1 + np.float32(dye.patchy) * smooth_noise(rng, shape, 3), 0.05)
    sharp = 1 / (1 + np.exp(2 * smooth_noise(rng, shape, 0.2 * min(shape)) * dye.tilt))
    sharp = sharp.astype(np.float32) if dye.tilt > 0 else np.ones(shape, np.float32)
    lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 4)))
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        sheet = lay_sheet(bodies, shape, reach, ragged)
        labels[index] = sheet.labels
        drop_hidden(labels[index], {})
        light = _light(sheet, bodies, dye, tile)
        ridge = bump(sheet.border, dye.width) * (sheet.labels > 0)
        light += np.float32(dye.membrane) * ridge * patchy
        light = ndimage.gaussian_filter(light, dye.psf, truncate=3)
        soft = wide_blur(light, 5.0)
        signal[index] = soft + sharp * (light - soft) + np.float32(dye.background)
    return Scene(signal, labels, lives.lineage)


def _light(sheet: Sheet, bodies: list[Body], dye: Dye, tile: FloatArray) -> FloatArray:
    """Light of the cytoplasm and the nuclei, (Y, X)."""
    light = np.zeros(sheet.labels.shape, np.float32)
    for body in bodies:
        patch = sheet.patches.get(body.label)
        if patch is None:
            continue
        mine: NDArray[np.bool_] = sheet.labels[patch.window] == body.label
        border = sheet.border[patch.window]
        far = np.asarray(np.hypot(patch.u, patch.v) / np.float32(body.radius), np.float32)
        weave = np.maximum(1 + np.float32(dye.grain) * on_body(tile, body, patch), 0.1)
        rise = np.float32(0.12) + np.float32(0.88) * np.tanh(border / np.float32(dye.rim))
        glow = np.float32(dye.inside * body.brightness) * weave * rise
        core = soft_step((dye.nucleus_size - far) * np.float32(body.radius), 2.0) * weave
        strength = dye.nucleus * (1.0 if dye.nucleus > 0 else dye.inside * body.brightness)
        calm = 1 - 0.9 * body.condensed if dye.nucleus < 0 else 1 + 0.5 * body.condensed
        glow += np.float32(0.6 * strength * calm) * core
        glow *= np.float32(1 + 0.5 * body.condensed)
        light[patch.window][mine] += np.maximum(glow, 0)[mine]
    return light


def _habit(rng: np.random.Generator) -> Habit:
    habit = random_habit(rng, (20, 80))
    return replace(
        habit,
        size_spread=float(rng.uniform(0.05, 0.25)),
        elongation=(1.0, float(rng.uniform(1.1, 1.8))),
        fill=float(rng.uniform(0.7, 1.1)),
        clustering=0.0,
        overlap=float(rng.uniform(0.0, 0.15)),
        speed=float(np.exp(rng.uniform(np.log(0.01), np.log(0.08)))),
        bursts=0.0,
        defocus_rate=0.0,
        arrivals=0.0,
        death_rate=float(rng.uniform(0, 0.02)),
        brightness_spread=float(rng.uniform(0.05, 0.5)),
    )
