"""Phase contrast: dark bodies in bright halos, thin lamellae, bright round cells in mitosis.

A cell is a map of its optical thickness.  The microscope shows the sine of the thickness less a
blurred copy of it, which is what makes halos, the shading-off of flat cells, and the inversion of
thick round ones; cells that crawl over each other add up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import FloatArray
from napari_sam2.training.synthetic.staging import (
    drop_hidden,
    eventful,
    live,
    log_uniform,
    show_enough,
    sometimes,
    wide_blur,
)
from napari_sam2.training.synthetic.thickness import (
    Build,
    Tiles,
    add_cell,
    add_specks,
    scatter_specks,
)

#: Cells stand out from the background by so much at least.
_LEAST_CONTRAST = 0.045


@dataclass(frozen=True, slots=True)
class Ring:
    """The microscope.

    ``halo`` is the share of the blurred copy that is taken off, ``spread`` its width in pixels;
    ``gain`` the contrast; ``negative`` swaps dark and bright; ``psf`` is in pixels.
    """

    halo: float
    spread: float
    gain: float
    negative: bool
    psf: float


def phase_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make a phase contrast movie of flat, of slender, or of small round cells in crowds.

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
    draw = (_adherent, _spindle, _round)[int(rng.choice(3, p=(0.42, 0.16, 0.42)))]
    habit, build, ring = draw(rng)
    habit = eventful(rng, habit)
    tiles = Tiles.draw(rng)
    lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 4)))
    substrate = smooth_noise(rng, shape, log_uniform(rng, 1.0, 4.0)) * np.float32(
        sometimes(rng, 0.05)
    )
    specks = scatter_specks(rng, shape)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        thickness = substrate.copy()
        areas = {
            body.label: add_cell(thickness, labels[index], body, build, tiles) for body in bodies
        }
        drop_hidden(labels[index], areas)
        add_specks(thickness, specks, index)
        signal[index] = phase_image(thickness, ring)
    signal = show_enough(signal, labels, _LEAST_CONTRAST)
    labels, lineage = number_from_one(labels, lives.lineage)
    return Scene(signal, labels, lineage)


def phase_image(thickness: FloatArray, ring: Ring) -> FloatArray:
    """Show an optical thickness, (Y, X) radians, as a phase contrast microscope does."""
    # What is thicker than a quarter of a wave scatters no more light into the halo.
    scattering = np.minimum(thickness, np.float32(1.4))
    halo = 0.65 * wide_blur(scattering, ring.spread)
    halo += 0.35 * wide_blur(scattering, 3 * ring.spread)
    tone = np.sin(np.minimum(thickness, np.float32(1.45 * np.pi))) - np.float32(ring.halo) * halo
    tone = np.where(tone < 0, -0.8 * np.tanh(-tone / np.float32(0.8)), tone)
    image = 0.5 + np.float32(ring.gain if ring.negative else -ring.gain) * tone
    return np.asarray(ndimage.gaussian_filter(image, ring.psf, truncate=3), np.float32)


# ----------------------------------------------------------------------- kinds of cells


def _adherent(rng: np.random.Generator) -> tuple[Habit, Build, Ring]:
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
    build = Build(
        lamella=float(rng.uniform(0.12, 0.45)),
        hump=float(rng.uniform(0.3, 1.0)),
        hump_width=float(rng.uniform(0.35, 0.7)),
        nucleus=float(rng.uniform(-0.15, 0.45)),
        nucleus_width=float(rng.uniform(0.2, 0.34)),
        granules=float(rng.uniform(0.2, 1.2)),
        ruffle=sometimes(rng, 0.4, 0.7),
        edge=float(rng.uniform(0.8, 2.5)),
        rounded=float(rng.uniform(2.2, 4.2)),
    )
    ring = Ring(
        halo=float(rng.uniform(0.6, 1.1)),
        spread=float(rng.uniform(3, 9)),
        gain=float(rng.uniform(0.12, 0.32)),
        negative=bool(rng.random() < 0.08),
        psf=float(rng.uniform(0.5, 1.3)),
    )
    return habit, build, ring


def _spindle(rng: np.random.Generator) -> tuple[Habit, Build, Ring]:
    """Draw slender crawling cells: as `_adherent`, but narrow, pointed and thicker throughout."""
    habit, build, ring = _adherent(rng)
    habit = replace(
        habit,
        diameter=log_uniform(rng, 20, 55),
        elongation=(float(rng.uniform(1.5, 3.0)), float(rng.uniform(3.0, 7.0))),
        roughness=float(rng.uniform(0.03, 0.1)),
        spikes=int(rng.integers(0, 3)),
        speed=log_uniform(rng, 0.02, 0.2),
    )
    build = replace(
        build, lamella=float(rng.uniform(0.4, 1.0)), hump_width=float(rng.uniform(0.5, 1.0))
    )
    return habit, build, ring


def _round(rng: np.random.Generator) -> tuple[Habit, Build, Ring]:
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
    build = Build(
        lamella=peak * float(rng.uniform(0.1, 0.4)),
        hump=peak,
        hump_width=float(rng.uniform(0.6, 1.0)),
        nucleus=0.0,
        nucleus_width=0.4,
        granules=float(rng.uniform(0.05, 0.6)),
        ruffle=0.0,
        edge=float(rng.uniform(0.7, 1.4)),
        rounded=float(rng.uniform(2.5, 4.5)),
    )
    ring = Ring(
        halo=float(rng.uniform(0.6, 1.2)),
        spread=float(rng.uniform(0.12, 0.3)) * diameter,
        gain=float(rng.uniform(0.12, 0.32)),
        negative=bool(rng.random() < 0.08),
        psf=float(rng.uniform(0.5, 1.2)),
    )
    return habit, build, ring
