"""Training clips: a 256-pixel window of a few frames, with the masks of a few objects."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.utils.data import DataLoader, Dataset

from napari_sam2.training import augment
from napari_sam2.training.datasets import (
    LabelledMovie,
    ObjectTable,
    Split,
    interleave,
    read_dsb2018,
    read_em_fibsem,
    read_embryo3d,
)
from napari_sam2.training.synthetic import GENERATOR_VERSION, random_movie

#: Diameters in clip pixels that the first object is scaled to, log-uniform.
DIAMETERS = (20.0, 120.0)
#: Magnification in clip pixels per source pixel stays within these.
SCALES = (0.3, 5.0)
#: An object of fewer pixels on the first frame is not asked for.
SMALLEST_AREA = 24
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Clip:
    """One training example.

    Attributes
    ----------
    images : torch.Tensor
        (T, 3, H, W) float32 within 0..1, H = W = 256, not yet normalised by mean and deviation.
    masks : torch.Tensor
        (T, N, H, W) bool.  Every object is visible on the first frame and may be absent later;
        where the window holds fewer than N objects, objects are repeated.
    annotated : torch.Tensor
        (T,) bool; masks of other frames mean nothing.
    source : str
        Name of the movie.
    """

    images: torch.Tensor
    masks: torch.Tensor
    annotated: torch.Tensor
    source: str

    @property
    def present(self) -> torch.Tensor:
        """(T, N) bool: the object has pixels on the frame."""
        return self.masks.flatten(2).any(2)


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips stacked along a new first axis: images (B, T, 3, H, W), masks (B, T, N, H, W)."""

    images: torch.Tensor
    masks: torch.Tensor
    annotated: torch.Tensor
    sources: list[str]

    @property
    def present(self) -> torch.Tensor:
        """(B, T, N) bool: the object has pixels on the frame."""
        return self.masks.flatten(3).any(3)

    def pin_memory(self) -> ClipBatch:
        """The batch in page-locked memory, for a quick copy to a GPU."""
        pinned = (part.pin_memory() for part in (self.images, self.masks, self.annotated))
        return ClipBatch(*pinned, self.sources)


class MovieSet(Protocol):
    """Where a source gets its movies from."""

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """A random movie."""
        ...


@dataclass(frozen=True, slots=True)
class StoredMovies:
    """Movies in memory; kinds are drawn by the square root of their number."""

    movies: Sequence[LabelledMovie]
    _kinds: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        if not self.movies:
            raise ValueError("movies is empty; give at least one labelled movie.")
        object.__setattr__(self, "_kinds", interleave(self.movies))

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """A random movie."""
        groups = list(self._kinds.values())
        shares = np.sqrt([len(group) for group in groups])
        group = groups[rng.choice(len(groups), p=shares / shares.sum())]
        return self.movies[group[rng.integers(len(group))]]


