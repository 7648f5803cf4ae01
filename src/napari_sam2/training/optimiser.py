"""Muon for matrices and AdamW for the rest, with rates that fall towards the encoder's input."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_sam2.training.muon import Muon

if TYPE_CHECKING:
    from napari_sam2.training.options import TrainOptions

_BLOCK = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.")
_BETAS = (0.9, 0.98)


@dataclass(frozen=True, slots=True)
class Optimisers:
    """Several optimisers that step together, each over parameters of its own."""

    parts: tuple[torch.optim.Optimizer, ...]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters of all parts."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """Move every parameter along its gradient."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned.

        Raises
        ------
        ValueError
            When it is of other optimisers.
        """
        saved = state.get("parts", [])
        if len(saved) != len(self.parts):
            raise ValueError(f"{len(saved)} optimisers were saved, there are {len(self.parts)}")
        for part, one in zip(self.parts, saved, strict=True):
            part.load_state_dict(one)


def make_optimiser(model: nn.Module, options: TrainOptions) -> Optimisers:
    """Return what moves everything in `model` that learns.

    The rate of the blocks of the image encoder falls by `layer_decay` from each block to the one
    before it.
    """
    names = [name for name, _ in model.named_parameters()]
    depth = 1 + max((_block(name, -1) for name in names), default=-1)

    def share(name: str) -> float:
        return options.layer_decay ** (depth - _block(name, depth))

    return move_all(model, share, options.weight_decay, use_muon=options.muon)


def move_all(
    model: nn.Module, share: Callable[[str], float], weight_decay: float, *, use_muon: bool
) -> Optimisers:
    """Return optimisers of all parameters that require a gradient.

    Matrices between hidden layers are moved by Muon, all else by AdamW, with weight decay on
    matrices alone.

    Parameters
    ----------
    model : Module
    share : callable
        Takes the name of a parameter and gives its rate over that of the run; kept in each group
        as "share".
    weight_decay : float
    use_muon : bool
        Else AdamW moves everything.
    """
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.dim() > 1 and "embed" not in name and "token" not in name
            is_turned = use_muon and is_matrix and parameter.dim() == 2
            groups.setdefault((is_turned, share(name), is_matrix), []).append(parameter)
    turned, others = (
        [
            {"params": ps, "share": part, "weight_decay": weight_decay if is_matrix else 0.0}
            for (is_turned, part, is_matrix), ps in groups.items()
            if is_turned == wanted
        ]
        for wanted in (True, False)
    )
    parts: list[torch.optim.Optimizer] = []
    if turned:
        parts.append(Muon(turned))
    if others:
        parts.append(torch.optim.AdamW(others, lr=1.0, betas=_BETAS, fused=True))
    return Optimisers(tuple(parts))


def set_rate(optimiser: Optimisers, rate: float) -> None:
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
