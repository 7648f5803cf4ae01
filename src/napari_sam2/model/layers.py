"""Small layers that several parts of the network share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.linear import Linear, linear_gelu


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalise each pixel's channels; (B, C, H, W) to the same."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (B, C, H, W)


class MLP(nn.Module):
    """Linear layers with one activation between them.

    Parameters
    ----------
    dim_in, dim_hidden, dim_out : int
        Channels before, between and after.
    num_layers : int
        Number of linear layers.
    activation : callable
        Applied after every layer but the last.
    """

    def __init__(
        self,
        dim_in: int,
        dim_hidden: int,
        dim_out: int,
        num_layers: int,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        widths = [dim_in, *[dim_hidden] * (num_layers - 1), dim_out]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim_in) to (..., dim_out)."""
        for layer in self.layers[:-1]:
            is_gelu = self.activation is F.gelu
            x = linear_gelu(layer, x) if is_gelu else self.activation(layer(x))
        result: Tensor = self.layers[-1](x)
        return result


def by_pieces(function: Callable[[Tensor], Tensor], x: Tensor, length: int) -> Tensor:
    """Apply a function piece by piece where that is faster: on a CPU, without gradients.

    The intermediate results of a piece stay in the cache; those of a whole map would go to main
    memory and back, and be mapped anew by the operating system every time.

    Parameters
    ----------
    function : callable
        Must treat pieces of this length independently.
    x : Tensor, (B, N, ...)
        Cut along its second dimension.
    length : int
        Length of a piece.

    Returns
    -------
    Tensor, (B, N', ...)
    """
    if torch.is_grad_enabled() or x.device.type != "cpu" or x.shape[1] <= length:
        return function(x)
    return torch.cat([function(piece) for piece in x.split(length, dim=1)], dim=1)


def chain_pointwise(first: nn.Conv2d, second: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply two 1x1 convolutions as one.

    Two pointwise linear maps with nothing between them are one linear map. The product of the
    weights costs a few thousand multiplications, the intermediate map would cost millions.

    Parameters
    ----------
    first, second : Conv2d
        1x1 convolutions, applied in this order.
    x : Tensor, (B, C, H, W)

    Returns
    -------
    Tensor, (B, C', H, W)
    """
    outer = second.weight[:, :, 0, 0]  # (C', C1)
    weight = outer @ first.weight[:, :, 0, 0]  # (C', C)
    bias = None
    if first.bias is not None and second.bias is not None:
        bias = outer @ first.bias + second.bias  # (C',)
    return F.conv2d(x, weight[:, :, None, None], bias)
