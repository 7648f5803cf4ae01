"""Where people draw a contour: a little outside or inside of it, the same way all through a clip.

One annotator takes in the dim rim of a nucleus, another stops at half its brightness. A network
that has only seen one convention redraws every object by its own, and a mask that is tracked
shrinks or grows within a frame. Here the true masks of a clip are grown or shrunk together, so that
where the contour lies has to be taken from the prompt and from memory.
"""

from __future__ import annotations

import numpy as np
import torch

#: Chance that a clip is drawn in another convention: of one frame, and of several.
_SHARES = (0.25, 0.5)
#: Moves of the contour over the diameter of the smallest object, inwards and outwards.
_MOVES = (-0.06, 0.09)
_STILL = 0.5  # on one frame the move is smaller: a click says nothing about the convention
_MOST = 7  # pixels


def draw_move(masks: torch.Tensor, rng: np.random.Generator) -> int:
    """Draw by how many pixels the contours of a clip move, outwards if positive.

    Parameters
    ----------
    masks : Tensor, (T, N, H, W) bool
        Every object is on the first frame.
    rng : numpy.random.Generator
    """
    is_movie = masks.shape[0] > 1
    if rng.random() >= _SHARES[is_movie]:
        return 0
    diameter = float(masks[0].flatten(1).sum(1).min()) ** 0.5
    move = rng.uniform(*_MOVES) * diameter * (1.0 if is_movie else _STILL)
    return int(np.clip(np.rint(move), -_MOST, _MOST))


def move_contours(masks: torch.Tensor, background: torch.Tensor, pixels: int) -> torch.Tensor:
    """Grow masks into the background, or shrink them.

    Parameters
    ----------
    masks : Tensor, (T, N, H, W) bool
    background : Tensor, (T, 1, H, W) bool
        Pixels of no object: growing never takes from a neighbour.
    pixels : int
        Outwards if positive.

    Returns
    -------
    Tensor, (T, N, H, W) bool
        Where shrinking would leave nothing of an object on a frame, it stays as it is.
    """
    if pixels == 0:
        return masks
    if pixels > 0:
        return (_spread(masks, pixels) & background) | masks
    shrunk = ~_spread(~masks, -pixels)
    is_left = shrunk.flatten(2).any(2)[..., None, None]
    return torch.where(is_left, shrunk, masks)


def _spread(region: torch.Tensor, steps: int) -> torch.Tensor:
    """Grow regions (..., H, W) by an octagon: a cross and a square in turn.

    Slices, because pooling takes a hundred times longer on a CPU.
    """
    for step in range(steps):
        grown = region.clone()
        grown[..., 1:, :] |= region[..., :-1, :]
        grown[..., :-1, :] |= region[..., 1:, :]
        sideways = grown.clone() if step % 2 else region
        grown[..., 1:] |= sideways[..., :-1]
        grown[..., :-1] |= sideways[..., 1:]
        region = grown
    return region
