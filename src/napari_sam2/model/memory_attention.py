"""Memory attention: the current frame looks at what is remembered of each object."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.attention import Attention
from napari_sam2.model.config import SAM2Config
from napari_sam2.model.layers import by_pieces
from napari_sam2.model.linear import Linear
from napari_sam2.model.outputs import MemoryTokens
from napari_sam2.model.position import moved_rotary_table, rotary_table, rotate, sine_map
from napari_sam2.model.row_attention import attend_rows, is_worthwhile

_POSITION_WEIGHT = 0.1
"""Weight of the frame's own position encoding at the input, as in the reference."""

_PIECE = 512
"""Cells that pass the feed-forward layers at a time on a CPU."""


class RotarySelfAttention(Attention):
    """Single-head attention of a map to itself with rotary positions."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, num_heads=1)

    def attend(self, cells: Tensor, table: Tensor) -> Tensor:
        """Attend within (B, h * w, C)."""
        query = rotate(self.q_proj(cells), table)[:, None]  # (B, 1, N, C)
        key = rotate(self.k_proj(cells), table)[:, None]
        value = self.v_proj(cells)[:, None]
        out = F.scaled_dot_product_attention(query, key, value)[:, 0]  # (B, N, C)
        result: Tensor = self.out_proj(out)
        return result


class RotaryCrossAttention(Attention):
    """Single-head attention of a map to memories; pointers have no place, so no rotation."""

    def __init__(self, dim: int, memory_dim: int) -> None:
        super().__init__(dim, num_heads=1, key_dim=memory_dim)

    def attend(
        self, cells: Tensor, memory: MemoryTokens, table: Tensor, grid: tuple[int, int]
    ) -> Tensor:
        """Attend from (b, h * w, C) to B memories; the result is (B, h * w, C)."""
        rows = memory.tokens.shape[0]
        query = rotate(self.q_proj(cells), table)  # (b, N, C)
        if is_worthwhile(query, memory):
            averaged = attend_rows(query, memory, self.k_proj, table, grid)  # (B, N, Cm)
            if averaged.isfinite().all():
                folded: Tensor = self.out_proj(self.v_proj(averaged))
                return folded
        query = query.expand(rows, -1, -1)[:, None]  # (B, 1, N, C)
        key = self.k_proj(memory.tokens + memory.positions)  # (B, N', C)
        if memory.moves is not None:
            table = moved_rotary_table(table, memory.moves)  # (B, K * h * w, C/2)
        spatial = rotate(key[:, : memory.num_spatial], table)
        key = torch.cat([spatial, key[:, memory.num_spatial :]], dim=1)[:, None]
        value = self.v_proj(memory.tokens)[:, None]
        out = F.scaled_dot_product_attention(query, key, value)[:, 0]  # (B, N, C)
        result: Tensor = self.out_proj(out)
        return result


class MemoryAttentionLayer(nn.Module):
    """Self-attention, cross-attention to memory, feed-forward; all with norms before.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.self_attn = RotarySelfAttention(dim)
        self.cross_attn_image = RotaryCrossAttention(dim, config.memory_dim)
        self.linear1 = Linear(dim, config.memory_ffn)
        self.linear2 = Linear(config.memory_ffn, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(
        self, cells: Tensor, memory: MemoryTokens, table: Tensor, grid: tuple[int, int]
    ) -> Tensor:
        """Transform (b, h * w, C) into (B, h * w, C)."""
        cells = cells + self.self_attn.attend(self.norm1(cells), table)
        cells = cells + self.cross_attn_image.attend(self.norm2(cells), memory, table, grid)
        return by_pieces(self._transform, cells, max(1, _PIECE // cells.shape[0]))

    def _transform(self, cells: Tensor) -> Tensor:
        result: Tensor = cells + self.linear2(F.relu(self.linear1(self.norm3(cells))))
        return result


class MemoryAttention(nn.Module):
    """A stack of layers and a last norm.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network.

    Notes
    -----
    Until the first cross-attention nothing depends on the object, so objects that share a frame
    share the first self-attention: the rows of the frame embedding are expanded to the rows of
    the memory only there.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            MemoryAttentionLayer(config) for _ in range(config.memory_layers)
        )
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(self, embedding: Tensor, memory: MemoryTokens) -> Tensor:
        """Condition a frame embedding on memories.

        Parameters
        ----------
        embedding : Tensor, (b, C, h, w)
            Of one frame shared by all objects, or one an object.
        memory : MemoryTokens
            Of B objects.

        Returns
        -------
        Tensor, (B, C, h, w)
        """
        height, width = embedding.shape[-2:]
        channels = embedding.shape[1]
        positions = sine_map(height, width, channels, embedding.device).to(embedding.dtype)
        x = (embedding + _POSITION_WEIGHT * positions).flatten(2).transpose(1, 2)  # (b, N, C)
        table = rotary_table(height, width, channels, embedding.device)
        for layer in self.layers:
            x = layer(x, memory, table, (height, width))
        return self.norm(x).transpose(1, 2).unflatten(2, (height, width))  # (B, C, h, w)
