"""Verdicts of absence, and which of them are believed.

Below zero the score of presence says that an object is hidden. Believed, it empties the mask and
the memory, and the frames that follow see no object either. So where a verdict is as good as none,
or where it is known to be wrong often, the mask stays, as doubtful as can be. And where the network
itself thinks nothing of its mask, there is no object, whatever the score says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from napari_sam2.model.config import SAM2Config
from napari_sam2.model.outputs import DecoderOutput
from napari_sam2.predictor.newborns import is_newborn
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.session import VideoSession

__all__ = ["SPARED_SCORE", "Trust", "judged", "trust_in"]

SPARED_SCORE = 2.0**-10
"""Object score of a mask that stands against the verdict: present, and as doubtful as can be; a
number that every precision holds exactly."""

_DOUBTFUL = -1.0
"""Down to this score a verdict on an object that was seen on the frame before is not believed. On
synthetic movies 43 of 50 such verdicts were wrong, and 7 of 29 below."""

# On 136 synthetic movies, single cells followed from a mask: of 1203 masks of cells that had gone
# 493 are below, and of 10684 that were right 61. By the score of presence alone a tenth of them
# could be told at that price, and both together tell no more.
_WORTHLESS = 0.3
"""Predicted IoU below which a mask shows no object."""

_POOR = 0.4
"""The same where the score of presence says so too: of those movies' masks 50 more of cells that
had gone, and 20 that were right."""

_UNLIKE = 0.5
"""The same where an object was not seen on the frame before: of those movies' objects that came
back so, one of 7 was right, and of the others 73 of 88."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed of the decoder's answer for an object.

    Attributes
    ----------
    absence : float
        Score from which downwards a verdict that it is absent is believed: 0 where every one is,
        minus infinity where none is.
    mask : float
        Predicted IoU from which on a mask is one of it, 0 to 1.
    doubted : float
        The same where a verdict would not be believed.
    """

    absence: float = 0.0
    mask: float = 0.0
    doubted: float = 0.0


def trust_in(
    session: VideoSession,
    object_id: int,
    place: tuple[int, int],
    options: PredictorOptions,
    config: SAM2Config,
) -> Trust:
    """Say what will be believed of the decoder's answer for an object.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    options : PredictorOptions
        Whether verdicts just below zero and worthless masks are doubted, and whether newborn cells
        are spared: of them no verdict is believed, unless one was doubted on the frame before.
    config : SAM2Config
        Of the network.
    """
    frame, step = place
    is_doubting = options.doubts(config)
    before = session.masklets.record(object_id, frame - step)
    if before is None or not before.visible:
        return Trust(mask=_UNLIKE if is_doubting else 0.0)
    was_doubted = before.object_score <= SPARED_SCORE
    if options.spare_newborns and not was_doubted and is_newborn(session, object_id, place):
        return Trust(absence=-math.inf)
    return Trust(_DOUBTFUL, _WORTHLESS, _POOR) if is_doubting else Trust()


def judged(output: DecoderOutput, trusts: Sequence[Trust]) -> DecoderOutput:
    """Return the decoder's answer with the verdicts that are believed.

    Parameters
    ----------
    output : DecoderOutput
        Of B objects.
    trusts : sequence of Trust
        B, in what of it.
    """
    if all(one == Trust() for one in trusts):
        return output
    score = output.object_score
    absence, mask, doubted = (
        torch.tensor(limits, dtype=score.dtype, device=score.device)[:, None]  # (B, 1)
        for limits in zip(*((one.absence, one.mask, one.doubted) for one in trusts), strict=True)
    )
    worth = output.ious[:, 1:].amax(1, keepdim=True)
    is_spared = (score <= 0) & (score > absence) & (worth >= doubted)
    is_worthless = (score > 0) & (worth < mask)
    score = score.masked_fill(is_spared, SPARED_SCORE)
    return replace(output, object_score=score.masked_fill(is_worthless, -SPARED_SCORE))
