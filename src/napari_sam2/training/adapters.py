"""Low-rank adapters: a few numbers that change a large matrix, and vanish into it at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["LowRank", "add_adapters", "merge_adapters"]


class LowRank(nn.Module):
    """Add the product of two thin matrices to a weight (Hu et al. 2021, LoRA).

    Parameters
    ----------
    shape : (int, int)
        Of the weight: outputs, inputs.
    rank : int
        Columns of the one matrix and rows of the other.
    """

    def __init__(self, shape: tuple[int, int], rank: int) -> None:
        super().__init__()
        outputs, inputs = shape
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        # Zero: with fresh adapters the network answers as it did.
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight."""
        return weight + self.up @ self.down


def add_adapters(module: nn.Module, rank: int) -> int:
    """Give every linear layer of a module an adapter, and freeze all else in it.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    rank : int
        Of the adapters; no larger than half of the smaller side of a matrix.

    Returns
    -------
    int
        Number of layers with an adapter.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    module.requires_grad_(False)
    for layer in layers:
        outputs, inputs = layer.weight.shape
        adapter = LowRank((outputs, inputs), max(1, min(rank, outputs // 2, inputs // 2)))
        parametrize.register_parametrization(layer, "weight", adapter)
    return len(layers)


def merge_adapters(module: nn.Module) -> None:
    """Write every adapter into the weight that it changes, so that plain layers are left."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
