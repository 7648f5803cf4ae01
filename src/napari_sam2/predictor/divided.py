"""Cells that have divided: an object whose mask falls into two halves has ended.

Nothing tells the network whose daughter to follow, and mostly it follows both: the mask falls into
two halves of like size, which a cell that has not divided hardly ever shows. From there on nothing
that is drawn would be true. The halves stay on the frame that gave the division away; a person
finds them there and takes them for the daughters.
"""

from __future__ import annotations

import numpy as np

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.session import VideoSession
from napari_sam2.tracking.splitting import halves

__all__ = ["ENDED", "has_divided"]

ENDED = MaskRecord.from_mask(np.zeros((1, 1), bool), object_score=-1024.0)
"""What is written of an object after its division; no network gives so low a score."""

_SIDE = 128
"""Pixels from which on a mask is thinned out before it is looked at: halves are no small thing."""


def has_divided(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether an object has ended by a division before a frame.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).

    Returns
    -------
    bool
        Whether the run goes forward in time, the mask was in two halves on the frame before, or
        the object had ended there; no prompt lies ahead, because who gives one says that it
        lives; and pointers do not reach back to the last one, because a new daughter's mask often
        takes in her sister for some frames.
    """
    frame, step = place
    if step != 1 or grid_of(session.frames).slices > 1:
        return False
    before = session.masklets.record(object_id, frame - 1)
    last = max(session.prompts.frames(object_id), default=frame)
    if before is None or last >= frame:
        return False
    if before == ENDED:
        return True
    is_new = frame - last <= session.objects[object_id].bank.pointer_window
    return not is_new and _is_halved(before)


def _is_halved(record: MaskRecord) -> bool:
    # A prompted mask is what a person wants it to be.
    if record.prompted or not record.visible:
        return False
    pixels = record.crop()
    step = max(1, max(pixels.shape) // _SIDE)
    return halves(MaskRecord.from_mask(pixels[::step, ::step])) is not None