@dataclass(frozen=True, slots=True)
class SyntheticMovies:
    """Synthetic movies, rendered when first drawn and kept on disk.

    Parameters
    ----------
    folder : pathlib.Path
        Where the movies are kept, about 2.5 MB each; may be removed at any time.
    count : int
        Number of different movies.
    first_seed : int
        Movie ``i`` has seed ``first_seed + i``.
    """

    folder: Path
    count: int = 400
    first_seed: int = 0
    frames: int = 12

    def draw(self, rng: np.random.Generator) -> LabelledMovie:
        """A random movie."""
        return self.movie(self.first_seed + int(rng.integers(self.count)))

    def movie(self, seed: int) -> LabelledMovie:
        """The movie of a seed, memory-mapped."""
        path = self.folder / f"v{GENERATOR_VERSION}_{self.frames}_{seed:08d}.npy"
        if not path.exists():
            self._render(seed, path)
        packed = np.load(path, mmap_mode="r")
        return LabelledMovie(f"synthetic {seed}", packed[0], packed[1], max_stride=2)

    def _render(self, seed: int, path: Path) -> None:
        movie = random_movie(seed, self.frames)
        labels = np.where(movie.labels < 256, movie.labels, 0).astype(np.uint8)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Several workers may render the same movie: each writes its own file, the last one wins.
        handle, partial = tempfile.mkstemp(dir=self.folder, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, np.stack([movie.images, labels]))
        os.replace(partial, path)


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A named set of movies from which clips are cut."""

    name: str
    movies: MovieSet

    def sample_clip(self, rng: np.random.Generator, num_frames: int, num_objects: int) -> Clip:
        """A random clip.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of all randomness: the same state gives the same clip.
        num_frames, num_objects : int
            T and N of the clip, at least 1.

        Raises
        ------
        RuntimeError
            If no window with an object is found, which means that the source has no objects.
        """
        for _ in range(_ATTEMPTS * 8):
            movie = self.movies.draw(rng)
            for _ in range(_ATTEMPTS):
                clip = _try_clip(movie, rng, num_frames, num_objects)
                if clip is not None:
                    return clip
        raise RuntimeError(f"source {self.name!r} holds no object of {SMALLEST_AREA} pixels.")


def clip_batches(
    sources: Sequence[ClipSource],
    weights: Sequence[float],
    *,
    batch: int,
    num_frames: int,
    num_objects: int,
    seed: int,
    start_step: int = 0,
    workers: int = 0,
) -> Iterator[ClipBatch]:
    """Endless batches; the batch of a step depends on ``seed`` and the step alone.

    Parameters
    ----------
    sources, weights : sequence
        Where clips come from and how often, relative.
    batch, num_frames, num_objects : int
        B, T and N.
    seed : int
        With the number of the step it fixes the batch, whatever ``workers`` is.
    start_step : int
        First step; a resumed run gets the batches that it would have got.
    workers : int
        Processes that prepare batches ahead; 0 prepares them in the caller.

    Yields
    ------
    ClipBatch
        The next batch.
    """
    if len(sources) != len(weights) or not sources:
        raise ValueError(f"{len(sources)} sources have {len(weights)} weights; give one for each.")
    if min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"weights {list(weights)} must be at least 0 and not all 0.")
    dataset = _Batches(sources, np.asarray(weights, float), (batch, num_frames, num_objects), seed)
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=_Steps(start_step),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def default_sources(
    data_root: Path | str, cache_dir: Path | str, split: Split = "train"
) -> tuple[list[ClipSource], list[float]]:
    """The sources that the bundled network is trained or validated on, and their weights.

    Parameters
    ----------
    data_root : path
        Folder of the annotated sets.
    cache_dir : path
        Folder where synthetic movies are kept.
    split : {"train", "validation"}
        The parts are disjoint; the embryo is for training only.
    """
    root, cache = Path(data_root), Path(cache_dir)
    stills = ClipSource("dsb2018", StoredMovies(read_dsb2018(root, split)))
    em = ClipSource("em_fibsem", StoredMovies(read_em_fibsem(root, split)))
    if split == "validation":
        made = ClipSource("synthetic", SyntheticMovies(cache, 40, first_seed=10_000_000))
        return [stills, made, em], [0.45, 0.45, 0.1]
    made = ClipSource("synthetic", SyntheticMovies(cache, 600))
    embryo = ClipSource("embryo3d", StoredMovies(read_embryo3d(root)))
    return [stills, made, em, embryo], [0.42, 0.44, 0.09, 0.05]


class _Steps:
    """The numbers of the steps, without end."""

    def __init__(self, start: int) -> None:
        self._start = start

    def __iter__(self) -> Iterator[int]:
        step = self._start
        while True:
            yield step
            step += 1


class _Batches(Dataset[ClipBatch]):
    def __init__(
        self,
        sources: Sequence[ClipSource],
        weights: NDArray[np.float64],
        size: tuple[int, int, int],
        seed: int,
    ) -> None:
        self._sources = sources
        self._weights = weights / weights.sum()
        self._size = size
        self._seed = seed

    def __getitem__(self, step: int) -> ClipBatch:
        batch, frames, objects = self._size
        clips = []
        for row in range(batch):
            rng = np.random.default_rng((self._seed, step, row))
            source = self._sources[rng.choice(len(self._sources), p=self._weights)]
            clips.append(source.sample_clip(rng, frames, objects))
        return ClipBatch(
            torch.stack([clip.images for clip in clips]),
            torch.stack([clip.masks for clip in clips]),
            torch.stack([clip.annotated for clip in clips]),
            [clip.source for clip in clips],
        )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


# ------------------------------------------------------------------------ one clip


def _try_clip(
    movie: LabelledMovie, rng: np.random.Generator, num_frames: int, num_objects: int
) -> Clip | None:
    frames = _choose_frames(len(movie), movie.max_stride, num_frames, rng)
    table = movie.objects(frames[0])
    table = _at_least(table, 12)
    if not len(table.ids):
        return None
    focus = int(rng.integers(len(table.ids)))
    box = table.boxes[focus]
    extent = np.maximum(box[2:] - box[:2], 1).astype(float)
    diameter = float(np.sqrt(extent.prod()) * 0.5 + extent.max() * 0.5)
    wanted = float(np.exp(rng.uniform(*np.log(DIAMETERS))))
    # A window much larger than the source would be mostly padding.
    least = max(SCALES[0], 0.75 * augment.SIDE / min(movie.labels.shape[1:]))
    scale = float(np.clip(wanted / diameter, least, max(SCALES[1], least)))
    matrix = augment.base_matrix(rng, scale, shear=0.15)
    centre = _window_centre(box, extent, scale, movie.labels.shape[1:], rng)
    moving = 1.0 if len(movie) == 1 else float(rng.choice([0.0, 0.4]))
    motion = augment.still_motion(rng, num_frames, scale * diameter, moving)
    grid = augment.clip_grid(matrix, centre, motion)
    chosen = _choose_objects(table, focus, centre, augment.SIDE / scale, num_objects, rng)
    images, masks = _cut(movie, frames, grid, chosen, rng)
    if movie.traced:
        masks = _trace(masks)
    kept = torch.nonzero(masks[0].flatten(1).sum(1) >= SMALLEST_AREA)[:, 0]
    if not len(kept):
        return None
    masks = masks[:, kept[torch.arange(num_objects) % len(kept)]]
    images = augment.vary_intensity(augment.normalise(images, rng), rng)
    return Clip(images.contiguous(), masks, torch.ones(num_frames, dtype=torch.bool), movie.name)


def _choose_frames(length: int, max_stride: int, num_frames: int, rng: np.random.Generator) -> Any:
    if length == 1:
        return np.zeros(num_frames, int)
    fitting = max((length - 1) // max(num_frames - 1, 1), 1)
    stride = int(rng.integers(1, min(max_stride, fitting) + 1))
    span = stride * (num_frames - 1)
    start = int(rng.integers(0, max(length - span, 1)))
    frames = np.minimum(start + stride * np.arange(num_frames), length - 1)
    return frames[::-1] if rng.random() < 0.5 else frames


def _at_least(table: ObjectTable, area: int) -> ObjectTable:
    keep = table.areas >= area
    return ObjectTable(table.ids[keep], table.boxes[keep], table.areas[keep])


def _window_centre(
    box: NDArray[np.int64],
    extent: NDArray[np.float64],
    scale: float,
    shape: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    side = augment.SIDE / scale
    middle = (box[:2] + box[2:] - 1) / 2
    # Views that follow an object hold it near the middle; other views hold it anywhere.
    loose = 0.15 if rng.random() < 0.4 else 0.5
    centre = middle + rng.uniform(-loose, loose, 2) * np.maximum(side - extent, 0.2 * side)
    half = side / 2
    size = np.asarray(shape, float)
    inside = np.clip(centre, np.minimum(half, size / 2), np.maximum(size - half, size / 2) - 1)
    return np.asarray(inside if rng.random() < 0.85 else centre, np.float32)


def _choose_objects(
    table: ObjectTable,
    focus: int,
    centre: NDArray[np.float32],
    side: float,
    num_objects: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Ids: the first object, then mostly its nearest neighbours, the hardest to tell from it."""
    middles = (table.boxes[:, :2] + table.boxes[:, 2:]) / 2
    inside = (np.abs(middles - centre) < side / 2).all(1)
    inside[focus] = False
    others = np.flatnonzero(inside)
    gaps = np.hypot(*(middles[others] - middles[focus]).T) if len(others) else np.zeros(0)
    if rng.random() < 0.3:
        gaps = rng.permutation(len(others))
    order = others[np.argsort(gaps + 0.0, kind="stable")]
    # Some more than asked for: those that turn out too small in the window are dropped.
    return np.asarray(table.ids[np.concatenate([[focus], order[: num_objects + 1]])], np.int64)


