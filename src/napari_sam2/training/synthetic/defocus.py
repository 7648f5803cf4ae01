"""Defocus: how round cells as lenses, and all that is transparent, show out of focus.

A scene is a field of complex transmission (absorption and phase); defocus is its propagation over
a distance, which makes the bright and dark rings of real images, whichever way the focus is off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of
from napari_sam2.training.synthetic.staging import (
    bump,
    log_uniform,
    on_body,
    paste_label,
    soft_step,
    sometimes,
)
from napari_sam2.training.synthetic.thickness import Tiles

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


def add_lens(
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


def random_backdrop(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
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
