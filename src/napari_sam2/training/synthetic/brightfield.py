"""Bright field: round cells as lenses out of focus, budding yeast, eggs, and stained tissue.

A scene is a field of complex transmission (absorption and phase); defocus is its propagation over
a distance, which makes the bright and dark rings of real images, whichever way the focus is off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of
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
from napari_sam2.training.synthetic.stained import stained_scene
from napari_sam2.training.synthetic.thickness import Tiles, add_specks, scatter_specks
from napari_sam2.training.synthetic.yeast import Budding, YeastField

#: Pixels of mirrored border that keep rings from wrapping around the frame.
_PAD = 16


@dataclass(frozen=True, slots=True)
class Lens:
    """What a round cell does to light: phase in radians, absorption as a share.

    ``shell`` is a wall of its own thickness; ``vacuole`` the share of the radius of a watery hole;
    ``granules`` the contrast of what floats in the cell.
    """

    phase: float
    shell: float
    shell_width: float
    granules: float
    grain: float
    vacuole: float
    absorption: float
    edge: float


@dataclass(frozen=True, slots=True)
class Focus:
    """The microscope: ``defocus`` in squared pixels, its sway per frame, ring damping, contrast."""

    defocus: float
    sway: float
    damping: float
    blur: float
    contrast: float


def brightfield_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a bright field movie: cells in suspension, yeast, eggs, or stained nuclei in tissue.

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
    style = int(rng.choice(4, p=(0.4, 0.25, 0.15, 0.2)))
    if style == 3:
        return stained_scene(rng, frames, shape)
    lineage: dict[int, int] = {}
    if style == 1:
        diameter, cast = _yeast(rng, frames, shape)
    else:
        habit = (_suspension if style == 0 else _eggs)(rng)
        lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 3)))
        diameter, cast, lineage = habit.diameter, lives.frames, lives.lineage
    lens, focus = _random_lens(rng, style), _random_focus(rng, diameter)
    return _photograph(rng, cast, lineage, (lens, focus), shape)


def _photograph(
    rng: np.random.Generator,
    cast: Sequence[Sequence[Body]],
    lineage: dict[int, int],
    optics: tuple[Lens, Focus],
    shape: tuple[int, int],
) -> Scene:
    lens, focus = optics
    tiles = Tiles.draw(rng)
    specks = scatter_specks(rng, shape)
    backdrop = _backdrop(rng, shape)
    sway = np.cumsum(rng.normal(0, focus.sway, len(cast)))
    signal = np.empty((len(cast), *shape), np.float32)
    labels = np.zeros((len(cast), *shape), np.uint16)
    for index, bodies in enumerate(cast):
        phase, absorption = backdrop.copy(), np.zeros(shape, np.float32)
        areas = {
            body.label: _add_lens(phase, absorption, labels[index], body, (lens, tiles))
            for body in bodies
        }
        drop_hidden(labels[index], areas)
        add_specks(phase, specks, index)
        seen = propagate(phase, absorption, focus.defocus + float(sway[index]), focus)
        signal[index] = 0.55 + 0.45 * np.tanh(np.float32(focus.contrast) * (seen - 1))
    labels, lineage = number_from_one(labels, lineage)
    return Scene(signal, labels, lineage)


def propagate(
    phase: FloatArray, absorption: FloatArray, defocus: float, focus: Focus
) -> FloatArray:
    """Intensity, 1 where there is nothing, of a transmission seen out of focus.

    Parameters
    ----------
    phase, absorption : numpy.ndarray
        (Y, X) float32, radians and exponent.
    defocus : float
        Distance times wavelength, in squared pixels; its sign is the side of the focal plane.
    focus : Focus
        Damping and blur.
    """
    field = np.exp(-0.5 * absorption + 1j * phase).astype(np.complex64)
    field = np.pad(field, _PAD, mode="reflect")
    fy = fft.fftfreq(field.shape[0]).astype(np.float32)[:, None]
    fx = fft.fftfreq(field.shape[1]).astype(np.float32)[None, :]
    squared = fy * fy + fx * fx
    # A source of some extent and an aperture of some width wash out the outer rings.
    damped = (focus.damping * defocus) ** 2 + focus.blur**2
    kernel = np.exp(-squared * np.float32(2 * np.pi**2 * damped / 2))
    spread = kernel * np.exp(-1j * np.pi * np.float32(defocus) * squared)
    seen = fft.ifft2(fft.fft2(field) * spread.astype(np.complex64))
    return np.asarray(np.abs(seen[_PAD:-_PAD, _PAD:-_PAD]) ** 2, np.float32)


# ----------------------------------------------------------------------- kinds of cells


def _suspension(rng: np.random.Generator) -> Habit:
    return Habit(
        diameter=log_uniform(rng, 13, 70),
        size_spread=float(rng.uniform(0.03, 0.25)),
        elongation=(1.0, float(rng.uniform(1.02, 1.5))),
        roughness=float(rng.uniform(0.005, 0.08)),
        wobble=float(rng.uniform(0.02, 0.3)),
        speed=log_uniform(rng, 0.02, 0.3),
        persistence=float(rng.uniform(0.1, 0.95)),
        turning=float(rng.uniform(0, 0.2)),
        fill=float(rng.uniform(0.05, 0.6)),
        clustering=float(rng.uniform(0, 0.8)),
        overlap=float(rng.uniform(0, 0.25)),
        division_rate=float(rng.uniform(0, 0.02)),
        death_rate=float(rng.uniform(0, 0.008)),
        defocus_rate=float(rng.uniform(0, 0.015)),
        brightness_spread=float(rng.uniform(0.05, 0.3)),
    )


def _eggs(rng: np.random.Generator) -> Habit:
    return Habit(
        diameter=log_uniform(rng, 55, 110),
        size_spread=float(rng.uniform(0.02, 0.15)),
        elongation=(1.0, float(rng.uniform(1.02, 1.6))),
        roughness=float(rng.uniform(0.003, 0.04)),
        wobble=float(rng.uniform(0.02, 0.1)),
        speed=log_uniform(rng, 0.005, 0.06),
        persistence=float(rng.uniform(0.3, 0.95)),
        turning=float(rng.uniform(0, 0.1)),
        fill=float(rng.uniform(0.15, 0.6)),
        clustering=float(rng.uniform(0, 0.5)),
        overlap=float(rng.uniform(0, 0.12)),
        division_rate=float(rng.uniform(0, 0.03)),
        death_rate=0.002,
        defocus_rate=sometimes(rng, 0.008),
    )


def _yeast(
    rng: np.random.Generator, frames: int, shape: tuple[int, int]
) -> tuple[float, list[list[Body]]]:
    diameter = log_uniform(rng, 16, 60)
    room = shape[0] * shape[1] / diameter**2
    cells = int(np.clip(room * log_uniform(rng, 0.06, 0.9), 2, 75))
    habit = Budding(
        diameter=diameter,
        size_spread=float(rng.uniform(0.05, 0.15)),
        elongation=float(rng.uniform(0.05, 0.4)),
        rate=float(rng.uniform(0.02, 0.09)),
        rest=float(rng.uniform(1, 12)),
        jiggle=log_uniform(rng, 0.05, 0.6),
        cells=cells,
        colonies=max(1, int(cells / 2 ** rng.uniform(0, 4))),
    )
    garden = YeastField.sow(rng, shape, habit)
    cast = []
    for _ in range(frames):
        cast.append(garden.bodies())
        garden.step()
    return diameter, cast


def _random_lens(rng: np.random.Generator, style: int) -> Lens:
    stained = rng.random() < 0.3 and style != 2
    return Lens(
        phase=log_uniform(rng, 0.6, 4.0),
        shell=sometimes(rng, 1.5, 0.4 if style == 0 else 0.8),
        shell_width=float(rng.uniform(1.0, 2.5)),
        granules=float(rng.uniform(0.05, 0.5)) * (2 if style == 2 else 1),
        grain=float(rng.uniform(0.0, 0.08)),
        vacuole=float(rng.uniform(0.25, 0.6)) if rng.random() < (0.7 if style == 1 else 0.3) else 0,
        absorption=float(rng.uniform(0.1, 0.9)) if stained else sometimes(rng, 0.15),
        edge=float(rng.uniform(0.7, 1.6)),
    )


def _random_focus(rng: np.random.Generator, diameter: float) -> Focus:
    farthest = min(1.3 * diameter, 70.0)
    defocus = float(rng.choice((-1.0, 1.0))) * log_uniform(rng, 3.0, farthest)
    return Focus(
        defocus=defocus,
        sway=0.06 * abs(defocus) * float(rng.random() < 0.5),
        damping=float(rng.uniform(0.02, 0.08)),
        blur=log_uniform(rng, 0.5, 2.0),
        contrast=log_uniform(rng, 0.5, 2.2),
    )


# ----------------------------------------------------------------------------- drawing


def _add_lens(
    phase: FloatArray,
    absorption: FloatArray,
    labels: NDArray[np.uint16],
    body: Body,
    make: tuple[Lens, Tiles],
) -> int:
    """Add a round cell to phase and absorption; its area in the frame, pixels."""
    lens, tiles = make
    patch = patch_of(body, phase.shape, 6, rod=False)
    if patch is None:
        return 0
    edge = lens.edge * (1 + 4 * (1 - body.focus))
    strength = np.float32((0.1 + 0.9 * body.focus) * body.brightness)
    depth = np.clip(patch.level / np.float32(body.radius), 0, 1)
    ball = np.sqrt(depth * (2 - depth))
    inside = soft_step(patch.level, edge)
    content = 1 + np.float32(lens.grain) * on_body(tiles.grain, body, patch)
    content -= np.float32(0.5) * _vacuole(body, patch, lens)
    thick = np.float32(lens.phase * (1 + 0.4 * body.condensed)) * ball * content
    thick += np.float32(lens.granules) * ball * on_body(tiles.granules, body, patch, 31)
    thick += np.float32(lens.shell) * bump(patch.level - np.float32(1), lens.shell_width)
    phase[patch.window] += strength * inside * thick
    absorption[patch.window] += strength * np.float32(lens.absorption) * inside * ball
    return paste_label(labels, body, patch, patch.level)


def _vacuole(body: Body, patch: Patch, lens: Lens) -> FloatArray | np.float32:
    if lens.vacuole == 0:
        return np.float32(0)
    turn = body.texture[0] / 256 * 2 * np.pi
    away = 0.3 * body.radius
    far = np.hypot(
        patch.u - np.float32(away * np.cos(turn)), patch.v - np.float32(away * np.sin(turn))
    )
    size = lens.vacuole * body.radius * (0.5 + body.texture[1] / 256)
    return soft_step(np.float32(size) - far, 2)


def _backdrop(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Phase of the dish: roughness, and now and then the edge of a well or a scratch."""
    backdrop = smooth_noise(rng, shape, log_uniform(rng, 1.5, 6)) * np.float32(sometimes(rng, 0.12))
    if rng.random() < 0.2:
        y = np.arange(shape[0], dtype=np.float32)[:, None]
        x = np.arange(shape[1], dtype=np.float32)[None, :]
        radius = float(rng.uniform(0.8, 4)) * shape[1]
        turn = rng.uniform(0, 2 * np.pi)
        near = radius - float(rng.uniform(0.25, 0.48)) * shape[1]
        cy, cx = shape[0] / 2 + near * np.sin(turn), shape[1] / 2 + near * np.cos(turn)
        far = np.hypot(y - np.float32(cy), x - np.float32(cx)) - np.float32(radius)
        backdrop += np.float32(rng.uniform(0.5, 3)) * soft_step(far, float(rng.uniform(1, 6)))
    return np.asarray(backdrop, np.float32)
