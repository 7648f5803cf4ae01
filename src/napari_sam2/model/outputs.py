"""What the network's verbs exchange: frozen dataclasses of tensors with stated shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What the image encoder says about one view; computed once for all objects in it.

    Attributes
    ----------
    embedding : Tensor, (b, C, h, w)
        Stride-16 features, before any memory.
    stride8 : Tensor, (b, C/4, 2h, 2w)
        Features that the mask decoder adds while upscaling.
    stride4 : Tensor, (b, C/8, 4h, 4w)
        The same, one level finer.
    """

    embedding: Tensor
    stride8: Tensor
    stride4: Tensor

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the stride-16 map."""
        height, width = self.embedding.shape[-2:]
        return int(height), int(width)

    @property
    def num_bytes(self) -> int:
        """Memory that the three maps hold, in bytes."""
        maps = (self.embedding, self.stride8, self.stride4)
        return sum(m.numel() * m.element_size() for m in maps)

    def rows(self, index: slice | Tensor) -> ImageFeatures:
        """Return the features of some rows of a batch."""
        return ImageFeatures(self.embedding[index], self.stride8[index], self.stride4[index])

    def clone(self) -> ImageFeatures:
        """Return a copy in memory of its own."""
        return ImageFeatures(self.embedding.clone(), self.stride8.clone(), self.stride4.clone())

    @classmethod
    def stack(cls, rows: Sequence[ImageFeatures]) -> ImageFeatures:
        """Join the features of views into one batch, a row an entry."""
        return cls(
            torch.cat([row.embedding for row in rows]),
            torch.cat([row.stride8 for row in rows]),
            torch.cat([row.stride4 for row in rows]),
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> ImageFeatures:
        """Return the features on another device or in another dtype."""
        return ImageFeatures(
            self.embedding.to(device, dtype),
            self.stride8.to(device, dtype),
            self.stride4.to(device, dtype),
        )


@dataclass(frozen=True, slots=True)
class PromptEmbeddings:
    """Prompts as the mask decoder reads them.

    Attributes
    ----------
    sparse : Tensor, (B, N, C)
        One token a point or box corner, and a padding token.
    dense : Tensor, (B, C, h, w)
        The mask prompt, or the learned "no mask" everywhere.
    """

    sparse: Tensor
    dense: Tensor


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """The decoder's answer for B objects.

    Attributes
    ----------
    logits : Tensor, (B, 1, 4h, 4w)
        The mask that was chosen; positive is inside. -1024 everywhere where the object is absent.
    candidates : Tensor, (B, M, 4h, 4w)
        All masks that were asked for: three for an ambiguous prompt, else one.
    ious : Tensor, (B, M)
        Predicted IoU of each candidate, 0 to 1.
    best : Tensor, (B,), int64
        Index of the chosen candidate.
    object_score : Tensor, (B, 1)
        Presence logit; positive means that the object is in view.
    pointer : Tensor, (B, C)
        Token that stands for the object in later frames.
    tokens : Tensor, (B, M, C)
        What the pointer would be made of for each candidate.
    """

    logits: Tensor
    candidates: Tensor
    ious: Tensor
    best: Tensor
    object_score: Tensor
    pointer: Tensor
    tokens: Tensor

    @property
    def iou(self) -> Tensor:
        """Predicted IoU of the chosen mask, (B,)."""
        return self.ious.gather(1, self.best[:, None])[:, 0]


@dataclass(frozen=True, slots=True)
class DecoderOutput:
    """Everything the mask decoder computes, before a candidate is chosen.

    Attributes
    ----------
    logits : Tensor, (B, 4, 4h, 4w)
        Mask of the single-mask token, then the three of the ambiguity tokens.
    ious : Tensor, (B, 4)
        Predicted IoU of each.
    tokens : Tensor, (B, 4, C)
        The mask tokens after the transformer; object pointers are made from them.
    object_score : Tensor, (B, 1)
        Presence logit.
    """

    logits: Tensor
    ious: Tensor
    tokens: Tensor
    object_score: Tensor

    def row(self, index: int) -> DecoderOutput:
        """Return the output of one object, B = 1."""
        rows = slice(index, index + 1)
        return DecoderOutput(
            self.logits[rows], self.ious[rows], self.tokens[rows], self.object_score[rows]
        )


@dataclass(frozen=True, slots=True)
class MemoryTokens:
    """The memory bank of B objects, laid out for memory attention.

    Attributes
    ----------
    tokens : Tensor, (B, N, Cm)
        Spatial memories, K * h * w of them, then the tokens of the object pointers.
    positions : Tensor, (B, N, Cm)
        Spatial and temporal position encodings, added to the keys only.
    num_spatial : int
        How many of the N come from spatial memories.
    moves : Tensor, (B, K, 2), or None
        Rows and columns, in cells, by which what each spatial memory shows has moved since; None
        where nothing is said of it. The rotations of the keys follow; ``positions`` have done so.
    """

    tokens: Tensor
    positions: Tensor
    num_spatial: int
    moves: Tensor | None = None
