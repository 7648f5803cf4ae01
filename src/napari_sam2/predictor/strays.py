"""Masks of which the network itself thinks next to nothing: there is no object.

What has gone is drawn on something else for some frames, or on nothing. The score of presence
seldom says so, but the predicted IoU falls and the mask leaps.
"""

from __future__ import annotations

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.keeping import kept_of
from napari_sam2.predictor.newborns import is_newborn
from napari_sam2.predictor.session import VideoSession

__all__ = ["is_stray"]

_POOR, _LEAPT = 0.4, 0.3
"""Predicted IoU below which a mask that keeps less than _LEAPT of the one before shows no object.
On 136 synthetic movies that no network was trained on, single cells followed in each, that is so of
129 masks of cells that had gone, of 6 of 10684 that were right, and of 74 that were wrong. The
predicted IoU alone, below 0.3, tells 702, 61 and 397, and below 0.2 422, 11 and 211. But it sinks
to 0.15 on some cells that are followed well, and these are lost at once."""

_RETURNED = 0.25
"""Predicted IoU below which a mask of what was not there a frame before shows no object either.
On 66 such movies 122 masks came back; of 28 below it none was right, 17 were of what had gone."""


def is_stray(
    session: VideoSession, object_id: int, place: tuple[int, int], record: MaskRecord
) -> bool:
    """Say whether a tracked mask shows something else than its object, or nothing.

    Parameters
    ----------
    session : VideoSession
    object_id : int
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    record : MaskRecord
        The mask there.

    Returns
    -------
    bool
        Never soon after a division: of daughters one frame is not enough.
    """
    if record.predicted_iou >= _POOR or is_newborn(session, object_id, place):
        return False
    frame, step = place
    before = session.masklets.record(object_id, frame - step)
    if before is not None and not before.visible:
        return record.predicted_iou < _RETURNED
    return kept_of(session, object_id, place, record) < _LEAPT
