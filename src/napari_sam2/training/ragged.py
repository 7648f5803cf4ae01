"""Masks as a network draws them when it follows a cell badly: ragged, in part, with something else.

Samples of the division network are drawn with masks near the truth. A cell that is followed badly
is what it is wrong about: half of a mask, or one with a piece of a neighbour, looks like a cell
that divides as soon as the picture has an edge there; and so does one that was drawn around the
chromosomes alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ragged"]

_GRIDS = (8, 16)  # cells of smooth noise along a side of the crop
_MOST = 0.35  # of the noise, beside a blurred mask of 0 to 1
_BLUR = 9  # pixels of the crop, twice: how far contours go astray
_RAGGED, _CUT, _PIECE, _BRIGHT = 0.5, 0.12, 0.12, 0.15  # of the masks
_LOWEST, _HIGHEST = -0.5, 0.7  # deviations from the mean above which a part is bright


def ragged(masks: Tensor, pictures: Tensor) -> Tensor:
    """Return masks that are wrong in one way or another, or in none.

    Parameters
    ----------
    masks : Tensor, (B, 1, H, W)
        0 to 1.
    pictures : Tensor, (B, 1, H, W)
        What they are masks of, in any unit.

    Returns
    -------
    Tensor, (B, 1, H, W)
        0 to 1; a mask of which nothing would be left stays as it was.
    """
    rows = len(masks)
    rough = _cut(_with_piece(_bright_part(masks, pictures)))
    soft = rough
    for _ in range(2):
        soft = functional.avg_pool2d(soft, _BLUR, 1, _BLUR // 2)
    # Noise counts where the blurred mask is neither: nothing is drawn far away.
    amount = _MOST * torch.rand(rows, 1, 1, 1)
    wrong = soft + amount * _noise(masks) * (soft > 0.02)
    is_ragged = torch.rand(rows, 1, 1, 1) < _RAGGED
    changed = torch.where(is_ragged, ((wrong - 0.5) * 8 + 0.5).clamp(0, 1), rough)
    is_left = (changed > 0.5).flatten(1).sum(1) >= 4
    return torch.where(is_left[:, None, None, None], changed, masks)


def _noise(masks: Tensor) -> Tensor:
    """Return smooth noise of unit deviation at its grid, as large as the masks."""
    size = masks.shape[-2:]
    fields = [
        functional.interpolate(
            torch.randn(len(masks), 1, cells, cells), size, mode="bilinear", align_corners=False
        )
        for cells in _GRIDS
    ]
    return sum(fields, torch.zeros(())) / len(fields) ** 0.5


def _bright_part(masks: Tensor, pictures: Tensor) -> Tensor:
    """Leave of some masks what is brighter than the rest of the cell."""
    smooth = functional.avg_pool2d(pictures, 3, 1, 1)
    area = masks.sum((2, 3), keepdim=True).clamp(min=1e-3)
    mean = (smooth * masks).sum((2, 3), keepdim=True) / area
    deviation = ((smooth - mean).square() * masks).sum((2, 3), keepdim=True).div(area).sqrt()
    rows = len(masks)
    least = mean + deviation * (_LOWEST + (_HIGHEST - _LOWEST) * torch.rand(rows, 1, 1, 1))
    is_part = torch.rand(rows, 1, 1, 1) < _BRIGHT
    return masks * (~is_part | (smooth > least))


def _cut(masks: Tensor) -> Tensor:
    """Take a side away from some masks, along a line near their middle."""
    rows, (y, x) = len(masks), _plane(masks)
    angle = 2 * torch.pi * torch.rand(rows, 1, 1)
    side = y * torch.sin(angle) + x * torch.cos(angle) - 0.15 * torch.randn(rows, 1, 1)
    is_cut = torch.rand(rows, 1, 1) < _CUT
    return masks * (~is_cut | (side < 0))[:, None]


def _with_piece(masks: Tensor) -> Tensor:
    """Add a disk beside some masks."""
    rows, (y, x) = len(masks), _plane(masks)
    angle, away = 2 * torch.pi * torch.rand(rows, 1, 1), 0.3 + 0.5 * torch.rand(rows, 1, 1)
    radius = 0.08 + 0.2 * torch.rand(rows, 1, 1)
    off = (y - away * torch.sin(angle)) ** 2 + (x - away * torch.cos(angle)) ** 2
    is_there = (off < radius**2) & (torch.rand(rows, 1, 1) < _PIECE)
    return torch.maximum(masks, is_there[:, None].float())


def _plane(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places of pixels, -1 to 1 from side to side, each (H, W)."""
    rows, columns = (torch.linspace(-1, 1, size) for size in masks.shape[-2:])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y, x