def _cut(
    movie: LabelledMovie,
    frames: Any,
    grid: torch.Tensor,
    ids: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = movie.labels.shape[1:]
    y0, x0 = (int(grid[..., axis].min().clamp(0, size - 2)) for axis, size in enumerate((height, width)))
    y1, x1 = (
        int(grid[..., axis].max().clamp(1, size - 1)) + 2 for axis, size in enumerate((height, width))
    )
    window = (slice(y0, max(y1, y0 + 2)), slice(x0, max(x1, x0 + 2)))
    steps = frames[:1] if len(movie) == 1 else frames
    pixels = np.stack([movie.images[step][window] for step in steps]).astype(np.float32)
    labels = np.stack([movie.labels[step][window] for step in steps])
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    layers = labels[:, None] == ids.astype(labels.dtype)[:, None, None]
    values = torch.from_numpy(np.ascontiguousarray(pixels))
    masks = torch.from_numpy(layers.astype(np.float32))
    origin, grid = (y0, x0), grid
    step = _shrink_by(grid)
    if step > 1:
        values, masks, grid, origin = _shrink(values, masks, grid, origin, step)
    values, masks = (part.expand(len(frames), -1, -1, -1) for part in (values, masks))
    padding = "border" if rng.random() < 0.5 else "zeros"
    images = augment.sample(values, grid, origin, padding)
    return images, augment.sample(masks, grid, origin) > 0.5


def _shrink_by(grid: torch.Tensor) -> int:
    across = grid[0, 0, -1] - grid[0, 0, 0]
    return max(int(float(torch.linalg.norm(across)) / (augment.SIDE - 1) + 0.3), 1)


def _shrink(
    values: torch.Tensor,
    masks: torch.Tensor,
    grid: torch.Tensor,
    origin: tuple[int, int],
    step: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, int]]:
    # Averaging before sampling keeps fine noise from turning into coarse noise.
    shift = torch.tensor(origin, dtype=torch.float32)
    grid = (grid - shift - (step - 1) / 2) / step
    pool = torch.nn.functional.avg_pool2d
    return pool(values, step, ceil_mode=True), pool(masks, step, ceil_mode=True), grid, (0, 0)


def _trace(masks: torch.Tensor) -> torch.Tensor:
    """Keep of each object the largest profile of the first frame and what overlaps it later."""
    traced = np.zeros(masks.shape, bool)
    for index in range(masks.shape[1]):
        before: NDArray[np.bool_] | None = None
        for frame in range(masks.shape[0]):
            parts, count = ndimage.label(masks[frame, index].numpy())
            if not count:
                break
            if before is None:
                sizes = np.bincount(parts.ravel())[1:]
                before = parts == int(sizes.argmax()) + 1
            else:
                hit = np.unique(parts[before])
                before = np.isin(parts, hit[hit > 0])
            traced[frame, index] = before
    return torch.from_numpy(traced)
