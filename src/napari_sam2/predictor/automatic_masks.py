"""What a search does to masks: one piece of each, mothers that end where their daughters begin."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.predictor.session import VideoSession
from napari_sam2.prompts import MaskPrompt

__all__ = ["cut_masklet", "end_mother", "leave_frames", "nearest_piece"]

_LEAST_PIECE = 0.25
"""Area of a piece, as a part of the largest one, from which on it may be the object."""


def end_mother(session: VideoSession, mother: int, frame: int, daughter: int) -> None:
    """Make what an object is from a frame on an object of its own; again is no error.

    Parameters
    ----------
    session : VideoSession
    mother : int
        Visible on this frame and on the one before. Keeps a prompt: its last mask where all that
        it had were on later frames.
    frame : int
        First frame of the daughter.
    daughter : int
        A free id; gets its first mask as prompt.
    """
    masklets, prompts = session.masklets, session.prompts
    cut_masklet(masklets, mother, frame, daughter)
    for t in prompts.frames(mother):
        if t >= frame:
            prompts.replace(mother, t, ())
    for object_id, t in ((mother, frame - 1), (daughter, frame)):
        if not prompts.frames(object_id):
            session.add(MaskPrompt(object_id, t, masklets.mask(object_id, t)))


def cut_masklet(masklets: MaskletSet, object_id: int, frame: int, rest: int) -> None:
    """Give the masks that an object has from a frame on to another one.

    Parameters
    ----------
    masklets : MaskletSet
    object_id : int
    frame : int
        The first that is given away.
    rest : int
        Id of the other one.
    """
    later = [t for t in masklets.frames(object_id) if t >= frame]
    for t in later:
        record = masklets.record(object_id, t)
        if record is not None:
            masklets.write(rest, t, record)
    masklets.remove(object_id, later)


def leave_frames(session: VideoSession, object_id: int, frames: Iterable[int]) -> None:
    """Take an object from frames without prompts, and what it remembers of them, too."""
    gone = set(frames)
    session.masklets.remove(object_id, gone)
    state = session.objects[object_id]
    for frame in gone:
        state.bank.recent.pop(frame, None)
        state.tracked.pop(frame, None)


def nearest_piece(record: MaskRecord, before: MaskRecord | None) -> MaskRecord:
    """Return a mask reduced to one piece: of the large ones that nearest to the mask before.

    Parameters
    ----------
    record : MaskRecord
    before : MaskRecord or None
        Of the neighbouring frame; without one, the largest piece is taken.

    Returns
    -------
    MaskRecord
        The same where the mask is in one piece already.
    """
    pieces, count = ndimage.label(record.crop(), np.ones((3, 3), bool))
    if count < 2:
        return record
    areas = np.bincount(pieces.ravel())[1:]
    chosen = int(areas.argmax())
    if before is not None and before.visible:
        large = np.flatnonzero(areas >= _LEAST_PIECE * areas.max())
        centres = ndimage.center_of_mass(pieces > 0, pieces, large + 1)
        away = np.subtract(np.add(centres, record.bbox[:2]), before.centroid())
        chosen = int(large[np.hypot(*away.T).argmin()])
    return MaskRecord.from_mask(
        pieces == chosen + 1,
        predicted_iou=record.predicted_iou,
        object_score=record.object_score,
        prompted=record.prompted,
        origin=(record.bbox[0], record.bbox[1]),
    )
