"""How one clip is cut from a movie: frames, window, objects, warp, tracing of profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training import augment
from napari_sam2.training.convention import draw_move, move_contours
from napari_sam2.training.datasets import LabelledMovie, ObjectTable
from napari_sam2.training.departures import choose_leaver
from napari_sam2.training.light import Light, any_light
from napari_sam2.training.vanishing import vanish

#: Diameters in clip pixels that the first object is scaled to, log-uniform: the middle of the
#: range in most clips, because the predictor looks at an object in a view of 3.5 diameters.
#: The first look at a click does not know the size yet: stills, which teach it, vary more.
DIAMETERS = (12.0, 140.0)
USUAL_DIAMETERS = (28.0, 85.0)
STILL_DIAMETERS = (18.0, 120.0)
_USUAL_SHARE = 0.8
#: Share of the clips of movies whose first object is one that vanishes, where there is any.
LEAVER_SHARE = 0.5
#: How often an object is painted out, up to twice a clip: of stills, and of movies.
_VANISH_TRIES = 2
_VANISH_SHARE = (0.4, 0.2)
#: Magnification in clip pixels per source pixel stays within these.
SCALES = (0.3, 5.0)
#: An object of fewer pixels on the first frame is not asked for.
SMALLEST_AREA = 24
#: An object of fewer source pixels is not chosen; profiles of sections need more to be told apart.
_SMALLEST_SOURCE_AREA = 12
_SMALLEST_PROFILE = 60

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Window:
    """Centre (y, x in source pixels), matrix from clip to source offsets, magnification."""

    centre: NDArray[np.float32]
    matrix: NDArray[np.float32]
    scale: float


def cut_clip(
    movie: LabelledMovie,
    rng: np.random.Generator,
    num_frames: int,
    num_objects: int,
    light: Light = any_light,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Cut a random clip.

    Parameters
    ----------
    movie : LabelledMovie
        Where to cut.
    rng : numpy.random.Generator
        Source of all randomness.
    num_frames, num_objects : int
        T and N.
    light : callable
        Shows the images.

    Returns
    -------
    tuple or None
        Images (T, 3, H, W) float32 within 0..1 and masks (T, N, H, W) bool, or None where the
        drawn frame or window has no object that is large enough.
    """
    frames, table, focus = _choose_focus(movie, num_frames, rng)
    if not len(table.ids):
        return None
    diameter = _diameter(table.boxes[focus])
    usual = STILL_DIAMETERS if num_frames == 1 else USUAL_DIAMETERS
    wanted = _draw_diameter(usual, rng)
    window = _choose_window(table.boxes[focus], wanted / diameter, movie.labels.shape[1:], rng)
    # Stills get all their motion here; movies have their own and sometimes a moving stage.
    strength = 1.0 if len(movie) == 1 else float(rng.choice([0.0, 0.0, 0.4]))
    motion = augment.still_motion(rng, num_frames, window.scale * diameter, strength)
    grid = augment.clip_grid(window.matrix, window.centre, motion)
    chosen = _choose_objects(table, focus, window, num_objects, rng)
    padding = _choose_padding(movie, table.boxes[chosen], rng)
    images, masks, background = _warp(movie, frames, grid, table.pick(chosen), padding)
    if movie.traced:
        masks = _trace(masks)
    kept = torch.nonzero(masks[0].flatten(1).sum(1) >= SMALLEST_AREA)[:, 0]
    if not len(kept):
        return None
    masks = masks[:, kept[torch.arange(num_objects) % len(kept)]]
    masks = move_contours(masks, background, draw_move(masks, rng))
    for _ in range(_VANISH_TRIES):
        if num_frames > 1 and rng.random() < _VANISH_SHARE[min(len(movie), 2) - 1]:
            images, masks = vanish(images, masks, background, rng)
    return light(images, masks, rng).contiguous(), masks


