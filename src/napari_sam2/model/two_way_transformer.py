"""Two-way transformer: prompt tokens and image cells attend to each other."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.attention import Attention
from napari_sam2.model.layers import MLP

_NUM_HEADS = 8
_DEPTH = 2


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to image, feed-forward, image to tokens.

    Parameters
    ----------
    dim : int
        Channels of tokens and image cells.
    mlp_dim : int
        Width of the feed-forward layer.
    is_first : bool
        The first block replaces the tokens by their self-attention, without positions.
    """

    def __init__(self, dim: int, mlp_dim: int, is_first: bool) -> None:
        super().__init__()
        self.self_attn = Attention(dim, _NUM_HEADS)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, _NUM_HEADS, downsample=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, mlp_dim, dim, num_layers=2, activation=F.relu)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, _NUM_HEADS, downsample=2)
        self.is_first = is_first

    def forward(
        self, tokens: Tensor, cells: Tensor, token_positions: Tensor, cell_positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update tokens (B, N, C) and cells (B, h * w, C)."""
        if self.is_first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_positions
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_cells = cells + cell_positions
        attended = self.cross_attn_token_to_image(tokens + token_positions, placed_cells, cells)
        tokens = self.norm2(tokens + attended)
        tokens = self.norm3(tokens + self.mlp(tokens))
        attended = self.cross_attn_image_to_token(placed_cells, tokens + token_positions, tokens)
        return tokens, self.norm4(cells + attended)


class TwoWayTransformer(nn.Module):
    """Two blocks and a last look of the tokens at the image.

    Parameters
    ----------
    dim : int
        Channels of tokens and image cells.
    mlp_dim : int
        Width of the feed-forward layers.
    """

    def __init__(self, dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(dim, mlp_dim, is_first=index == 0) for index in range(_DEPTH)
        )
        self.final_attn_token_to_image = Attention(dim, _NUM_HEADS, downsample=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, image: Tensor, positions: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Decode.

        Parameters
        ----------
        image : Tensor, (B, C, h, w)
            Image features with the dense prompt added.
        positions : Tensor, (1, C, h, w)
            Position encoding of the cells.
        tokens : Tensor, (B, N, C)
            Output tokens, then prompt tokens; they are their own positions too.

        Returns
        -------
        tokens : Tensor, (B, N, C)
        image : Tensor, (B, C, h, w)
        """
        shape = image.shape
        cells = image.flatten(2).transpose(1, 2)  # (B, h * w, C)
        cell_positions = positions.flatten(2).transpose(1, 2)  # (1, h * w, C)
        queries = tokens
        for layer in self.layers:
            queries, cells = layer(queries, cells, tokens, cell_positions)
        placed = cells + cell_positions
        attended = self.final_attn_token_to_image(queries + tokens, placed, cells)
        queries = self.norm_final_attn(queries + attended)
        return queries, cells.transpose(1, 2).reshape(shape)  # (B, C, h, w)
