"""Two looks at the same picture, one of them mirrored: what both see is more likely to be there.

A small network answers a click on a mirrored picture a little differently. The mean of both answers
has the better contours, and a candidate on which they differ is likely to be wrong, whatever IoU
the network predicts for it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from napari_sam2.model.outputs import DecoderOutput

__all__ = ["CERTAIN", "agreed", "mean_logits"]

CERTAIN = 1e-4
"""Probabilities of the mean are kept this far from 0 and 1: logits of 9.2 at most."""


def agreed(first: DecoderOutput, mirrored: DecoderOutput) -> DecoderOutput:
    """Join the answers to the same prompts in a view and in its mirror image.

    Parameters
    ----------
    first : DecoderOutput
        Of B objects.
    mirrored : DecoderOutput
        Of the same ones; its masks have left and right exchanged.

    Returns
    -------
    DecoderOutput
        Logits of the mean probabilities, mean scores of presence. The predicted IoU of each mask is
        the mean one times the IoU of the two masks. Tokens are those of the first.
    """
    logits = mirrored.logits.flip(-1)
    return replace(
        first,
        logits=mean_logits(first.logits, logits),
        ious=(first.ious + mirrored.ious) / 2 * _overlap(first.logits > 0, logits > 0),
        object_score=(first.object_score + mirrored.object_score) / 2,
    )


def mean_logits(one: Tensor, other: Tensor) -> Tensor:
    """Return the logits of the mean of the probabilities of two tensors of logits."""
    return torch.logit((one.float().sigmoid() + other.float().sigmoid()) / 2, CERTAIN)


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """Return the IoU of masks (B, M, h, w), (B, M); 1 where both are empty."""
    shared = (one & other).flatten(-2).sum(-1)
    total = (one | other).flatten(-2).sum(-1)
    return (shared / total.clamp(min=1)).where(total > 0, 1.0)
