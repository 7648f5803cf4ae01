"""Objects that are painted out: a departure for any clip, stills that were set in motion too."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from napari_sam2.training.augment import blur

_SHIFTS_TRIED = 16
#: Share of background that a patch must have to stand in for what is behind an object.
_FREE = 0.97
#: Pixels of background near an object that are enough to draw its replacement from.
_ENOUGH = 200
_FEATHER = 1.5
_GROWN = (3, 9)  # pixels beyond the mask that are painted over too: rims, halos, blur


def vanish(
    images: torch.Tensor, masks: torch.Tensor, background: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one object of a clip disappear from some frame on, or for some frames.

    Its place is filled from a neighbouring patch of background of the same frame, which carries
    the texture and the noise, raised or lowered to the level around the object; in a crowd, where
    there is no such patch, from single pixels of the background around it.

    Parameters
    ----------
    images : torch.Tensor
        (T, C, H, W) float32.
    masks : torch.Tensor
        (T, N, H, W) bool.
    background : torch.Tensor
        (T, 1, H, W) bool, pixels of no object.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    tuple
        Images and masks; the given ones where too little background is near.
    """
    frames = images.shape[0]
    index = int(rng.integers(masks.shape[1]))
    first = int(rng.integers(1, frames))
    last = frames if rng.random() < 0.7 else int(rng.integers(first + 1, frames + 1))
    span = slice(first, last)
    own = masks[span, index : index + 1]
    # Not over a neighbour that touches it.
    solid = dilate(own, int(rng.integers(*_GROWN))) & (background[span] | own)
    free = background[span] & ~dilate(own, 2)
    shift = _nearby_background(solid, free, rng)
    if shift is not None:
        fill = _patch(images[span], solid, free, shift)
    else:
        near = dilate(solid, 9) & free & ~solid
        if int(near.flatten(1).sum(1).min()) < _ENOUGH:
            return images, masks
        fill = _mixture(images[span], near, rng)
    images, masks = images.clone(), masks.clone()
    gone = masks[0, index].clone()
    cover = blur(solid.float(), _FEATHER).clamp(0, 1)
    images[span] = torch.lerp(images[span], fill, cover.expand_as(fill))
    # Repeated rows of the same object disappear together.
    same = [row for row in range(masks.shape[1]) if torch.equal(masks[0, row], gone)]
    masks[span, same] = False
    return images, masks


def dilate(solid: torch.Tensor, reach: int) -> torch.Tensor:
    """Grow (T, 1, H, W) bool by a square of half side ``reach``."""
    # Not max pooling: on a CPU it takes many times longer.
    wide = solid.numpy().astype(np.uint8)
    for axis in (-1, -2):
        wide = ndimage.maximum_filter1d(wide, 2 * reach + 1, axis=axis)
    return torch.from_numpy(wide > 0)


def _nearby_background(
    solid: torch.Tensor, free: torch.Tensor, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Move (y, x) from the object to a patch of its shape that is free on all frames."""
    places = solid[:, 0].nonzero()  # (P, 3)
    if not len(places):
        return None
    height, width = solid.shape[-2:]
    extent = places.amax(0)[1:] - places.amin(0)[1:] + 1
    places = places[:: max(1, len(places) // 2000)]
    for _ in range(_SHIFTS_TRIED):
        away = float(extent.max()) * rng.uniform(0.7, 2.2)
        angle = rng.uniform(0, 2 * np.pi)
        shift = (round(away * np.sin(angle)), round(away * np.cos(angle)))
        y, x = places[:, 1] + shift[0], places[:, 2] + shift[1]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        if not inside.all():
            continue
        if float(free[places[:, 0], 0, y, x].float().mean()) >= _FREE:
            return shift
    return None


def _patch(
    images: torch.Tensor, solid: torch.Tensor, free: torch.Tensor, shift: tuple[int, int]
) -> torch.Tensor:
    """Return what lies at a ``shift`` from every pixel, at the level of the ring around."""
    patch = images.roll((-shift[0], -shift[1]), dims=(-2, -1))
    free_there = free.roll((-shift[0], -shift[1]), dims=(-2, -1))
    ring = dilate(solid, 5) & ~solid & free & free_there
    count = ring.sum((-2, -1), keepdim=True)
    level = ((images - patch) * ring).sum((-2, -1), keepdim=True) / count.clamp(min=1)
    return patch + level


def _mixture(images: torch.Tensor, near: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return pixels drawn from those that are ``near``, half way to their median."""
    fill = torch.empty_like(images)
    for frame, where in enumerate(near[:, 0]):
        around = images[frame][:, where]  # (C, P)
        drawn = torch.from_numpy(rng.integers(around.shape[1], size=images.shape[-2:]))
        noise = blur(around[:, drawn][None], 1.0)[0]
        fill[frame] = 0.5 * (around.median(1).values[:, None, None] + noise)
    return fill