def _choose_focus(
    movie: LabelledMovie, num_frames: int, rng: np.random.Generator
) -> tuple[IntArray, ObjectTable, int]:
    """Frames, the objects of the first that are large enough, and the row of the first object."""
    smallest = _SMALLEST_PROFILE if movie.traced else _SMALLEST_SOURCE_AREA
    leaver = None
    # Profiles of a traced body come and go by themselves; frames without labels say nothing.
    is_told = not movie.traced and movie.annotated is None
    if num_frames > 1 and len(movie) > 1 and is_told and rng.random() < LEAVER_SHARE:
        leaver = choose_leaver(movie, num_frames, smallest, rng)
    if leaver is None:
        frames = _choose_frames(len(movie), movie.max_stride, num_frames, rng)
    else:
        frames = leaver.frames
    table = movie.objects(int(frames[0]))
    table = table.pick(table.areas >= smallest)
    if leaver is not None:
        return frames, table, int(np.flatnonzero(table.ids == leaver.number)[0])
    return frames, table, int(rng.integers(max(len(table.ids), 1)))


def _choose_frames(
    length: int, max_stride: int, num_frames: int, rng: np.random.Generator
) -> IntArray:
    if length == 1:
        return np.zeros(num_frames, np.int64)
    fitting = max((length - 1) // max(num_frames - 1, 1), 1)
    stride = int(rng.integers(1, min(max_stride, fitting) + 1))
    span = stride * (num_frames - 1)
    start = int(rng.integers(0, max(length - span, 1)))
    frames = np.minimum(start + stride * np.arange(num_frames), length - 1)
    return frames[::-1] if rng.random() < 0.5 else frames


def _diameter(box: IntArray) -> float:
    # Between the mean and the largest extent, so that long cells still fit the window.
    extent = np.maximum(box[2:] - box[:2], 1)
    return 0.5 * float(np.sqrt(extent.prod())) + 0.5 * float(extent.max())


def _draw_diameter(usual: tuple[float, float], rng: np.random.Generator) -> float:
    limits = usual if rng.random() < _USUAL_SHARE else DIAMETERS
    return float(np.exp(rng.uniform(*np.log(limits))))


def _choose_window(
    box: IntArray, wanted: float, shape: Sequence[int], rng: np.random.Generator
) -> _Window:
    # Mostly no larger than the source: the rest would be padding.
    least = (0.75 if rng.random() < 0.1 else 1.0) * augment.SIDE / min(shape)
    least = max(SCALES[0], min(least, SCALES[1]))
    scale = float(np.clip(wanted, least, SCALES[1]))
    side = augment.SIDE / scale
    middle = (box[:2] + box[2:] - 1) / 2
    extent = np.maximum(box[2:] - box[:2], 1)
    # A view that follows an object holds it near the middle; other views hold it anywhere.
    loose = 0.15 if rng.random() < 0.4 else 0.5
    centre = middle + rng.uniform(-loose, loose, 2) * np.maximum(side - extent, 0.2 * side)
    # Seldom the window looks over the border of the source, by a fifth of its side at most.
    size = np.asarray(shape, float)
    reach = np.minimum(side / 2, size / 2) * (0.6 if rng.random() < 0.1 else 1.0)
    centre = np.clip(centre, reach - 0.5, size - reach - 0.5)
    free = rng.random() < 0.4
    matrix = augment.base_matrix(rng, scale, free)
    return _Window(centre.astype(np.float32), matrix, scale)


def _choose_objects(
    table: ObjectTable, focus: int, window: _Window, num_objects: int, rng: np.random.Generator
) -> IntArray:
    """Rows: the first object, then mostly its nearest neighbours, the hardest to tell from it."""
    middles = (table.boxes[:, :2] + table.boxes[:, 2:]) / 2
    near = np.abs(middles - window.centre) < augment.SIDE / window.scale / 2
    inside = np.all(near, axis=1)
    inside[focus] = False
    others = np.flatnonzero(inside)
    away = middles[others] - middles[focus]
    gaps = np.hypot(away[:, 0], away[:, 1])
    if rng.random() < 0.3:
        gaps = rng.random(len(others))
    order = others[np.argsort(gaps, kind="stable")]
    # More than asked for: those that turn out too small in the window are dropped.
    return np.concatenate([[focus], order[: num_objects + 1]]).astype(np.int64)


def _choose_padding(movie: LabelledMovie, boxes: IntArray, rng: np.random.Generator) -> str:
    """Choose what lies outside: a mirror image, the border (as in the predictor) or zero."""
    shape = np.asarray(movie.labels.shape[1:])
    is_cut = bool((boxes[:, :2] <= 0).any() or (boxes[:, 2:] >= shape).any())
    # Mirrored, an object at the border would seem twice as large as its mask.
    if len(movie) == 1 and not is_cut and rng.random() < 0.7:
        return "reflection"
    return "border" if rng.random() < 0.75 else "zeros"


def _warp(
    movie: LabelledMovie,
    frames: IntArray,
    grid: torch.Tensor,
    table: ObjectTable,
    padding: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images (T, C, H, W) float32, masks (T, N, H, W) bool, background (T, 1, H, W) bool."""
    window, origin = _covered(grid, movie.labels.shape[1:])
    steps = frames[:1] if len(movie) == 1 else frames
    pixels = np.stack([movie.images[step][window] for step in steps]).astype(np.float32)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    labels = np.stack([movie.labels[step][window] for step in steps])[:, None]
    layers = np.concatenate([labels == number for number in table.ids] + [labels == 0], 1)
    if table.part_map is not None and table.parts is not None:
        layers[0, :-1] = table.part_map[window] == table.parts[:, None, None]
    values = torch.from_numpy(np.ascontiguousarray(pixels))
    masks = torch.from_numpy(layers.astype(np.float32))
    offset = torch.tensor(origin, dtype=torch.float32)
    factor = _shrink_by(grid)
    if factor > 1:
        # Averaging before sampling keeps fine noise from turning into coarse noise.
        pool = torch.nn.functional.avg_pool2d
        values, masks = (pool(part, factor, ceil_mode=True) for part in (values, masks))
    places = (grid - offset - (factor - 1) / 2) / factor
    values, masks = (part.expand(len(frames), -1, -1, -1) for part in (values, masks))
    images = augment.sample(values, places, padding)
    inside = augment.sample(masks, places, "zeros") > 0.5
    return images, inside[:, :-1], inside[:, -1:]


def _covered(
    grid: torch.Tensor, shape: Sequence[int]
) -> tuple[tuple[slice, slice], tuple[int, int]]:
    """Find the part of the source that a grid reads, at least 2 x 2 pixels, and its corner."""
    starts, stops = [], []
    for axis, size in enumerate(shape):
        low, high = float(grid[..., axis].min()), float(grid[..., axis].max())
        start = int(np.clip(np.floor(low), 0, size - 2))
        starts.append(start)
        stops.append(int(np.clip(np.ceil(high) + 1, start + 2, size)))
    window = (slice(starts[0], stops[0]), slice(starts[1], stops[1]))
    return window, (starts[0], starts[1])


def _shrink_by(grid: torch.Tensor) -> int:
    across = float(torch.linalg.norm(grid[0, 0, -1] - grid[0, 0, 0])) / (augment.SIDE - 1)
    return max(int(across + 0.3), 1)


def _trace(masks: torch.Tensor) -> torch.Tensor:
    """Keep of each object, from the second frame on, the profiles that overlap the last ones."""
    traced = np.zeros(masks.shape, bool)
    traced[0] = masks[0].numpy()
    for index in range(masks.shape[1]):
        for frame in range(1, masks.shape[0]):
            parts, _ = ndimage.label(masks[frame, index].numpy())
            hit = np.unique(parts[traced[frame - 1, index]])
            if not hit.any():
                break
            traced[frame, index] = np.isin(parts, hit[hit > 0])
    return torch.from_numpy(traced)
