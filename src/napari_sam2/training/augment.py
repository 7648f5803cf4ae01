"""Random warps and intensity changes that make training clips out of images.

A warp maps pixels of the clip to pixels of the source.  Images and masks go through the same
grid, so that they stay aligned; motion grows with time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

#: Side of the clips in pixels: the input of the bundled network.
SIDE = 256


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion per clip, in clip pixels and radians; everything grows from 0 on the first frame.

    ``path`` is (T, 2) displacement y, x; ``turn`` and ``growth`` (log scale) are reached on the
    last frame; ``swirl`` is (2, k, k) coarse displacements reached on the last frame.
    """

    path: NDArray[np.float32]
    turn: float
    growth: float
    swirl: NDArray[np.float32] | None


def still_motion(
    rng: np.random.Generator, frames: int, diameter: float, strength: float = 1.0
) -> Motion:
    """Motion for objects of ``diameter`` clip pixels; one still in eight makes them leave."""
    leaving = frames > 1 and rng.random() < 0.125 * strength
    speed = rng.exponential(0.08 * strength) * diameter
    if leaving:
        speed = rng.uniform(0.5, 1.2) * SIDE / frames
    heading = rng.uniform(0, 2 * np.pi)
    drift = speed * np.array([np.sin(heading), np.cos(heading)])
    steps = drift + rng.normal(0, 0.03 * strength * diameter, (frames, 2))
    steps[0] = 0
    swirl = None
    if rng.random() < 0.7:
        # Coarse displacements of about the distance of cells, so that neighbours move apart.
        cells = int(np.clip(round(SIDE / (1.3 * diameter)) + 2, 3, 9))
        reach = rng.uniform(0.02, 0.22) * min(diameter, 70) * strength
        swirl = rng.normal(0, reach, (2, cells, cells)).astype(np.float32)
    return Motion(
        np.cumsum(steps, 0).astype(np.float32),
        float(rng.normal(0, 0.06 * strength) * (frames - 1)),
        float(rng.normal(0, 0.025 * strength) * (frames - 1)),
        swirl,
    )


def base_matrix(rng: np.random.Generator, scale: float, is_free: bool) -> NDArray[np.float32]:
    """Return the (2, 2) matrix from clip (y, x) offsets to source (y, x) offsets.

    ``scale`` is clip pixels per source pixel.  Always a quarter turn and a flip; where ``is_free``
    also a small rotation, a stretch and a shear.
    """
    angle = rng.integers(0, 4) * np.pi / 2
    matrix = np.diag([1.0, rng.choice([-1.0, 1.0])])
    if is_free:
        angle += rng.normal(0, 0.25)
        stretch = np.exp(rng.normal(0, 0.08))
        skew = np.array([[1.0, rng.normal(0, 0.08)], [0.0, 1.0]])
        matrix = matrix @ skew @ np.diag([stretch, 1 / stretch])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(np.array([[cos, -sin], [sin, cos]]) @ matrix / scale, np.float32)


def clip_grid(
    matrix: NDArray[np.float32], centre: NDArray[np.float32], motion: Motion
) -> torch.Tensor:
    """Source coordinates (T, SIDE, SIDE, 2) y, x of every clip pixel."""
    frames = len(motion.path)
    axis = torch.arange(SIDE, dtype=torch.float32) - (SIDE - 1) / 2
    offsets = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    share = torch.linspace(0, 1, frames) if frames > 1 else torch.zeros(1)
    grid = offsets.expand(frames, SIDE, SIDE, 2)
    if motion.swirl is not None and frames > 1:
        field = torch.from_numpy(motion.swirl)[None]
        field = F.interpolate(field, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
        grid = grid + share.view(-1, 1, 1, 1) * field[0].permute(1, 2, 0)
    # Content moves along the path, so the sampled place moves against it.
    turn, zoom = motion.turn * share, torch.exp(-motion.growth * share)
    rotation = torch.stack([torch.cos(turn), -torch.sin(turn), torch.sin(turn), torch.cos(turn)])
    rotation = (rotation * zoom).T.reshape(frames, 2, 2)
    moved = grid.reshape(frames, -1, 2) - torch.from_numpy(motion.path)[:, None]
    linear = torch.from_numpy(matrix) @ rotation
    source = moved @ linear.transpose(1, 2) + torch.from_numpy(centre)
    return source.reshape(frames, SIDE, SIDE, 2)


def sample(values: torch.Tensor, places: torch.Tensor, padding: str) -> torch.Tensor:
    """Bilinear values (T, C, h, w) at pixel places (T, H, W, 2) y, x; see ``grid_sample``."""
    height, width = values.shape[-2:]
    span = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=torch.float32)
    relative = 2 * places.flip(-1) / span - 1
    return F.grid_sample(values, relative, padding_mode=padding, align_corners=True)


