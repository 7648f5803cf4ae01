"""Fluorescent whole cells: spread with fans, long with processes, round; dim at their borders."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_sam2.training.synthetic.cells import random_habit, sometimes
from napari_sam2.training.synthetic.limbs import LimbRegister, LimbStyle, limbed_patch
from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch
from napari_sam2.training.synthetic.staging import (
    bump,
    drop_hidden,
    live,
    noise_tile,
    on_body,
    paste_label,
    soft_step,
    wide_blur,
)


@dataclass(frozen=True, slots=True)
class Stain:
    """Where the light of a cell comes from, relative to its middle.

    ``lamella`` is the brightness of the flat border; ``hump`` how far the thick middle reaches, in
    radii; ``nucleus`` what the nucleus adds (dark when negative) and ``nucleus_size`` its radius in
    radii; ``ruffle`` brightens the outline; ``grain`` and ``vesicles`` are contrasts.
    """

    lamella: float
    hump: float
    nucleus: float
    nucleus_size: float
    ruffle: float
    grain: float
    vesicles: float
    edge: float
    psf: float
    background: float
    clouds: float
    opaque: bool


def whole_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw fluorescent whole cells: spread, long with processes, or round and crawling.

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
    draw = (_spread, _long, _crawling)[int(rng.choice(3, p=(0.45, 0.35, 0.2)))]
    habit, style = draw(rng)
    stain = _random_stain(rng, habit)
    limbs = LimbRegister(rng, style)
    tiles = (noise_tile(rng, rng.uniform(1.2, 4)), noise_tile(rng, rng.uniform(1.0, 1.8)))
    lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 3)))
    clouds = np.maximum(smooth_noise(rng, shape, 0.08 * min(shape)), 0) * np.float32(stain.clouds)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        light, areas = clouds.copy(), {}
        for body in bodies:
            patch = limbed_patch(body, limbs.of(body), shape, 5 * stain.edge + 2)
            if patch is not None:
                _add_cell(light, body, patch, stain, tiles)
                areas[body.label] = paste_label(labels[index], body, patch, patch.level)
        drop_hidden(labels[index], areas)
        limbs.step()
        light = ndimage.gaussian_filter(light, stain.psf, truncate=3)
        signal[index] = light + 0.12 * wide_blur(light, 12) + np.float32(stain.background)
    return Scene(signal, labels, lives.lineage)


def _add_cell(
    light: FloatArray, body: Body, patch: Patch, stain: Stain, tiles: tuple[FloatArray, FloatArray]
) -> None:
    stretch = np.float32(body.elongation**0.4)
    far = np.hypot(patch.u / stretch, patch.v * stretch) * np.float32(1 / body.radius)
    far = np.asarray(far, np.float32)
    round_up = np.float32(body.condensed)
    inside = np.float32(stain.lamella) + np.float32(1 - stain.lamella) * bump(far, stain.hump)
    inside += round_up * (1 - inside)
    weave = np.maximum(1 + np.float32(stain.grain) * on_body(tiles[0], body, patch), 0.2)
    inside *= weave
    spots = np.maximum(on_body(tiles[1], body, patch, 31) - 1.2, 0)
    inside += np.float32(stain.vesicles) * spots * bump(far, 0.9)
    core = soft_step(np.float32(stain.nucleus_size) - far, 0.08) * weave
    inside *= 1 + np.float32(stain.nucleus) * (1 - round_up) * core
    inside += np.float32(stain.ruffle) * (1 - round_up) * bump(patch.level - 1.5, 2.0)
    blur = stain.edge * (1 + 4 * (1 - body.focus))
    cover = soft_step(patch.level, 2 * blur)
    gain = np.float32(body.brightness * (0.15 + 0.85 * body.focus))
    view = light[patch.window]
    if stain.opaque:
        view *= 1 - np.float32(0.8 * body.focus) * cover
    view += gain * cover * np.maximum(inside, 0.02)


def _random_stain(rng: np.random.Generator, habit: Habit) -> Stain:
    return Stain(
        lamella=float(rng.uniform(0.2, 0.75)),
        hump=float(rng.uniform(0.4, 1.1)),
        nucleus=float(rng.choice([rng.uniform(-0.7, -0.1), 0.0, rng.uniform(0.1, 0.9)])),
        nucleus_size=float(rng.uniform(0.25, 0.45)),
        ruffle=sometimes(rng, 0.35),
        grain=float(rng.uniform(0.03, 0.25)),
        vesicles=sometimes(rng, 0.6),
        edge=float(rng.uniform(0.5, 1.6)),
        psf=float(rng.uniform(0.6, 1.6)),
        background=float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.15, 0.6)])),
        clouds=sometimes(rng, 0.12),
        opaque=bool(rng.random() < 0.6),
    )


def _spread(rng: np.random.Generator) -> tuple[Habit, LimbStyle]:
    """Flat cells with broad fans and few short processes."""
    habit = random_habit(rng, (34, 100))
    habit = replace(
        habit,
        elongation=(1.0, float(rng.uniform(1.2, 2.4))),
        roughness=float(rng.uniform(0.04, 0.16)),
        lobed=sometimes(rng, 0.4),
        spikes=int(rng.integers(0, 4)),
        fill=min(habit.fill, 0.6),
        brightness_spread=float(rng.uniform(0.1, 0.6)),
    )
    return habit, LimbStyle((0, 3), (0.2, 0.9), (0.1, 0.35), False, float(rng.uniform(0.2, 0.8)))


def _long(rng: np.random.Generator) -> tuple[Habit, LimbStyle]:
    """Mesenchymal cells: spindles with processes at both ends, often as dim as the background."""
    habit = random_habit(rng, (18, 46))
    habit = replace(
        habit,
        elongation=(1.2, float(rng.uniform(1.8, 4.5))),
        roughness=float(rng.uniform(0.02, 0.12)),
        bend=sometimes(rng, 0.06),
        fill=min(habit.fill, 0.35),
        clustering=min(habit.clustering, 0.5),
        brightness_spread=float(rng.uniform(0.1, 1.0)),
    )
    most = float(rng.uniform(1.2, 3.6))
    return habit, LimbStyle((2, 4), (0.4, most), (0.15, 0.45), True, float(rng.uniform(0.1, 0.6)))


def _crawling(rng: np.random.Generator) -> tuple[Habit, LimbStyle]:
    """Small round cells that crawl fast with changing lobes."""
    habit = random_habit(rng, (16, 44))
    habit = replace(
        habit,
        speed=float(rng.uniform(0.05, 0.4)),
        roughness=float(rng.uniform(0.05, 0.15)),
        wobble=float(rng.uniform(0.1, 0.4)),
        elongation=(1.0, 1.6),
    )
    return habit, LimbStyle((0, 2), (0.2, 0.8), (0.2, 0.5), False, float(rng.uniform(0.5, 1.2)))
