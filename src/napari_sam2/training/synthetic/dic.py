"""Interference contrast: the slope of the optical thickness along one direction, as shaded relief.

Inside and outside of a cell are equally bright on average: only slopes show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch
from napari_sam2.training.synthetic.sheet import lay_sheet
from napari_sam2.training.synthetic.staging import (
    bump,
    drop_hidden,
    eventful,
    live,
    log_uniform,
    noise_tile,
    on_body,
    soft_step,
    sometimes,
)
from napari_sam2.training.synthetic.thickness import (
    Build,
    Tiles,
    add_cell,
    add_specks,
    body_distance,
    nucleus_relief,
    scatter_specks,
)


@dataclass(frozen=True, slots=True)
class Prism:
    """The microscope: direction of the shear (radians), contrast and point spread (pixels)."""

    direction: float
    contrast: float
    psf: float


@dataclass(frozen=True, slots=True)
class Weave:
    """A confluent sheet: how far cells reach, softness (pixels) and height of their borders.

    ``ragged`` is a tile that makes the borders uneven, ``patchy`` a field (Y, X) of about 1 by
    which they are seen more or less well.
    """

    ragged: FloatArray
    patchy: FloatArray
    reach: float
    border: float
    groove: float
    dome: float


def dic_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Make an interference contrast movie of a confluent sheet, or of scattered cells.

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
    confluent = bool(rng.random() < 0.6)
    habit = eventful(rng, _confluent_habit(rng) if confluent else _scattered_habit(rng))
    build = _random_build(rng, confluent)
    weave = Weave(
        ragged=noise_tile(rng, log_uniform(rng, 4, 14)) * np.float32(rng.uniform(0, 0.07)),
        patchy=np.maximum(1 + smooth_noise(rng, shape, 14) * np.float32(rng.uniform(0, 0.6)), 0),
        reach=float(rng.uniform(1.25, 1.8)),
        border=float(rng.uniform(1.5, 5.0)),
        groove=float(rng.uniform(0.3, 1.2)),
        dome=float(rng.uniform(0.0, 1.0)),
    )
    prism = Prism(
        direction=float(rng.choice((0.25, 0.75, 1.25, 1.75)) * np.pi + rng.normal(0, 0.25)),
        contrast=float(rng.uniform(0.04, 0.13)),
        psf=float(rng.uniform(0.5, 1.3)),
    )
    tiles = Tiles.draw(rng)
    lives = live(rng, frames, shape, habit, divisions=int(rng.integers(0, 3)))
    specks = scatter_specks(rng, shape)
    substrate = smooth_noise(rng, shape, log_uniform(rng, 1.0, 3.0))
    substrate *= np.float32(sometimes(rng, 0.04))
    relief = np.empty((frames, *shape), np.float32)
    labels = np.zeros((frames, *shape), np.uint16)
    for index, bodies in enumerate(lives.frames):
        thickness = substrate.copy()
        if confluent:
            _add_sheet(thickness, labels[index], bodies, (build, weave), tiles)
        else:
            areas = {
                body.label: add_cell(thickness, labels[index], body, build, tiles)
                for body in bodies
            }
            drop_hidden(labels[index], areas)
        add_specks(thickness, specks, index)
        relief[index] = slope(thickness, prism)
    labels, lineage = number_from_one(labels, lives.lineage)
    return Scene(_expose(relief, prism.contrast), labels, lineage)


def slope(thickness: FloatArray, prism: Prism) -> FloatArray:
    """Differentiate an optical thickness, (Y, X), along the shear; mean about 0."""
    smooth = ndimage.gaussian_filter(thickness, prism.psf, truncate=3)
    rise, run = np.gradient(smooth)
    shaded = np.float32(np.sin(prism.direction)) * rise + np.float32(np.cos(prism.direction)) * run
    return np.asarray(shaded, np.float32)


def _expose(relief: FloatArray, contrast: float) -> FloatArray:
    """Scale to about 0..1 around 0.5; steep slopes saturate softly."""
    spread = max(float(relief[:, ::3, ::3].std()), 1e-6)
    scaled = np.float32(contrast / spread / 0.45) * relief
    return np.asarray(0.5 + np.float32(0.45) * np.tanh(scaled), np.float32)


# ----------------------------------------------------------------------- kinds of cells


def _confluent_habit(rng: np.random.Generator) -> Habit:
    return Habit(
        diameter=log_uniform(rng, 36, 110),
        size_spread=float(rng.uniform(0.08, 0.22)),
        elongation=(1.0, float(rng.uniform(1.2, 2.2))),
        roughness=float(rng.uniform(0.04, 0.14)),
        wobble=float(rng.uniform(0.03, 0.2)),
        speed=log_uniform(rng, 0.008, 0.06),
        persistence=float(rng.uniform(0.5, 0.95)),
        turning=float(rng.uniform(0, 0.04)),
        fill=float(rng.uniform(0.6, 1.0)),
        clustering=sometimes(rng, 0.5),
        overlap=0.05,
        division_rate=float(rng.uniform(0, 0.02)),
        death_rate=float(rng.uniform(0, 0.008)),
        defocus_rate=0.0,
    )


def _scattered_habit(rng: np.random.Generator) -> Habit:
    return Habit(
        diameter=log_uniform(rng, 15, 85),
        size_spread=float(rng.uniform(0.05, 0.25)),
        elongation=(1.0, float(rng.uniform(1.1, 3.0))),
        roughness=float(rng.uniform(0.02, 0.18)),
        wobble=float(rng.uniform(0.05, 0.25)),
        spikes=int(rng.integers(0, 5)) if rng.random() < 0.5 else 0,
        speed=log_uniform(rng, 0.01, 0.12),
        persistence=float(rng.uniform(0.3, 0.95)),
        turning=float(rng.uniform(0, 0.1)),
        fill=float(rng.uniform(0.08, 0.55)),
        clustering=float(rng.uniform(0, 0.7)),
        overlap=float(rng.uniform(0.0, 0.2)),
        division_rate=float(rng.uniform(0, 0.025)),
        death_rate=float(rng.uniform(0, 0.01)),
        defocus_rate=sometimes(rng, 0.008),
        brightness_spread=float(rng.uniform(0.05, 0.3)),
    )


def _random_build(rng: np.random.Generator, confluent: bool) -> Build:
    # In a sheet the border is a groove; alone a cell is a dome with a border of its own.
    return Build(
        lamella=float(rng.uniform(0.2, 0.6)),
        hump=float(rng.uniform(0.3, 2.0)),
        hump_width=float(rng.uniform(0.4, 1.0)),
        nucleus=float(rng.uniform(-0.5, 0.5)),
        nucleus_width=float(rng.uniform(0.25, 0.42) if confluent else rng.uniform(0.2, 0.4)),
        granules=float(rng.uniform(0.1, 0.9)),
        ruffle=sometimes(rng, 0.25),
        edge=float(rng.uniform(0.8, 2.2)),
        rounded=float(rng.uniform(2.0, 4.0)),
    )


# --------------------------------------------------------------------------- the sheet


def _add_sheet(
    thickness: FloatArray,
    labels: NDArray[np.uint16],
    bodies: list[Body],
    make: tuple[Build, Weave],
    tiles: Tiles,
) -> None:
    build, weave = make
    sheet = lay_sheet(bodies, thickness.shape, weave.reach, weave.ragged)
    labels[...] = sheet.labels
    for body in bodies:
        patch = sheet.patches.get(body.label)
        if patch is None:
            continue
        mine = sheet.labels[patch.window] == body.label
        border = sheet.border[patch.window]
        height = _sheet_height(body, patch, border, make, tiles)
        if body.condensed > 0:
            height *= 1 + np.float32(body.condensed * build.rounded / 2) * soft_step(border, 12)
        thickness[patch.window][mine] += height[mine]
    drop_hidden(labels, {})


def _sheet_height(
    body: Body, patch: Patch, border: FloatArray, make: tuple[Build, Weave], tiles: Tiles
) -> FloatArray:
    build, weave = make
    far = body_distance(body, patch)
    rise = np.tanh(border * np.float32(1 / weave.border))
    height = np.float32(weave.groove) * weave.patchy[patch.window] * rise
    height += np.float32(weave.dome * build.hump) * bump(far, build.hump_width) * rise
    quiet = soft_step((far - np.float32(build.nucleus_width)) * np.float32(body.radius), 3)
    lumps = np.float32(0.06) * on_body(tiles.grain, body, patch)
    lumps += np.float32(0.45 * build.granules) * on_body(tiles.granules, body, patch, 31)
    height += lumps * rise * (np.float32(0.25) + np.float32(0.75) * quiet)
    calm = np.float32(build.nucleus * (1 - body.condensed))
    return np.asarray(height + calm * nucleus_relief(far, body, patch, build, tiles) * rise)
