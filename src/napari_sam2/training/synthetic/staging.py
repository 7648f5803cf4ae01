"""What the kinds of scenes share: the life of a population, textures on bodies, tidy labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.mitosis import WHOLE_CELLS, random_mitosis
from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.population import Habit, Population
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch

#: An object of which less than this share is not hidden by others is not annotated.
VISIBLE_SHARE = 0.35
#: Nor is a sliver of fewer pixels.
SMALLEST_SLIVER = 10
#: Nor is an object that is further out of focus.
VISIBLE_FOCUS = 0.3

#: Divisions that are asked for start before the last frames, so that daughters are seen.
_LAST_FRAMES = 6
#: Textures are square tiles of this side; a power of two, so that they wrap by a bit mask.
TILE = 256


@dataclass(frozen=True, slots=True)
class Lives:
    """The bodies of every frame, the front ones last, and who descends from whom."""

    frames: list[list[Body]]
    lineage: dict[int, int]


def live(
    rng: np.random.Generator, frames: int, shape: tuple[int, int], habit: Habit, divisions: int = 0
) -> Lives:
    """Let a population live for a number of frames; at least ``divisions`` of them divide."""
    population = Population(rng, shape, habit)
    population.schedule_division(divisions, max(frames - _LAST_FRAMES, 1))
    bodies = []
    for _ in range(frames):
        bodies.append(population.bodies())
        population.step()
    return Lives(bodies, dict(population.lineage))


def eventful(rng: np.random.Generator, habit: Habit) -> Habit:
    """Let cells divide, and now and then be carried along, land, or jump."""
    carried = rng.normal(0, 0.06, 2) * float(rng.random() < 0.25)
    return replace(
        habit,
        mitosis=random_mitosis(rng, WHOLE_CELLS),
        flow=(float(carried[0]), float(carried[1])),
        arrivals=sometimes(rng, 0.02, 0.3),
        bursts=sometimes(rng, 0.03, 0.2),
    )


def sometimes(rng: np.random.Generator, most: float, chance: float = 0.5) -> float:
    """Draw uniformly up to ``most`` with a probability of ``chance``, else 0."""
    return float(rng.uniform(0, most)) * float(rng.random() < chance)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a positive number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def noise_tile(rng: np.random.Generator, grain: float) -> FloatArray:
    """Make a (TILE, TILE) tileable field of mean 0 and deviation 1, smooth over ``grain``."""
    return smooth_noise(rng, (TILE, TILE), grain)


def spot_tile(rng: np.random.Generator, size: float, share: float) -> FloatArray:
    """Make a (TILE, TILE) tile of soft spots of 0..1 that cover about ``share`` of it."""
    field = smooth_noise(rng, (TILE, TILE), size)
    threshold = np.quantile(field[::2, ::2], 1 - share)
    return np.asarray(np.clip((field - threshold) / 0.6, 0, 1), np.float32)


def on_body(tile: FloatArray, body: Body, patch: Patch, shift: int = 0) -> FloatArray:
    """Look a tile up in the coordinates of a body: the texture moves and turns with it."""
    row = (patch.v.astype(np.intp) + body.texture[0] + shift) & (TILE - 1)
    column = (patch.u.astype(np.intp) + body.texture[1] + 3 * shift) & (TILE - 1)
    return np.asarray(tile[row, column], np.float32)


def soft_step(level: FloatArray, width: float) -> FloatArray:
    """Rise from 0 to 1 between ``-width`` and ``width``, without a kink."""
    t = np.clip(level * np.float32(0.5 / max(width, 1e-3)) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def bump(values: FloatArray, width: float) -> FloatArray:
    """Gaussian bell of height 1 around 0."""
    return np.asarray(np.exp(-np.square(values * np.float32(1 / max(width, 1e-3)))), np.float32)


def wide_blur(image: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur; a wide one on a coarser grid, which is as good and much cheaper."""
    step = 4 if sigma >= 8 else 2 if sigma >= 4 else 1
    if step == 1:
        return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=3), np.float32)
    height, width = image.shape
    padded = np.pad(image, ((0, -height % step), (0, -width % step)), mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    coarse = padded.reshape(rows, step, columns, step).mean((1, 3))
    coarse = ndimage.gaussian_filter(coarse, sigma / step, truncate=3, mode="nearest")
    fine = ndimage.zoom(coarse, step, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine[:height, :width], np.float32)


def show_enough(signal: FloatArray, labels: NDArray[np.uint16], least: float) -> FloatArray:
    """Strengthen the contrast of a movie whose objects would hardly be seen.

    Parameters
    ----------
    signal : numpy.ndarray
        (T, Y, X) float32.
    labels : numpy.ndarray
        (T, Y, X) uint16.
    least : float
        Deviation from the background that objects and their borders have at least, in the mean.

    Returns
    -------
    numpy.ndarray
        (T, Y, X) float32; the same array where there is enough to be seen.
    """
    middle = np.median(signal[:, ::3, ::3])
    near = ndimage.binary_dilation(labels[0] > 0, iterations=3)
    if not near.any():
        return signal
    strength = float(np.sqrt(np.mean((signal[0][near] - middle) ** 2)))
    if strength >= least:
        return signal
    gain = np.float32(least / max(strength, 1e-4))
    return np.asarray(middle + np.float32(0.45) * np.tanh(gain / 0.45 * (signal - middle)))


def paste_label(labels: NDArray[np.uint16], body: Body, patch: Patch, solid: FloatArray) -> int:
    """Write a body over what lies behind it where ``solid`` > 0; its area in the frame, pixels.

    A body with label 0, or far out of focus, is not annotated and hides nothing.
    """
    inside = solid > 0
    if body.label and body.focus > VISIBLE_FOCUS:
        labels[patch.window][inside] = body.label
    return int(np.count_nonzero(inside))


def drop_hidden(labels: NDArray[np.uint16], areas: dict[int, int]) -> None:
    """Take away, in place, objects that are mostly hidden, and crumbs cut off the others."""
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        mine = labels[window] == label
        keep = largest_piece(mine)
        seen = int(np.count_nonzero(keep))
        if seen < max(VISIBLE_SHARE * areas.get(label, 0), SMALLEST_SLIVER):
            keep = np.zeros_like(mine)
        labels[window][mine & ~keep] = 0


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece (four neighbours) of a mask."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))
