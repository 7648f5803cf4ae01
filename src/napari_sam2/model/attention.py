"""Multi-head attention with separate projections, as the decoder and memory attention use it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.linear import Linear


class Attention(nn.Module):
    """Project, attend, project back.

    Parameters
    ----------
    dim : int
        Channels of queries and of the result.
    num_heads : int
        Number of heads.
    downsample : int
        Factor by which the inner width is smaller than ``dim``.
    key_dim : int or None
        Channels of keys and values, ``dim`` if None.
    """

    def __init__(
        self, dim: int, num_heads: int, downsample: int = 1, key_dim: int | None = None
    ) -> None:
        super().__init__()
        inner = dim // downsample
        key_dim = dim if key_dim is None else key_dim
        self.num_heads = num_heads
        self.q_proj = Linear(dim, inner)
        self.k_proj = Linear(key_dim, inner)
        self.v_proj = Linear(key_dim, inner)
        self.out_proj = Linear(inner, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from (B, N, C) to keys (B, N', C') and values (B, N', C')."""
        out = F.scaled_dot_product_attention(
            self._split_heads(self.q_proj(query)),
            self._split_heads(self.k_proj(key)),
            self._split_heads(self.v_proj(value)),
        )  # (B, heads, N, D)
        result: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))  # (B, N, C)
        return result

    def _split_heads(self, x: Tensor) -> Tensor:
        rows, count, channels = x.shape
        heads = x.reshape(rows, count, self.num_heads, channels // self.num_heads)
        return heads.transpose(1, 2)  # (B, heads, N, D)
