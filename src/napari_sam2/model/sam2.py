"""The network, assembled, and its verbs: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam2.model.config import SAM2Config
from napari_sam2.model.image_encoder import ImageEncoder
from napari_sam2.model.layers import MLP
from napari_sam2.model.mask_decoder import MaskDecoder, choose_single_mask
from napari_sam2.model.memory_attention import MemoryAttention
from napari_sam2.model.memory_encoder import MemoryEncoder
from napari_sam2.model.outputs import (
    DecoderOutput,
    ImageFeatures,
    MaskPrediction,
    MemoryTokens,
    PromptEmbeddings,
)
from napari_sam2.model.position import moved_sine_map, sine_map, temporal_sine
from napari_sam2.model.prompt_encoder import PromptEncoder

NO_OBJECT_LOGIT = -1024.0
"""Mask logit of every pixel where the object is absent."""

_MASK_SCALE, _MASK_BIAS = 20.0, -10.0
"""Masks enter the memory, and mask prompts the output, as 20 m - 10."""


class SAM2(nn.Module):
    """Segment Anything 2.

    Parameters
    ----------
    config : SAM2Config
        Shape of the network; weights are random until a checkpoint is loaded.

    Notes
    -----
    Parameters are named as in the official checkpoints, so those load without a mapping. The
    verbs are batched over objects in the first dimension and keep no state; time, prompts of
    several frames and the choice of memories belong to the predictor.
    """

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim, memory_dim = config.hidden_dim, config.memory_dim
        self.config = config
        self.image_encoder = ImageEncoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(dim)
        self.sam_mask_decoder = MaskDecoder(config)
        self.obj_ptr_proj = MLP(dim, dim, dim, num_layers=3)
        self.maskmem_tpos_enc = _embedding(config.num_maskmem, 1, 1, memory_dim)
        self.no_mem_embed = _embedding(1, 1, dim)
        # Never used: the published networks add no_mem_embed instead. Kept to load strictly.
        self.no_mem_pos_enc = _embedding(1, 1, dim)
        self.no_obj_ptr = _embedding(1, dim)
        if config.has_no_object_embedding:
            self.no_obj_embed_spatial = _embedding(1, memory_dim)
        if config.encodes_pointer_time:
            self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encode views.

        Parameters
        ----------
        images : Tensor, (b, 3, H, W), float
            RGB in 0 to 1, normalised by ``IMAGE_MEAN`` and ``IMAGE_STD``; H and W multiples
            of 32.

        Returns
        -------
        ImageFeatures

        Raises
        ------
        ValueError
            If the height or width is no multiple of 32.
        """
        return self.project_maps(self.trunk_maps(images))

    def trunk_maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what the trunk says of views, the longest part of `encode_image`, which see.

        Returns
        -------
        tuple of Tensor, (b, channels of the stage, H/s, W/s)
            At strides s of 4, 8, 16 and 32.
        """
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise ValueError(
                f"input of {height} x {width} pixels: both must be multiples of 32; resize it"
            )
        return tuple(self.image_encoder.trunk(images))

    def project_maps(self, maps: Sequence[Tensor]) -> ImageFeatures:
        """Return the features that `encode_image` makes of `trunk_maps`."""
        decoder = self.sam_mask_decoder
        return self.image_encoder.project(maps, decoder.conv_s0, decoder.conv_s1)

    def encode_prompts(
        self,
        points: Tensor | None,
        labels: Tensor | None,
        masks: Tensor | None,
        grid: tuple[int, int],
        rows: int = 1,
    ) -> PromptEmbeddings:
        """Embed the prompts of B objects; parameters as in ``PromptEncoder.forward``.

        Parameters
        ----------
        points : Tensor, (B, P, 2) or None
        labels : Tensor, (B, P), int, or None
        masks : Tensor, (B, 1, 4h, 4w) or None
        grid : tuple of 2 int
            Feature cells (h, w) of the view.
        rows : int
            Number of objects where there is no prompt.

        Returns
        -------
        PromptEmbeddings
        """
        size = (16 * grid[0], 16 * grid[1])
        embedded: PromptEmbeddings = self.sam_prompt_encoder(points, labels, masks, size, rows)
        return embedded

    def attend_memory(self, features: ImageFeatures, memory: MemoryTokens | None) -> Tensor:
        """Condition a frame on memory.

        Parameters
        ----------
        features : ImageFeatures
            Of one frame, shared (b = 1) or one row an object.
        memory : MemoryTokens or None
            None on the first frame that an object is prompted on.

        Returns
        -------
        Tensor, (B, C, h, w), or (b, C, h, w) without memory
        """
        if memory is None:
            return features.embedding + self.no_mem_embed.view(1, -1, 1, 1)
        conditioned: Tensor = self.memory_attention(features.embedding, memory)
        return conditioned

    def decode_all(
        self, conditioned: Tensor, features: ImageFeatures, prompts: PromptEmbeddings
    ) -> DecoderOutput:
        """Decode every mask token without choosing; what training supervises.

        Parameters
        ----------
        conditioned : Tensor, (b, C, h, w)
        features : ImageFeatures
        prompts : PromptEmbeddings

        Returns
        -------
        DecoderOutput
        """
        positions = self.sam_prompt_encoder.dense_positions(*features.grid).to(conditioned.dtype)
        output: DecoderOutput = self.sam_mask_decoder(conditioned, positions, features, prompts)
        return output

    def decode_masks(
        self,
        conditioned: Tensor,
        features: ImageFeatures,
        prompts: PromptEmbeddings,
        multimask: bool,
    ) -> MaskPrediction:
        """Decode masks and choose one.

        Parameters
        ----------
        conditioned : Tensor, (b, C, h, w)
            Result of ``attend_memory``.
        features : ImageFeatures
            For the skip connections.
        prompts : PromptEmbeddings
            Of B objects.
        multimask : bool
            Three candidates, of which the one with the best predicted IoU is chosen; else one.

        Returns
        -------
        MaskPrediction
        """
        return self.choose(self.decode_all(conditioned, features, prompts), multimask)

    def choose(self, output: DecoderOutput, multimask: bool) -> MaskPrediction:
        """Choose among the decoder's masks and make the object pointer.

        Parameters
        ----------
        output : DecoderOutput
        multimask : bool
            Choose among the three ambiguity masks; else the single mask with its fallback.

        Returns
        -------
        MaskPrediction
        """
        if multimask:
            candidates, ious, tokens = (
                output.logits[:, 1:],
                output.ious[:, 1:],
                output.tokens[:, 1:],
            )
        else:
            candidates, ious = choose_single_mask(output)
            # The pointer stays the single token's even when the fallback took another mask.
            tokens = output.tokens[:, :1]
        is_present = output.object_score > 0  # (B, 1)
        candidates = torch.where(is_present[..., None, None], candidates, NO_OBJECT_LOGIT)
        best = ious.argmax(dim=1)  # (B,)
        rows = torch.arange(len(best), device=best.device)
        return MaskPrediction(
            logits=candidates[rows, best][:, None],
            candidates=candidates,
            ious=ious,
            best=best,
            object_score=output.object_score,
            pointer=self.object_pointer(tokens[rows, best], is_present),
            tokens=tokens,
        )

    def take_candidate(self, prediction: MaskPrediction, index: int) -> MaskPrediction:
        """Take another of the masks that were asked for as the answer, with its pointer.

        Parameters
        ----------
        prediction : MaskPrediction
            Of M candidates.
        index : int
            From 0 to M - 1, for every row.

        Returns
        -------
        MaskPrediction
        """
        return replace(
            prediction,
            logits=prediction.candidates[:, index : index + 1],
            best=torch.full_like(prediction.best, index),
            pointer=self.object_pointer(prediction.tokens[:, index], prediction.object_score > 0),
        )

    def object_pointer(self, token: Tensor, is_present: Tensor) -> Tensor:
        """Project a mask token (B, C) to a pointer; absent objects (B, 1) share one pointer."""
        pointer = self.obj_ptr_proj(token)
        return torch.where(is_present, pointer, self.no_obj_ptr.to(pointer.dtype))

    def embed_mask_prompt(self, features: ImageFeatures, masks: Tensor) -> MaskPrediction:
        """Take a mask as the answer, and make the pointer that goes with it.

        Parameters
        ----------
        features : ImageFeatures
            Of the frame.
        masks : Tensor, (B, 1, H, W), float
            1 inside, 0 outside, at input size.

        Returns
        -------
        MaskPrediction
            Logits of +-10, presence +-10 by whether the mask has any pixel.
        """
        size = (4 * features.grid[0], 4 * features.grid[1])
        scaled = masks.float() * _MASK_SCALE + _MASK_BIAS
        logits = F.interpolate(scaled, size=size, mode="bilinear", antialias=True)
        prompts = self.encode_prompts(
            None, None, self.mask_downsample(masks.to(features.embedding.dtype)), features.grid
        )
        # On the raw embedding, with neither memory nor no_mem_embed: so it was trained.
        output = self.decode_all(features.embedding, features, prompts)
        is_present = masks.flatten(1).any(dim=1, keepdim=True)  # (B, 1)
        is_seen = is_present & (output.object_score > 0)
        return MaskPrediction(
            logits=logits,
            candidates=logits,
            ious=logits.new_ones(len(logits), 1),
            best=torch.zeros(len(logits), dtype=torch.int64, device=logits.device),
            object_score=is_present.float() * _MASK_SCALE + _MASK_BIAS,
            pointer=self.object_pointer(output.tokens[:, 0], is_seen),
            tokens=output.tokens[:, :1],
        )

    def encode_memory(
        self,
        features: ImageFeatures,
        mask_logits: Tensor,
        object_score: Tensor,
        binarize: bool,
    ) -> Tensor:
        """Encode what is remembered of B objects on one frame.

        Parameters
        ----------
        features : ImageFeatures
            Of the frame, without memory.
        mask_logits : Tensor, (B, 1, H, W)
            At input size.
        object_score : Tensor, (B, 1)
            Presence logit.
        binarize : bool
            Whether the mask comes from prompts and is taken as certain.

        Returns
        -------
        Tensor, (B, Cm, h, w)
        """
        mask = (mask_logits > 0).to(mask_logits.dtype) if binarize else mask_logits.sigmoid()
        scaled = (mask * _MASK_SCALE + _MASK_BIAS).to(features.embedding.dtype)
        memory: Tensor = self.memory_encoder(features.embedding, scaled)
        if self.config.has_no_object_embedding:
            absent = (object_score <= 0).to(memory.dtype)  # (B, 1)
            memory = memory + (absent * self.no_obj_embed_spatial)[:, :, None, None]
        return memory

    def assemble_memory(
        self,
        spatial: Tensor,
        time_index: Tensor,
        pointers: Tensor,
        distances: Tensor,
        span: float,
        moves: Tensor | None = None,
    ) -> MemoryTokens:
        """Lay out the memories of B objects for ``attend_memory``.

        Parameters
        ----------
        spatial : Tensor, (B, K, Cm, h, w)
            Spatial memories.
        time_index : Tensor, (B, K), int64
            Row of the temporal embedding: 0 for the frame before, 1 for the one before that,
            ``num_maskmem - 1`` for prompted frames.
        pointers : Tensor, (B, P, C)
            Object pointers; P may be 0.
        distances : Tensor, (B, P)
            Frames between the current one and each pointer's, in the direction of travel.
        span : float
            Frames that normalise the distances.
        moves : Tensor, (B, K, 2), optional
            Rows and columns, in cells, by which what each spatial memory shows has moved since.
            It is then looked for where it is now; the reference looks where it was.

        Returns
        -------
        MemoryTokens
        """
        rows, count, channels, height, width = spatial.shape
        tokens = spatial.flatten(3).transpose(2, 3).reshape(rows, -1, channels)  # (B, K*h*w, Cm)
        if moves is None:
            place = sine_map(height, width, channels, spatial.device).flatten(2).transpose(1, 2)
            place = place[:, None]  # (1, 1, h*w, Cm)
        else:
            place = moved_sine_map(height, width, channels, moves)  # (B, K, h*w, Cm)
        time = self.maskmem_tpos_enc[:, 0, 0][time_index]  # (B, K, Cm)
        positions = (place + time[:, :, None]).flatten(1, 2)  # (B, K*h*w, Cm)
        pointer_tokens, pointer_positions = self._split_pointers(pointers, distances, span)
        return MemoryTokens(
            tokens=torch.cat([tokens, pointer_tokens.to(tokens.dtype)], dim=1),
            positions=torch.cat([positions, pointer_positions], dim=1).to(tokens.dtype),
            num_spatial=count * height * width,
            moves=moves,
        )

    def _split_pointers(
        self, pointers: Tensor, distances: Tensor, span: float
    ) -> tuple[Tensor, Tensor]:
        rows, count, channels = pointers.shape
        memory_dim = self.config.memory_dim
        pieces = channels // memory_dim
        tokens = pointers.reshape(rows, count * pieces, memory_dim)  # (B, P * pieces, Cm)
        if not self.config.encodes_pointer_time:
            return tokens, torch.zeros_like(tokens)
        encoded = temporal_sine(distances.float() / span, channels)  # (B, P, C)
        positions = self.obj_ptr_tpos_proj(encoded.to(self.obj_ptr_tpos_proj.weight.dtype))
        return tokens, positions.repeat_interleave(pieces, dim=1)


def _embedding(*shape: int) -> nn.Parameter:
    parameter = torch.empty(*shape)
    nn.init.trunc_normal_(parameter, std=0.02)
    return nn.Parameter(parameter)
