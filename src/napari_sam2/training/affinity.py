"""A dense lesson beside the prompts: which feature cells belong to the same object.

A click reaches a whole cell only when the cells of one object resemble one another, and those
of its neighbours do not. Prompts teach that one object at a time; comparing all pairs of cells of
a frame teaches it at once, for the price of one matrix product. The head is thrown away at the
end of a run.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from napari_sam2.training.losses import near_weights, soft_target

_WIDTH = 64


class AffinityHead(nn.Module):
    """Logits of two cells of a frame being of one object.

    Parameters
    ----------
    dim : int
        Channels of the frame embedding.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, _WIDTH)
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def forward(self, embedding: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Compare the cells of b frames.

        Parameters
        ----------
        embedding : Tensor, (b, C, h, w)
        positions : Tensor, (1, C, h, w)

        Returns
        -------
        Tensor, (b, h * w, h * w) float32
        """
        cells = (embedding + positions).flatten(2).transpose(1, 2)  # (b, h * w, C)
        places = self.project(cells)  # (b, h * w, _WIDTH)
        affinity = (places @ places.transpose(1, 2)).float() / _WIDTH**0.5
        return affinity + self.bias


def affinity_loss(
    affinity: torch.Tensor, frames: torch.Tensor, masks: torch.Tensor, grid: tuple[int, int]
) -> torch.Tensor:
    """Return the mean cross-entropy of the affinities of all cells of every object.

    Parameters
    ----------
    affinity : Tensor, (b, h * w, h * w)
    frames : Tensor, (B,) int64
        Frame of each object.
    masks : Tensor, (B, H, W) bool
        None of them empty.
    grid : (int, int)
        h and w.

    Returns
    -------
    Tensor, ()
    """
    occupied = soft_target(masks, grid)  # (B, h, w)
    weights = near_weights(occupied).flatten(1)[:, None]  # (B, 1, h * w)
    target = occupied.flatten(1)  # (B, h * w)
    each = F.binary_cross_entropy_with_logits(
        affinity[frames], target[:, None].expand(-1, target.shape[1], -1), reduction="none"
    )  # (B, h * w, h * w)
    anchors = target / target.sum(1, keepdim=True)
    return ((each * weights).sum(2) * anchors).sum(1).mean()
