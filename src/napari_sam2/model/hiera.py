"""Hiera, the hierarchical vision transformer that SAM 2 uses as image encoder trunk."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.config import HieraConfig
from napari_sam2.model.layers import MLP, by_pieces
from napari_sam2.model.linear import Linear

_NORM_EPS = 1e-6

_PIECE = 2**20
"""Hidden values of the MLP that are computed at a time on a CPU, to stay in its cache."""


class PatchEmbedding(nn.Module):
    """Overlapping 7x7 patches at stride 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=7, stride=4, padding=3)

    def forward(self, images: Tensor) -> Tensor:
        """Embed (B, 3, H, W) as (B, H/4, W/4, C)."""
        patches: Tensor = self.proj(images)
        return patches.permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Multi-head self-attention over a map, its queries pooled at the start of a stage.

    Parameters
    ----------
    dim, dim_out : int
        Channels in and out.
    num_heads : int
        Heads that share ``dim_out``.
    pool : bool
        Halve the resolution of the queries by a 2x2 maximum.
    """

    def __init__(self, dim: int, dim_out: int, num_heads: int, pool: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pool = pool
        self.qkv = Linear(dim, 3 * dim_out)
        self.proj = Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each of B windows, (B, H, W, C) to (B, H', W', C')."""
        rows, height, width, _ = x.shape
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.pool:
            query = pool_2x2(query)
            height, width = query.shape[1:3]
        out = F.scaled_dot_product_attention(
            self._split_heads(query), self._split_heads(key), self._split_heads(value)
        )  # (B, heads, N, D)
        out = out.transpose(1, 2).reshape(rows, height, width, -1)  # (B, H', W', C')
        result: Tensor = self.proj(out)
        return result

    def _split_heads(self, x: Tensor) -> Tensor:
        rows, height, width, channels = x.shape
        heads = x.reshape(rows, height * width, self.num_heads, channels // self.num_heads)
        return heads.transpose(1, 2)  # (B, heads, N, D)


class HieraBlock(nn.Module):
    """One transformer block; the first of a stage halves the resolution.

    Parameters
    ----------
    dim, dim_out : int
        Channels in and out.
    num_heads : int
        Attention heads.
    window : int
        Window side in tokens of the input, 0 for attention over the whole map.
    pool : bool
        Whether this block halves the resolution.
    """

    def __init__(self, dim: int, dim_out: int, num_heads: int, window: int, pool: bool) -> None:
        super().__init__()
        self.window = window
        self.pool = pool
        self.norm1 = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.attn = WindowAttention(dim, dim_out, num_heads, pool)
        self.norm2 = nn.LayerNorm(dim_out, eps=_NORM_EPS)
        self.hidden = 4 * dim_out
        self.mlp = MLP(dim_out, self.hidden, dim_out, num_layers=2, activation=F.gelu)
        self.proj = Linear(dim, dim_out) if dim != dim_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, H, W, C) into (B, H', W', C')."""
        rows = max(1, _PIECE // (x.shape[0] * x.shape[2] * self.hidden))
        if self.window == 0:
            return by_pieces(self._transform, self._mix(x), rows)
        # Windows know nothing of each other, so rows of windows go through the block one by one.
        rows = self.window * max(1, rows // self.window)
        return by_pieces(lambda strip: self._transform(self._mix(strip)), x, rows)

    def _mix(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        shortcut = x
        if self.proj is not None:
            shortcut = self.proj(normed)
            shortcut = pool_2x2(shortcut) if self.pool else shortcut
        return shortcut + self._attend(normed, shortcut.shape[1], shortcut.shape[2])

    def _transform(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.mlp(self.norm2(x))
        return result

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        if self.window == 0:
            attended: Tensor = self.attn(x)
            return attended
        windows, padded = split_windows(x, self.window)
        windows = self.attn(windows)
        side = self.window // 2 if self.pool else self.window
        scale = 2 if self.pool else 1
        merged = merge_windows(windows, side, (padded[0] // scale, padded[1] // scale))
        return merged[:, :height, :width]


def pool_2x2(x: Tensor) -> Tensor:
    """Take the maximum of each 2x2 cells, (B, H, W, C) to (B, H/2, W/2, C)."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1)


def split_windows(x: Tensor, side: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut a map into square windows, padded with zeros at the far edges.

    Parameters
    ----------
    x : Tensor, (B, H, W, C)
    side : int
        Window side in cells.

    Returns
    -------
    windows : Tensor, (B * n, side, side, C)
    padded : tuple of 2 int
        Height and width after padding.
    """
    rows, height, width, channels = x.shape
    pad_y, pad_x = -height % side, -width % side
    if pad_y or pad_x:
        x = F.pad(x, (0, 0, 0, pad_x, 0, pad_y))
    padded = (height + pad_y, width + pad_x)
    x = x.reshape(rows, padded[0] // side, side, padded[1] // side, side, channels)
    x = x.transpose(2, 3).reshape(-1, side, side, channels)  # (B * n, side, side, C)
    return x, padded


def merge_windows(windows: Tensor, side: int, padded: tuple[int, int]) -> Tensor:
    """Put windows back into a map; the inverse of :func:`split_windows` but for the padding.

    Parameters
    ----------
    windows : Tensor, (B * n, side, side, C)
    side : int
        Window side in cells.
    padded : tuple of 2 int
        Height and width of the map with its padding.

    Returns
    -------
    Tensor, (B, H, W, C)
    """
    down, across = padded[0] // side, padded[1] // side
    x = windows.reshape(-1, down, across, side, side, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, padded[0], padded[1], windows.shape[-1])


class Hiera(nn.Module):
    """Four stages of windowed transformer blocks at strides 4, 8, 16 and 32.

    Parameters
    ----------
    config : HieraConfig
        Widths, depths, windows.
    """

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        width, window = config.embed_dim, config.window_spec[0]
        self.patch_embed = PatchEmbedding(width)
        self.pos_embed = nn.Parameter(torch.zeros(1, width, *config.position_grid))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, width, window, window))
        self.blocks = nn.ModuleList(_build_blocks(config))
        self.stage_ends = _stage_ends(config)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode images.

        Parameters
        ----------
        images : Tensor, (B, 3, H, W)
            Normalised; height and width in multiples of 32.

        Returns
        -------
        list of 4 Tensor, (B, C * 2**i, H / (4 * 2**i), W / (4 * 2**i))
            Finest first.
        """
        x = self.patch_embed(images)
        x = x + self._positions(x.shape[1], x.shape[2])
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))  # (B, C, H', W')
        return maps

    def _positions(self, height: int, width: int) -> Tensor:
        side = self.pos_embed_window.shape[-1]
        tiled = self.pos_embed_window.repeat(1, 1, -(-height // side), -(-width // side))
        down = _bicubic_weights(self.pos_embed.shape[2], height, tiled.device)  # (H0, H)
        across = _bicubic_weights(self.pos_embed.shape[3], width, tiled.device)  # (W0, W)
        # Interpolation is done in float32 whatever the products of the network are done in.
        with torch.autocast(tiled.device.type, enabled=False):
            coarse = down.t() @ (self.pos_embed.float() @ across)
        positions = coarse.to(tiled.dtype) + tiled[:, :, :height, :width]
        return positions.permute(0, 2, 3, 1)  # (1, H, W, C)


@lru_cache(maxsize=64)
def _bicubic_weights(size: int, target: int, device: torch.device) -> Tensor:
    """Matrix (size, target) that interpolates ``size`` values to ``target``.

    Bicubic interpolation is linear and separable, so two small products with the weights of each
    axis do what would otherwise be worked out pixel by pixel for every image.
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        unit = torch.eye(size, device=device)[:, None, :, None]  # (size, 1, size, 1)
        return F.interpolate(unit, size=(target, 1), mode="bicubic")[:, 0, :, 0]


def _stage_ends(config: HieraConfig) -> tuple[int, ...]:
    return tuple(sum(config.stages[: i + 1]) - 1 for i in range(4))


def _build_blocks(config: HieraConfig) -> list[HieraBlock]:
    blocks: list[HieraBlock] = []
    dim = config.embed_dim
    for stage, depth in enumerate(config.stages):
        for step in range(depth):
            opens_stage = stage > 0 and step == 0
            # The block that opens a stage still sees the finer map, so it uses that map's window.
            window = config.window_spec[stage - 1 if opens_stage else stage]
            if len(blocks) in config.global_blocks:
                window = 0
            dim_out = config.channels[stage]
            heads = config.num_heads * 2**stage
            blocks.append(HieraBlock(dim, dim_out, heads, window, pool=opens_stage))
            dim = dim_out
    return blocks
