"""Phase contrast: dark bodies in bright halos, thin lamellae, bright round cells in mitosis.

A cell is a map of its optical thickness.  The microscope shows the sine of the thickness less a
blurred copy of it, which is what makes halos, the shading-off of flat cells, and the inversion of
thick round ones; cells that crawl over each other add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of
from napari_sam2.training.synthetic.staging import (
    bump,
    drop_hidden,
    live,
    log_uniform,
    noise_tile,
    number_from_one,
    on_body,
    paste_label,
    soft_step,
    sometimes,
    spot_tile,
    wide_blur,
)


@dataclass(frozen=True, slots=True)
class Look:
    """Optical thickness (radians) of the parts of a cell, and the microscope.

    ``halo`` is the share of the blurred copy that is taken off, ``spread`` its width in pixels;
    ``gain`` the contrast; ``negative`` swaps dark and bright; ``psf`` is in pixels.
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
    halo: float
    spread: float
    gain: float
    negative: bool
    psf: float


@dataclass(frozen=True, slots=True)
class Tiles:
    """Textures of the cytoplasm (``grain``), its granules and the ruffles of the border."""

    grain: FloatArray
    granules: FloatArray
    ruffles: FloatArray


def phase_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a phase contrast movie of flat adherent cells, or of small round ones in crowds.

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
    habit, look = (_adherent if rng.random() < 0.55 else _round)(rng)
    tiles = Tiles(
        noise_tile(rng, log_uniform(rng, 1.0, 3.0)),
        spot_tile(rng, log_uniform(rng, 0.8, 1.8), float(rng.uniform(0.05, 0.25))),
        noise_tile(rng, log_uniform(rng, 2.0, 6.0)),
    )
    lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 4)))
    substrate = smooth_noise(rng, shape, log_uniform(rng, 1.0, 4.0)) * np.float32(
        sometimes(rng, 0.05)
    )
    specks = _specks(rng, shape)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        thickness = substrate.copy()
        areas = {
            body.label: _add_cell(thickness, labels[index], body, look, tiles) for body in bodies
        }
        drop_hidden(labels[index], areas)
        _add_specks(thickness, specks, index)
        signal[index] = phase_image(thickness, look)
    labels, lineage = number_from_one(labels, lives.lineage)
    return Scene(signal, labels, lineage)


def phase_image(thickness: FloatArray, look: Look) -> FloatArray:
    """Show an optical thickness, (Y, X) radians, as a phase contrast microscope does."""
    # What is thicker than a quarter of a wave scatters no more light into the halo.
    scattering = np.minimum(thickness, np.float32(1.4))
    halo = 0.65 * wide_blur(scattering, look.spread)
    halo += 0.35 * wide_blur(scattering, 3 * look.spread)
    tone = np.sin(np.minimum(thickness, np.float32(1.45 * np.pi))) - np.float32(look.halo) * halo
    tone = np.where(tone < 0, -0.8 * np.tanh(-tone / np.float32(0.8)), tone)
    image = 0.5 + np.float32(look.gain if look.negative else -look.gain) * tone
    return np.asarray(ndimage.gaussian_filter(image, look.psf, truncate=3), np.float32)


# ----------------------------------------------------------------------- kinds of cells