def normalise(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Map percentiles of the clip to 0..1 per channel, as the predictor does, with jitter.

    ``images`` is (T, C, H, W) in any unit; the result is not clipped.
    """
    low_at, high_at = rng.uniform(0.0, 2.0), 100 - rng.exponential(0.35)
    sampled = images[:, :, ::5, ::3].transpose(0, 1).reshape(images.shape[1], -1).numpy()
    low, high = np.percentile(sampled, (low_at, max(high_at, 97.0)), axis=1).astype(np.float32)
    if images.shape[1] == 3 and rng.random() < 0.5:
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    low_t, high_t = torch.from_numpy(low).view(-1, 1, 1), torch.from_numpy(high).view(-1, 1, 1)
    # Limits chosen by hand may be too low: bright cells are then flat and white.
    brighter = float(rng.uniform(1.0, 3.0)) if rng.random() < 0.1 else 1.0
    return (images - low_t) * brighter / (high_t - low_t).clamp(min=1e-6)


def vary_intensity(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Normalised (T, C, H, W) with C 1 or 3 to augmented RGB (T, 3, H, W) within 0..1."""
    frames, channels = images.shape[:2]
    if channels == 3 and rng.random() < 0.4:
        mix = torch.from_numpy(rng.dirichlet((4, 4, 4)).astype(np.float32)).view(1, 3, 1, 1)
        images = (images * mix).sum(1, keepdim=True)
    elif channels == 3 and rng.random() < 0.3:
        images = images[:, torch.from_numpy(rng.permutation(3))]
    images = images.clamp(0, 1)
    if rng.random() < 0.2:
        images = 1 - images
    if rng.random() < 0.6:
        images = images ** float(np.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.3:
        base = float(rng.uniform(0, 0.35))
        images = base + images * float(rng.uniform(0.4, 1.0)) * (1 - base)
    if rng.random() < 0.2:
        images = blur(images, float(rng.uniform(0.5, 1.8)))
    if frames > 1 and rng.random() < 0.5:
        flicker = np.exp(rng.normal(0, 0.07, frames)).astype(np.float32)
        images = images * torch.from_numpy(flicker).view(-1, 1, 1, 1)
    if rng.random() < 0.4:
        sigma = float(np.exp(rng.uniform(np.log(0.008), np.log(0.12))))
        noise = rng.standard_normal(images.shape, dtype=np.float32)
        images = images + sigma * torch.from_numpy(noise)
    images = images.clamp(0, 1)
    if rng.random() < 0.3:
        images = _dim(images, rng)
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
        if rng.random() < 0.06:
            tint = torch.from_numpy(rng.uniform(0.0, 1.0, 3).astype(np.float32)).view(1, 3, 1, 1)
            images = images * tint / tint.max()
    return images


def _dim(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Turn the light down as limits for the brightest cell of a movie do for most of its cells.

    The clip has been mapped by its own range; a movie is mapped by one range for all, in which
    cells may be thirty times less bright than the brightest, on few levels.
    """
    dimmed = images * float(np.exp(-rng.uniform(0, np.log(25))))
    if rng.random() < 0.5:
        levels = float(rng.choice([127, 255]))
        dimmed = (dimmed * levels).round() / levels
    return dimmed


def blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth (T, C, H, W) by a Gaussian of standard deviation ``sigma`` pixels."""
    reach = int(3 * sigma) + 1
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / sigma) ** 2)
    taps = taps / taps.sum()
    flat = images.reshape(-1, 1, *images.shape[2:])
    flat = F.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(F.conv2d(flat, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))
    return flat.reshape(images.shape)
