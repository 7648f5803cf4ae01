"""The clip that both sides see, and where its objects are clicked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tests.parity.seeding import seeded_images

SIDE = 1024
"""Pixels of a frame's side: what the published networks take, so neither side resizes."""

NUM_FRAMES = 40

FILLED = 16
"""Frames that are behind the first timed one: enough for a full memory bank."""


def frames(count: int = NUM_FRAMES, side: int = SIDE) -> NDArray[np.uint8]:
    """Colour frames (T, S, S, 3); four different ones in turn, since content costs no time."""
    few = seeded_images(min(count, 4), side).sigmoid()  # (4, 3, S, S)
    colours = (255 * few).round().byte().permute(0, 2, 3, 1).numpy()
    return colours[np.arange(count) % len(colours)]


def clicks(objects: int, side: int = SIDE) -> list[tuple[float, float]]:
    """One (x, y) an object, spread over the frame."""
    across = int(np.ceil(objects**0.5))
    step = side / across
    return [((i % across + 0.5) * step, (i // across + 0.5) * step) for i in range(objects)]
