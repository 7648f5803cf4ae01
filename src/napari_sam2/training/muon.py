"""Muon: matrices move along the orthogonal matrix that is nearest to their momentum.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); steps as long as
those of AdamW by Liu et al., "Muon is scalable for LLM training" (2025). PyTorch has it, too, but
always computes in bfloat16, which a processor that has no instructions for it does slowly
(`python -m tests.benchmarks.bench_optimiser`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from napari_sam2.training.precision import product_dtype

__all__ = ["Muon", "orthogonalised"]

_MOMENTUM = 0.95
_ADAMW = 0.2
"""Root mean square of a step of AdamW over its rate (Liu et al.)."""

_COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of a quintic that brings singular values near 1 quickly, not exactly (Jordan et al.)."""
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Moves matrices; with Nesterov's momentum, and weight decay apart from the gradient.

    Parameters
    ----------
    groups : iterable of dict
        Parameters of two dimensions, with "weight_decay".
    rate : float
        Learning rate of groups that have none.

    Raises
    ------
    ValueError
        When a parameter is no matrix.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], rate: float = 1.0) -> None:
        super().__init__(groups, {"lr": rate, "weight_decay": 0.0, "momentum": _MOMENTUM})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    shape = tuple(parameter.shape)
                    raise ValueError(f"Muon moves matrices, not {shape}: give it to AdamW")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; a `closure` is not asked."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        way = orthogonalised(gradient.lerp(average, group["momentum"]))
        length = _ADAMW * math.sqrt(max(parameter.shape))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(way, alpha=-group["lr"] * length)


def orthogonalised(matrix: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return a matrix with singular values near 1, by Newton and Schulz's iteration.

    Parameters
    ----------
    matrix : Tensor, (M, N)
    dtype : torch.dtype, optional
        To compute in; what the device multiplies fast when absent.

    Returns
    -------
    Tensor, (M, N)
        Of the type of `matrix`; its singular vectors are the same.
    """
    linear, cubic, quintic = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = (matrix.T if is_tall else matrix).to(dtype or product_dtype(matrix.device))
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = found @ found.T
        found = linear * found + (cubic * gram + quintic * gram @ gram) @ found
    return (found.T if is_tall else found).to(matrix.dtype)
