"""Memory encoder: a frame's features and an object's mask become one spatial memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_sam2.model.config import SAM2Config
from napari_sam2.model.layers import LayerNorm2d, by_pieces
from napari_sam2.model.linear import Linear, linear_gelu

_FUSER_DEPTH = 2
_LAYER_SCALE = 1e-6
_PIECE = 512
"""Cells that pass the pointwise layers at a time on a CPU."""


class MaskDownsampler(nn.Module):
    """Four strided convolutions from the input's resolution to the feature cells."""

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(4):
            layers += [
                nn.Conv2d(channels, 4 * channels, kernel_size=3, stride=2, padding=1),
                LayerNorm2d(4 * channels),
                nn.GELU(),
            ]
            channels *= 4
        layers.append(nn.Conv2d(channels, hidden_dim, kernel_size=1))
        self.encoder = nn.Sequential(*layers)

    def forward(self, masks: Tensor) -> Tensor:
        """Encode (B, 1, H, W) as (B, C, h, w)."""
        result: Tensor = self.encoder(masks)
        return result


class ConvNextBlock(nn.Module):
    """Depthwise 7x7 convolution and two pointwise layers, scaled and added."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = Linear(dim, 4 * dim)
        self.pwconv2 = Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), _LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, C, h, w)."""
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)  # (B, h, w, C)
        y = by_pieces(self._mix, y, max(1, _PIECE // (x.shape[0] * x.shape[3])))
        return x + y.permute(0, 3, 1, 2)  # (B, C, h, w)

    def _mix(self, y: Tensor) -> Tensor:
        return self.gamma * self.pwconv2(linear_gelu(self.pwconv1, y))


class Fuser(nn.Module):
    """Convolutions over the sum of features and mask."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvNextBlock(dim) for _ in range(_FUSER_DEPTH))

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, C, h, w)."""
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Features plus mask, fused and projected to the memory's width.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.mask_downsampler = MaskDownsampler(dim)
        self.pix_feat_proj = nn.Conv2d(dim, dim, kernel_size=1)
        self.fuser = Fuser(dim)
        self.out_proj = nn.Conv2d(dim, config.memory_dim, kernel_size=1)

    def forward(self, embedding: Tensor, masks: Tensor) -> Tensor:
        """Encode.

        Parameters
        ----------
        embedding : Tensor, (b, C, h, w)
            Frame embedding without memory.
        masks : Tensor, (B, 1, H, W)
            Already squashed and scaled; see ``SAM2.encode_memory``.

        Returns
        -------
        Tensor, (B, Cm, h, w)
        """
        fused = self.fuser(self.pix_feat_proj(embedding) + self.mask_downsampler(masks))
        result: Tensor = self.out_proj(fused)
        return result
