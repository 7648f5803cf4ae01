"""AdamW with weight decay on matrices alone, and rates that fall towards the encoder's input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from napari_sam2.training.options import TrainOptions

_BLOCK = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.")
_BETAS = (0.9, 0.98)


def make_optimiser(model: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """Return AdamW over everything in `model` that learns.

    Each group of parameters has a "share" of the learning rate: one, but for the blocks of the
    image encoder, whose rates fall by `layer_decay` from each block to the one before it.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    names = [name for name, _ in model.named_parameters()]
    depth = 1 + max((_block(name, -1) for name in names), default=-1)
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() > 1 and "embed" not in name and "token" not in name
        share = options.layer_decay ** (depth - _block(name, depth))
        groups.setdefault((share, is_matrix), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "share": share,
                "weight_decay": options.weight_decay if is_matrix else 0.0,
            }
            for (share, is_matrix), parameters in groups.items()
        ],
        lr=options.learning_rate,
        betas=_BETAS,
        fused=True,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]


def _block(name: str, otherwise: int) -> int:
    """Return the number of the encoder's block that a parameter belongs to.

    Patches and positions count as the block before the first.
    """
    found = _BLOCK.search(name)
    if found:
        return int(found[1])
    return -1 if "image_encoder.trunk" in name else otherwise