def _adherent(rng: np.random.Generator) -> tuple[Habit, Look]:
    diameter = log_uniform(rng, 38, 100)
    habit = Habit(
        diameter=diameter,
        size_spread=float(rng.uniform(0.1, 0.3)),
        elongation=(1.0, float(rng.uniform(1.3, 3.2))),
        roughness=float(rng.uniform(0.1, 0.22)),
        wobble=float(rng.uniform(0.05, 0.25)),
        spikes=int(rng.integers(0, 6)),
        speed=log_uniform(rng, 0.01, 0.08),
        persistence=float(rng.uniform(0.5, 0.95)),
        turning=float(rng.uniform(0, 0.06)),
        fill=float(rng.uniform(0.12, 0.65)),
        clustering=float(rng.uniform(0, 0.6)),
        overlap=float(rng.uniform(0.0, 0.3)),
        division_rate=float(rng.uniform(0, 0.02)),
        death_rate=float(rng.uniform(0, 0.01)),
        defocus_rate=sometimes(rng, 0.006),
    )
    look = Look(
        lamella=float(rng.uniform(0.12, 0.45)),
        hump=float(rng.uniform(0.3, 1.0)),
        hump_width=float(rng.uniform(0.35, 0.7)),
        nucleus=float(rng.uniform(-0.15, 0.45)),
        nucleus_width=float(rng.uniform(0.2, 0.34)),
        granules=float(rng.uniform(0.2, 1.2)),
        ruffle=sometimes(rng, 0.4, 0.7),
        edge=float(rng.uniform(0.8, 2.5)),
        rounded=float(rng.uniform(2.2, 4.2)),
        halo=float(rng.uniform(0.6, 1.1)),
        spread=float(rng.uniform(3, 9)),
        gain=float(rng.uniform(0.12, 0.32)),
        negative=bool(rng.random() < 0.08),
        psf=float(rng.uniform(0.5, 1.3)),
    )
    return habit, look


def _round(rng: np.random.Generator) -> tuple[Habit, Look]:
    diameter = log_uniform(rng, 12, 27)
    growing = bool(rng.random() < 0.6)
    habit = Habit(
        diameter=diameter,
        size_spread=float(rng.uniform(0.08, 0.25)),
        elongation=(1.0, float(rng.uniform(1.2, 2.4))),
        roughness=float(rng.uniform(0.03, 0.14)),
        wobble=float(rng.uniform(0.1, 0.4)),
        speed=log_uniform(rng, 0.03, 0.2),
        persistence=float(rng.uniform(0.2, 0.9)),
        turning=float(rng.uniform(0, 0.2)),
        fill=float(rng.uniform(0.08, 0.6)),
        clustering=float(rng.uniform(0.4, 1.0)) if growing else float(rng.uniform(0, 0.5)),
        overlap=float(rng.uniform(0.0, 0.2)),
        division_rate=float(rng.uniform(0.005, 0.05)),
        death_rate=float(rng.uniform(0, 0.012)),
        defocus_rate=sometimes(rng, 0.01),
        brightness_spread=float(rng.uniform(0.05, 0.25)),
    )
    # Thin ones are dark throughout; thick ones turn bright inside a dark rim.
    peak = float(rng.uniform(0.9, 1.6)) if rng.random() < 0.5 else float(rng.uniform(2.8, 4.3))
    look = Look(
        lamella=peak * float(rng.uniform(0.1, 0.4)),
        hump=peak,
        hump_width=float(rng.uniform(0.6, 1.0)),
        nucleus=0.0,
        nucleus_width=0.4,
        granules=float(rng.uniform(0.05, 0.6)),
        ruffle=0.0,
        edge=float(rng.uniform(0.7, 1.4)),
        rounded=float(rng.uniform(2.5, 4.5)),
        halo=float(rng.uniform(0.6, 1.2)),
        spread=float(rng.uniform(0.12, 0.3)) * diameter,
        gain=float(rng.uniform(0.12, 0.32)),
        negative=bool(rng.random() < 0.08),
        psf=float(rng.uniform(0.5, 1.2)),
    )
    return habit, look


# ----------------------------------------------------------------------------- drawing


def _add_cell(
    thickness: FloatArray, labels: NDArray[np.uint16], body: Body, look: Look, tiles: Tiles
) -> int:
    """Add a cell to the optical thickness and the labels; its area in the frame, pixels."""
    shown = _rounded_up(body)
    edge = look.edge * (1 + 4 * (1 - body.focus))
    patch = patch_of(shown, thickness.shape, 3 * edge + 2, rod=False)
    if patch is None:
        return 0
    height = _flat_height(shown, patch, look, tiles, edge)
    if body.condensed > 0:
        round_share = np.float32(min(1.0, 1.3 * body.condensed))
        height *= 1 - round_share
        height += round_share * _round_height(shown, patch, look, tiles)
    thickness[patch.window] += np.float32(0.1 + 0.9 * body.focus) * height
    return paste_label(labels, shown, patch, patch.level)


