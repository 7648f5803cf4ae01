"""Muon: matrices move along the orthogonal matrix that is nearest to their momentum.

PyTorch has this optimiser too, one matrix at a time. The network has 170 small ones of twenty
shapes: taken together, all of one shape in one product, a step on a GPU, which waits for every
kernel to be launched, is several times shorter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial that drives singular values towards one, from Jordan et al. 2024."""

_ROUNDS = 5
_SMALLEST_NORM = 1e-7
_RMS = 0.2
"""Root mean square of an update of AdamW, which Liu et al. 2025 give to Muon's."""


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices near one, by Newton and Schulz's iteration.

    Parameters
    ----------
    matrices : Tensor, (n, rows, columns) float32

    Returns
    -------
    Tensor, (n, rows, columns)
        Singular values of about 0.7 to 1.2, in bfloat16, which is exact enough for a direction.
    """
    first, third, fifth = _COEFFICIENTS
    x = matrices.bfloat16()
    is_tall = x.shape[1] > x.shape[2]
    if is_tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_SMALLEST_NORM)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        gram = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
        x = torch.baddbmm(x, gram, x, beta=first)
    return x.mT if is_tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, steps as long as those of AdamW, and weight decay apart.

    Parameters
    ----------
    params : iterable
        Matrices, or groups of them.
    lr, weight_decay, momentum : float

    Raises
    ------
    ValueError
        When a parameter is no matrix.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ValueError(f"Muon moves matrices, not {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        loss = None if closure is None else closure()
        by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor, float]]] = defaultdict(list)
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            if not moving:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(moving, 1.0 - group["lr"] * group["weight_decay"])
            for parameter, wanted in zip(moving, self._momenta(moving, group), strict=True):
                by_shape[tuple(parameter.shape)].append((parameter, wanted, group["lr"]))
        for (rows, columns), entries in by_shape.items():
            moves = orthogonalise(torch.stack([wanted for _, wanted, _ in entries])).float()
            lengths = [-_RMS * max(rows, columns) ** 0.5 * rate for _, _, rate in entries]
            parameters = [parameter for parameter, _, _ in entries]
            torch._foreach_add_(parameters, torch._foreach_mul(list(moves), lengths))
        return loss

    def _momenta(self, moving: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """Add the gradients to the momenta; where each parameter wants to go."""
        held = []
        for parameter in moving:
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            held.append(state["momentum_buffer"])
        gradients = [parameter.grad for parameter in moving if parameter.grad is not None]
        torch._foreach_lerp_(held, gradients, 1.0 - group["momentum"])
        return list(torch._foreach_lerp(gradients, held, group["momentum"]))
