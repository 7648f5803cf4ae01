"""Prompts as tokens; the only file of the network where (x, y) order exists."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_sam2.model.layers import LayerNorm2d
from napari_sam2.model.outputs import PromptEmbeddings
from napari_sam2.model.position import RandomFourierPosition

NEGATIVE, POSITIVE, BOX_START, BOX_END = 0, 1, 2, 3
"""Labels of a point: background click, foreground click, top left and bottom right of a box."""

PADDING = -1
"""Label of a point that is none."""


class PromptEncoder(nn.Module):
    """Points, boxes and masks to sparse and dense embeddings.

    Parameters
    ----------
    hidden_dim : int
        Channels of the embeddings.
    """

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.pe_layer = RandomFourierPosition(hidden_dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, hidden_dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, hidden_dim)
        self.no_mask_embed = nn.Embedding(1, hidden_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, hidden_dim, kernel_size=1),
        )

    def forward(
        self,
        points: Tensor | None,
        labels: Tensor | None,
        masks: Tensor | None,
        input_size: tuple[int, int],
        rows: int = 1,
    ) -> PromptEmbeddings:
        """Embed the prompts of B objects.

        Parameters
        ----------
        points : Tensor, (B, P, 2) or None
            (x, y) in input pixels, pixel centres at integers.
        labels : Tensor, (B, P), int, or None
            What each point is; see the constants of this module.
        masks : Tensor, (B, 1, H/4, W/4) or None
            Logits of a mask prompt.
        input_size : tuple of 2 int
            Height and width of the network input.
        rows : int
            Number of objects where neither points nor masks tell.

        Returns
        -------
        PromptEmbeddings
        """
        if points is not None:
            rows = points.shape[0]
        elif masks is not None:
            rows = masks.shape[0]
        return PromptEmbeddings(
            sparse=self._embed_points(points, labels, input_size, rows),
            dense=self._embed_masks(masks, input_size, rows),
        )

    def dense_positions(self, height: int, width: int) -> Tensor:
        """Position encoding of the feature cells, (1, C, h, w)."""
        return self.pe_layer.grid(height, width)

    def _embed_points(
        self, points: Tensor | None, labels: Tensor | None, size: tuple[int, int], rows: int
    ) -> Tensor:
        weight = self.not_a_point_embed.weight
        if points is None or labels is None:
            # Tracking without a prompt is a prompt of one empty point, as in training.
            points = weight.new_zeros(rows, 1, 2)
            labels = torch.full((rows, 1), PADDING, device=weight.device)
        # A padding point follows always: the published networks were trained with it.
        points = torch.cat([points + 0.5, points.new_zeros(rows, 1, 2)], dim=1)
        labels = torch.cat([labels, labels.new_full((rows, 1), PADDING)], dim=1)  # (B, P + 1)
        scale = points.new_tensor([size[1], size[0]])
        encoded = self.pe_layer(points / scale).to(weight.dtype)  # (B, P + 1, C)
        kinds: list[Tensor] = [kind.get_parameter("weight") for kind in self.point_embeddings]
        table = torch.cat([weight, *kinds])  # (5, C)
        is_point = (labels != PADDING)[..., None]
        return torch.where(is_point, encoded, 0.0) + table[labels.long() + 1]

    def _embed_masks(self, masks: Tensor | None, size: tuple[int, int], rows: int) -> Tensor:
        if masks is not None:
            embedded: Tensor = self.mask_downscaling(masks)
            return embedded
        empty = self.no_mask_embed.weight[:, :, None, None]  # (1, C, 1, 1)
        return empty.expand(rows, -1, size[0] // 16, size[1] // 16)