def _rounded_up(body: Body) -> Body:
    """Draw the arms in, as cells do before they divide or die."""
    shown = body.copy()
    flat = 1 - body.condensed
    shown.modes[:, 0] *= flat
    if len(shown.spikes):
        shown.spikes[:, 2] *= flat
    shown.radius = body.radius * (1 - 0.3 * body.condensed)
    shown.elongation = 1.15 + (body.elongation - 1.15) * flat
    return shown


def _flat_height(body: Body, patch: Patch, look: Look, tiles: Tiles, edge: float) -> FloatArray:
    # The nucleus sits off the centre, differently in every cell.
    off_u = body.radius * ((body.texture[0] % 17) / 17 - 0.5) * 0.35
    off_v = body.radius * ((body.texture[1] % 13) / 13 - 0.5) * 0.35
    stretch = np.float32(np.sqrt(body.elongation))
    along = (patch.u - np.float32(off_u)) / (stretch * np.float32(body.radius))
    across = (patch.v - np.float32(off_v)) * stretch / np.float32(body.radius)
    far = np.hypot(along, across)
    mound = bump(far, look.hump_width)
    height = np.float32(look.lamella) + np.float32(look.hump * body.brightness) * mound
    grain = on_body(tiles.grain, body, patch)
    height *= 1 + np.float32(0.12) * grain
    near_nucleus = mound * np.float32(look.granules)
    height += near_nucleus * on_body(tiles.granules, body, patch, 31)
    if look.nucleus != 0:
        height += np.float32(look.nucleus) * _nucleus(far, body, patch, look, tiles)
    if look.ruffle > 0:
        folds = np.maximum(on_body(tiles.ruffles, body, patch, 67) + np.float32(0.4), 0)
        height += np.float32(look.ruffle) * bump(patch.level - np.float32(2), 1.8) * folds
    return height * soft_step(patch.level, edge)


def _nucleus(far: FloatArray, body: Body, patch: Patch, look: Look, tiles: Tiles) -> FloatArray:
    inside = soft_step((np.float32(look.nucleus_width) - far) * np.float32(body.radius), 1.2)
    rim = bump((np.float32(look.nucleus_width) - far) * np.float32(body.radius), 1.3)
    nucleoli = on_body(tiles.ruffles, body, patch, 5) > 1.3
    return np.asarray(0.6 * inside + 0.7 * rim + 1.2 * inside * nucleoli, np.float32)


def _round_height(body: Body, patch: Patch, look: Look, tiles: Tiles) -> FloatArray:
    depth = np.clip(patch.level / np.float32(body.radius), 0, 1)
    ball = np.float32(look.rounded) * np.sqrt(depth * (2 - depth))
    return np.asarray(ball * (1 + np.float32(0.06) * on_body(tiles.ruffles, body, patch)))


# ------------------------------------------------------------------------------ debris


def _specks(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Draw floating debris: (N, 6) y, x, their speeds, radius, thickness."""
    count = int(sometimes(rng, 16))
    table = np.empty((count, 6), np.float32)
    table[:, :2] = rng.uniform(0, 1, (count, 2)) * shape
    table[:, 2:4] = rng.normal(0, 1.0, (count, 2)) * (rng.random((count, 1)) < 0.4)
    table[:, 4] = rng.uniform(0.8, 3.5, count)
    table[:, 5] = rng.uniform(0.4, 3.0, count)
    return table


def _add_specks(thickness: FloatArray, specks: FloatArray, index: int) -> None:
    for y, x, dy, dx, radius, height in specks.tolist():
        dot = Body(0, y + dy * index, x + dx * index, radius)
        patch = patch_of(dot, thickness.shape, 3, rod=False)
        if patch is not None:
            thickness[patch.window] += np.float32(height) * soft_step(patch.level, 1.2)
