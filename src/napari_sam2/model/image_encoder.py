"""Image encoder: Hiera trunk and the feature pyramid neck on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.config import SAM2Config
from napari_sam2.model.hiera import Hiera
from napari_sam2.model.layers import chain_pointwise
from napari_sam2.model.outputs import ImageFeatures


class Lateral(nn.Module):
    """One 1x1 convolution of the neck; a module of its own because checkpoints name it so."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Project (B, C, H, W) to (B, C', H, W)."""
        result: Tensor = self.conv(x)
        return result


class FeaturePyramid(nn.Module):
    """Projections of the four trunk maps to one width, listed coarsest first."""

    def __init__(self, channels: tuple[int, ...], hidden_dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(c, hidden_dim) for c in reversed(channels))


class ImageEncoder(nn.Module):
    """Trunk and neck.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.trunk = Hiera(config.hiera)
        self.neck = FeaturePyramid(config.hiera.channels, config.hidden_dim)

    def project(
        self, maps: Sequence[Tensor], stride4: nn.Conv2d, stride8: nn.Conv2d
    ) -> ImageFeatures:
        """Turn the maps of the trunk into features for memory attention and the decoder.

        Parameters
        ----------
        maps : sequence of Tensor
            The four maps of the trunk, finest first.
        stride4, stride8 : Conv2d
            The decoder's 1x1 projections of the two finer maps. They follow the neck's 1x1
            projections directly, so each pair is applied as one.

        Returns
        -------
        ImageFeatures
        """
        finest, fine, middle, coarse = maps
        to_coarse, to_middle, to_fine, to_finest = cast(list[Lateral], list(self.neck.convs))
        # Only the stride-16 map receives the coarser one from above; as in the reference.
        embedding = to_middle(middle) + F.interpolate(to_coarse(coarse), scale_factor=2.0)
        return ImageFeatures(
            embedding=embedding,
            stride8=chain_pointwise(to_fine.conv, stride8, fine),
            stride4=chain_pointwise(to_finest.conv, stride4, finest),
        )
