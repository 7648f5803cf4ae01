"""Cells that have just come of a division: one frame is not enough to call them gone.

Daughters are small, round and bright for some frames, and lie beside their like: the presence score
often drops below zero once, on a frame where the mask is right. Believed, it empties the mask and
the memory, and the frames that follow see no object either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from napari_sam2.model.outputs import DecoderOutput
from napari_sam2.predictor.memory_bank import MemoryBank
from napari_sam2.predictor.session import VideoSession

__all__ = ["SPARED_SCORE", "presume_present", "spared"]

SPARED_SCORE = 2.0**-10
"""Object score of a mask that stands against the verdict: present, and as doubtful as can be; a
number that every precision holds exactly."""


def spared(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether a verdict of absence is not believed yet.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).

    Returns
    -------
    bool
        Whether a person said that its life begins on a prompted frame, pointers reach back to that
        frame, and the frame before was no such verdict: two in a row are believed.
    """
    frame, step = place
    birth, _ = session.locks.spans.get(object_id, (None, None))
    bank: MemoryBank = session.objects[object_id].bank
    if step != 1 or birth is None or birth not in bank.prompted:
        return False
    before = session.masklets.record(object_id, frame - 1)
    is_new = 0 < frame - birth <= bank.pointer_window
    return is_new and before is not None and before.visible and before.object_score > SPARED_SCORE


def presume_present(output: DecoderOutput, rows: Sequence[bool]) -> DecoderOutput:
    """Return the decoder's answer with the verdict of absence taken back in some rows.

    Parameters
    ----------
    output : DecoderOutput
        Of B objects.
    rows : sequence of bool
        B of them.
    """
    score = output.object_score
    if not any(rows):
        return output
    is_doubted = torch.tensor(rows, device=score.device)[:, None] & (score <= 0)  # (B, 1)
    return replace(output, object_score=score.masked_fill(is_doubted, SPARED_SCORE))
