"""Tissue under the electron microscope: membranes, cytoplasm, vesicles, mitochondria, artefacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.neuropil import Doubles, Packing, Slice, Tubes, cut, pack
from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.shapes import FloatArray
from napari_sam2.training.synthetic.staging import (
    TILE,
    bump,
    drop_hidden,
    log_uniform,
    noise_tile,
    soft_step,
    sometimes,
)


@dataclass(frozen=True, slots=True)
class Beam:
    """How the electron microscope shows tissue: brightness 0..1, widths in pixels.

    ``reach`` is how far cells fill the space between them; what is left is another cell.
    """

    cytoplasm: tuple[float, float]
    membrane: float
    membrane_width: float
    reach: float
    grain: float
    mitochondrion: float
    cristae: float
    vesicles: float
    blur: float
    jitter: float
    charging: float
    curtains: float
    inverted: bool


@dataclass(frozen=True, slots=True)
class Organelles:
    """Mitochondria in tubes: (N,) tube, disc, first and last slice, offset, size, shape, angle."""

    tube: NDArray[np.intp]
    disc: NDArray[np.intp]
    first: Doubles
    last: Doubles
    offset: Doubles
    size: Doubles
    stretch: Doubles
    angle: Doubles


def _random_beam(rng: np.random.Generator) -> Beam:
    middle, spread = float(rng.uniform(0.55, 0.75)), float(rng.uniform(0.02, 0.16))
    return Beam(
        cytoplasm=(middle - spread, middle + spread),
        membrane=float(rng.uniform(0.1, 0.38)),
        membrane_width=float(rng.uniform(0.7, 1.8)),
        reach=float(rng.uniform(6, 10) if rng.random() < 0.7 else rng.uniform(1, 3)),
        grain=float(rng.uniform(0.01, 0.05)),
        mitochondrion=float(rng.uniform(0.22, 0.5)),
        cristae=float(rng.uniform(0.01, 0.16)),
        vesicles=sometimes(rng, 0.25, 0.6),
        blur=float(rng.uniform(0.4, 1.5)),
        jitter=sometimes(rng, 1.2),
        charging=sometimes(rng, 0.15, 0.4),
        curtains=sometimes(rng, 0.05, 0.3),
        inverted=bool(rng.random() < 0.08),
    )


def photograph_tissue(
    rng: np.random.Generator, frames: int, shape: tuple[int, int], packing: Packing, most: int = 6
) -> tuple[FloatArray, NDArray[np.uint16], NDArray[np.uint16]]:
    """Return the signal, labels of the tubes and labels of their mitochondria, each (T, Y, X)."""
    beam = _random_beam(rng)
    tubes = pack(rng, frames, shape, packing)
    inside = _place_mitochondria(rng, tubes, most)
    tone = rng.uniform(*beam.cytoplasm, int(tubes.tube.max()) + 1).astype(np.float32)
    tone[0] = rng.uniform(*beam.cytoplasm)
    textures = _Textures.draw(rng)
    sway = np.cumsum(rng.normal(0, 0.3 * beam.jitter, (frames, 2)), axis=0)
    sway += rng.normal(0, beam.jitter, (frames, 2))
    signal = np.empty((frames, *shape), np.float32)
    neurites = np.zeros((frames, *shape), np.uint16)
    mitochondria = np.zeros((frames, *shape), np.uint16)
    shaken = Tubes(
        tubes.yx + sway[:, None].astype(np.float32),
        tubes.radius, tubes.tube, tubes.joined, tubes.ripple,
    )  # fmt: skip
    for index, piece in enumerate(cut(shaken, shape)):
        image = _stain(rng, piece, tone, beam, textures)
        place = (shaken, index, piece)
        _add_mitochondria(image, mitochondria[index], place, inside, (beam, textures))
        neurites[index] = np.where(piece.level > -beam.reach, piece.owner, 0)
        drop_hidden(neurites[index], {})
        drop_hidden(mitochondria[index], {})
        signal[index] = _expose(rng, image, beam)
    return signal, neurites, mitochondria


@dataclass(frozen=True, slots=True)
class _Textures:
    """Tiles: cytoplasm, cristae of mitochondria, rings of vesicles, and where vesicles gather."""

    grain: FloatArray
    cristae: FloatArray
    vesicles: FloatArray
    crowds: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Textures:
        points = np.ones((TILE, TILE), bool)
        count = int(rng.integers(600, 1800))
        points[rng.integers(0, TILE, count), rng.integers(0, TILE, count)] = False
        far = np.asarray(ndimage.distance_transform_edt(points), np.float32)
        size = float(rng.uniform(1.5, 3.0))
        ring = bump(far - np.float32(size), 0.8) - 0.7 * bump(far, 0.7 * size)
        cristae = rng.standard_normal((TILE, TILE), dtype=np.float32)
        cristae = ndimage.gaussian_filter(cristae, (float(rng.uniform(0.8, 1.6)), 4), mode="wrap")
        return cls(
            noise_tile(rng, log_uniform(rng, 0.6, 1.5)),
            np.asarray(cristae / cristae.std(), np.float32),
            np.asarray(ring, np.float32),
            noise_tile(rng, 12),
        )


def _tiled(tile: FloatArray, shape: tuple[int, int], shift: tuple[int, int]) -> FloatArray:
    rows = (np.arange(shape[0]) + shift[0]) % TILE
    columns = (np.arange(shape[1]) + shift[1]) % TILE
    return np.asarray(tile[rows][:, columns], np.float32)


def _stain(
    rng: np.random.Generator, piece: Slice, tone: FloatArray, beam: Beam, textures: _Textures
) -> FloatArray:
    """Cytoplasm, vesicles and membranes of one slice."""
    shape = piece.level.shape
    image = np.where(piece.level > -beam.reach, tone[piece.owner], tone[0])
    # Every slice cuts through other molecules, but through the same crowds of vesicles.
    dice = rng.integers(0, TILE, (3, 2))
    image = image + np.float32(beam.grain) * _tiled(textures.grain, shape, tuple(dice[0]))
    if beam.vesicles:
        crowd = np.clip(_tiled(textures.crowds, shape, (0, 0)) - np.float32(0.6), 0, 1)
        crowd = crowd * (piece.level > 4)
        image -= (
            np.float32(beam.vesicles) * crowd * _tiled(textures.vesicles, shape, tuple(dice[1]))
        )
    rim = piece.level + np.float32(beam.reach)
    border = np.where(rim > 0, np.minimum(0.5 * piece.lead, rim), -rim)
    width = np.float32(beam.membrane_width)
    uneven = 1 + np.float32(0.3) * _tiled(textures.crowds, shape, tuple(dice[2]))
    dark = bump(border / np.maximum(uneven, 0.5), float(width))
    return np.asarray(image + (np.float32(beam.membrane) - image) * dark, np.float32)


def _expose(rng: np.random.Generator, image: FloatArray, beam: Beam) -> FloatArray:
    """Blur, charging (bright clouds and bands of lines) and curtains (stripes of the ion beam)."""
    shape = image.shape
    image = ndimage.gaussian_filter(image, beam.blur, truncate=3)
    if beam.charging and rng.random() < 0.5:
        cloud = np.maximum(smooth_noise(rng, shape, 0.15 * shape[0]) - 1, 0)
        bands = ndimage.gaussian_filter1d(rng.standard_normal(shape[0]), 3)[:, None]
        image = image + np.float32(beam.charging) * (cloud + bands.astype(np.float32))
    if beam.curtains:
        stripes = ndimage.gaussian_filter1d(rng.standard_normal(shape[1]), 1.5)[None, :]
        image = image + np.float32(1.5 * beam.curtains) * stripes.astype(np.float32)
    return np.asarray(1 - image if beam.inverted else image, np.float32)


# ------------------------------------------------------------------------- mitochondria


def _place_mitochondria(rng: np.random.Generator, tubes: Tubes, most: int) -> Organelles:
    slices = len(tubes.yx)
    wide = np.flatnonzero(tubes.radius.max(0) > 6)
    number = rng.poisson(0.7 * np.maximum(tubes.radius[:, wide].max(0) / 14, 0.6))
    disc = np.repeat(wide, np.minimum(number, most))
    radius = tubes.radius[:, disc].max(0)
    size = np.clip(radius * rng.uniform(0.3, 0.85, len(disc)), 3, 30)
    offset = rng.normal(0, 0.45, (len(disc), 2)) * np.maximum(radius - size, 0)[:, None]
    alone = _far_apart(tubes.yx[slices // 2, disc] + offset, size)
    disc, radius, size, offset = disc[alone], radius[alone], size[alone], offset[alone]
    count = len(disc)
    first = rng.uniform(-0.8 * slices, slices, count)
    return Organelles(
        tube=tubes.tube[disc],
        disc=disc,
        first=first,
        last=first + rng.uniform(4, 2.0 * slices + 4, count),
        offset=offset,
        size=size,
        stretch=rng.uniform(1.0, 2.2, count),
        angle=rng.uniform(0, np.pi, count),
    )


def _far_apart(places: Doubles, sizes: Doubles) -> NDArray[np.bool_]:
    """Which of a list of discs stay clear of all that stand before them in the list."""
    keep = np.ones(len(places), bool)
    for row in range(1, len(places)):
        apart = np.hypot(*(places[:row] - places[row]).T)
        keep[row] = not np.any((apart < 1.3 * (sizes[:row] + sizes[row])) & keep[:row])
    return keep


def _add_mitochondria(
    image: FloatArray,
    labels: NDArray[np.uint16],
    place: tuple[Tubes, int, Slice],
    inside: Organelles,
    make: tuple[Beam, _Textures],
) -> None:
    """Draw what the slice meets of every mitochondrion that keeps within its tube."""
    tubes, index, piece = place
    beam, textures = make
    taken = np.full(image.shape, -9, np.float32)
    # A capsule in depth: it rounds off over a few slices at both ends.
    rounding = np.clip(np.minimum(index - inside.first, inside.last - index) / 2.5, 0, 1)
    sizes = inside.size * np.sqrt(rounding)
    for row in np.flatnonzero(sizes > 1.5):
        size, stretch = float(sizes[row]), float(np.sqrt(inside.stretch[row]))
        y, x = tubes.yx[index, inside.disc[row]] + inside.offset[row]
        reach = size * stretch + 3
        y0, y1 = max(int(y - reach), 0), min(int(y + reach) + 2, image.shape[0])
        x0, x1 = max(int(x - reach), 0), min(int(x + reach) + 2, image.shape[1])
        if y0 >= y1 or x0 >= x1:
            continue
        window = (slice(y0, y1), slice(x0, x1))
        dy = (np.arange(y0, y1, dtype=np.float32) - np.float32(y))[:, None]
        dx = (np.arange(x0, x1, dtype=np.float32) - np.float32(x))[None, :]
        cos, sin = np.float32(np.cos(inside.angle[row])), np.float32(np.sin(inside.angle[row]))
        along, across = (cos * dx + sin * dy) / stretch, (cos * dy - sin * dx) * stretch
        level = np.float32(size) - np.hypot(along, across)
        mine = piece.owner[window] == tubes.joined[index, inside.disc[row]]
        room = np.minimum(0.5 * piece.lead[window], piece.level[window] + beam.reach) - np.float32(
            2.5
        )
        level = np.where(mine, np.minimum(level, np.minimum(room, -taken[window] - 2)), -9)
        taken[window] = np.maximum(taken[window], level)
        # Cristae lie across the mitochondrion, in every one at another angle.
        rows = (along.astype(np.intp) + 37 * int(row)) & (TILE - 1)
        columns = (across.astype(np.intp) + 11 * int(row) + 2 * index) & (TILE - 1)
        cristae = textures.cristae[rows, columns]
        tone = np.float32(beam.mitochondrion) * (1 + np.float32(beam.cristae) * cristae)
        tone = tone - np.float32(0.12) * bump(level - np.float32(0.8), 1.1)
        cover = soft_step(level, 0.9)
        image[window] += cover * (tone - image[window])
        labels[window][level > 0] = row + 1
