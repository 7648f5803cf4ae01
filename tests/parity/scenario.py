"""The ten-frame run that both predictors make: what the user does, and when."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tests.parity.seeding import seeded_images
from torch import Tensor

from napari_sam2.model.config import IMAGE_MEAN, IMAGE_STD

NUM_FRAMES = 10

_OTHER_SCENE = (3, 4)
"""Frames on which the camera looks elsewhere, so that objects are absent."""


@dataclass(frozen=True)
class Clicks:
    """All points of an object on a frame so far, (x, y) as parts of the frame's side."""

    object_id: int
    frame: int
    xy: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """A box, (x0, y0, x1, y1) as parts of the frame's side."""

    object_id: int
    frame: int
    xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class Mask:
    """A painted disc: centre (x, y) and radius as parts of the frame's side."""

    object_id: int
    frame: int
    centre: tuple[float, float]
    radius: float

    def pixels(self, size: int) -> Tensor:
        """Paint it into a frame, (S, S) bool."""
        axis = torch.arange(size, dtype=torch.float32)
        dx, dy = axis - self.centre[0] * size, axis - self.centre[1] * size
        return dx[None] ** 2 + dy[:, None] ** 2 <= (self.radius * size) ** 2


Action = Clicks | Box | Mask

BEFORE: tuple[Action, ...] = (
    Clicks(1, 0, ((0.375, 0.5),), (1,)),
    Clicks(1, 0, ((0.375, 0.5), (0.75, 0.25)), (1, 0)),
    Box(2, 0, (0.125, 0.25, 0.5, 0.625)),
    Mask(1, 6, (0.5, 0.375), 0.2),
)
"""What is prompted before the first run: refined clicks, a box, and a mask on a later frame."""

CORRECTION: tuple[Action, ...] = (Clicks(2, 5, ((0.625, 0.375),), (1,)),)
"""A click on a tracked frame, after which the movie is run again."""


def movie(size: int) -> Tensor:
    """Colour frames of the run, (T, 3, S, S), float32, 0 to 1."""
    frames = seeded_images(NUM_FRAMES, size)
    elsewhere = seeded_images(NUM_FRAMES, size, seed=5)
    for frame in _OTHER_SCENE:
        frames[frame] = elsewhere[frame]
    return frames.sigmoid()


def normalised(frames: Tensor) -> Tensor:
    """Return colour frames as the network takes them."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGE_MEAN, IMAGE_STD))
    return (frames - mean) / std
