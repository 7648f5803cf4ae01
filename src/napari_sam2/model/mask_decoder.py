"""Mask decoder: four candidate masks, their predicted IoU, and whether the object is there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.config import SAM2Config
from napari_sam2.model.layers import MLP, LayerNorm2d
from napari_sam2.model.outputs import DecoderOutput, ImageFeatures, PromptEmbeddings
from napari_sam2.model.two_way_transformer import TwoWayTransformer

NUM_MASK_TOKENS = 4
_IOU_HIDDEN = 256


class MaskDecoder(nn.Module):
    """Tokens meet the image, the image is upscaled, each mask token becomes a mask.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.transformer = TwoWayTransformer(dim, config.decoder_mlp)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(NUM_MASK_TOKENS, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        # These two belong to the image encoder's work (once a frame) but are the decoder's keys.
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim // 8, num_layers=3) for _ in range(NUM_MASK_TOKENS)
        )
        self.iou_prediction_head = MLP(dim, _IOU_HIDDEN, NUM_MASK_TOKENS, num_layers=3)
        self.pred_obj_score_head = MLP(dim, dim, 1, num_layers=3)

    def forward(
        self,
        embedding: Tensor,
        positions: Tensor,
        features: ImageFeatures,
        prompts: PromptEmbeddings,
    ) -> DecoderOutput:
        """Decode all four masks of B objects.

        Parameters
        ----------
        embedding : Tensor, (b, C, h, w)
            Frame embedding, conditioned on memory or not.
        positions : Tensor, (1, C, h, w)
            Position encoding of the cells.
        features : ImageFeatures
            For the skip connections at strides 8 and 4.
        prompts : PromptEmbeddings
            Of B objects.

        Returns
        -------
        DecoderOutput
        """
        tokens = self._tokens(prompts.sparse)
        decoded, image = self.transformer(embedding + prompts.dense, positions, tokens)
        mask_tokens = decoded[:, 2 : 2 + NUM_MASK_TOKENS]  # (B, 4, C)
        return DecoderOutput(
            logits=self._masks(image, mask_tokens, features),
            ious=self.iou_prediction_head(decoded[:, 1]).sigmoid(),
            tokens=mask_tokens,
            object_score=self.pred_obj_score_head(decoded[:, 0]),
        )

    def _tokens(self, sparse: Tensor) -> Tensor:
        own = torch.cat(
            [self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight]
        )
        return torch.cat([own.expand(sparse.shape[0], -1, -1), sparse], dim=1)  # (B, 6 + N, C)

    def _masks(self, image: Tensor, mask_tokens: Tensor, features: ImageFeatures) -> Tensor:
        to_stride8, norm, activation, to_stride4, last_activation = self.output_upscaling
        x = activation(norm(to_stride8(image) + features.stride8))
        x = last_activation(to_stride4(x) + features.stride4)  # (B, C/8, 4h, 4w)
        kernels = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )  # (B, 4, C/8)
        return (kernels @ x.flatten(2)).unflatten(2, x.shape[-2:])  # (B, 4, 4h, 4w)


_STABILITY_DELTA = 0.05
_STABILITY_THRESHOLD = 0.98


def stability(logits: Tensor, delta: float = _STABILITY_DELTA) -> Tensor:
    """Say how little a mask changes when its threshold moves.

    Parameters
    ----------
    logits : Tensor, (..., H, W)
    delta : float
        The threshold moves from -delta to +delta.

    Returns
    -------
    Tensor, (...)
        Area at +delta over area at -delta; 1 where the latter is empty.
    """
    high = (logits > delta).flatten(-2).sum(-1).float()
    low = (logits > -delta).flatten(-2).sum(-1).float()
    return torch.where(low > 0, high / low.clamp(min=1), 1.0)


def choose_single_mask(output: DecoderOutput) -> tuple[Tensor, Tensor]:
    """Take the single-mask token's answer, or the best other one where it is unstable.

    Parameters
    ----------
    output : DecoderOutput

    Returns
    -------
    logits : Tensor, (B, 1, 4h, 4w)
    ious : Tensor, (B, 1)

    Notes
    -----
    "Dynamic multimask via stability" in the reference, with its delta 0.05 and threshold 0.98.
    """
    single = output.logits[:, :1]
    best = output.ious[:, 1:].argmax(dim=1) + 1  # (B,)
    index = best[:, None, None, None].expand_as(single)
    fallback = output.logits.gather(1, index)
    is_stable = stability(single) >= _STABILITY_THRESHOLD  # (B, 1)
    return (
        torch.where(is_stable[..., None, None], single, fallback),
        torch.where(is_stable, output.ious[:, :1], output.ious.gather(1, best[:, None])),
    )


def upscale_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate mask logits (B, M, H', W') to (B, M, H, W)."""
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
