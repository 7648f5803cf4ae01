"""Cells that have just come of a division: one frame is not enough to call them gone.

Daughters are small, round and bright for some frames, and lie beside their like: the presence score
often drops below zero once, on a frame where the mask is right. Believed, it empties the mask and
the memory, and the frames that follow see no object either.
"""

from __future__ import annotations

from napari_sam2.predictor.memory_bank import MemoryBank
from napari_sam2.predictor.session import VideoSession

__all__ = ["is_newborn"]


def is_newborn(session: VideoSession, object_id: int, place: tuple[int, int]) -> bool:
    """Say whether an object has just come of a division.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).

    Returns
    -------
    bool
        Whether the run goes forward in time, a person said that the object's life begins on a
        prompted frame, and pointers reach back to that frame.
    """
    frame, step = place
    birth, _ = session.locks.spans.get(object_id, (None, None))
    bank: MemoryBank = session.objects[object_id].bank
    if step != 1 or birth is None or birth not in bank.prompted:
        return False
    return 0 < frame - birth <= bank.pointer_window
