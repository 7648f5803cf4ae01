"""Masks that take in a neighbour: a cell does not become two cells of which one was there before.

A small network that follows a cell among its like now and then draws the one beside it too. Once
that is remembered both are followed, the neighbour's own mask is crowded out, and two halves of
like size look like a division. Where the other objects are, or should be, tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.predictor.answering import certain_logits
from napari_sam2.predictor.motion import Expected
from napari_sam2.predictor.postprocess import LOST_LOGIT
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View

__all__ = ["leave_neighbours", "neighbour_in", "places_on"]

# Chosen on synthetic movies that no network was trained on.
_GROWN = 1.1
"""Times the area before: less is no second cell."""

_COVERED = 0.6
"""Part of an object, laid where it should be, that a mask has to cover to hold it."""

_APART = 0.2
"""Part of the smaller of two objects that may be laid on the other: more, and nobody knows which
of them is where."""


def places_on(
    session: VideoSession,
    place: tuple[int, int],
    expected: Mapping[int, Expected],
    fixed: Iterable[int],
) -> dict[int, MaskRecord]:
    """Say where objects are, or should be, on a frame.

    Parameters
    ----------
    session : VideoSession
        Holds the masks.
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    expected : mapping of int to Expected
        Where objects that are tracked should be.
    fixed : iterable of int
        Objects whose masks on the frame are certain.

    Returns
    -------
    dict of int to MaskRecord
        Masks of the frame before, laid where they should be, and those that are certain; nothing
        where motion is not followed.
    """
    if not expected:
        return {}
    frame, step = place
    certain = {i: session.masklets.record(i, frame) for i in fixed}
    places = {i: one for i, one in certain.items() if one is not None and one.visible}
    for object_id, known in expected.items():
        record = session.masklets.record(object_id, frame - step)
        if record is not None and record.visible:
            y0, x0, y1, x1 = record.bbox
            dy, dx = known.moved
            places[object_id] = replace(record, bbox=(y0 + dy, x0 + dx, y1 + dy, x1 + dx))
    return places


def leave_neighbours(
    prediction: MaskPrediction, looks: Sequence[tuple[int, View]], places: Mapping[int, MaskRecord]
) -> MaskPrediction:
    """Take out of the masks of a frame what other objects are.

    Parameters
    ----------
    prediction : MaskPrediction
        Of some objects.
    looks : sequence of (int, View)
        Object and view of each row.
    places : mapping of int to MaskRecord
        As `places_on` returns them. Objects that it leaves out keep their masks.

    Returns
    -------
    MaskPrediction
        With other logits where a mask had taken in a neighbour. Candidates stay as they are.
    """
    logits = prediction.logits
    cells = (logits > 0).flatten(1).sum(1).tolist()
    for row, (object_id, view) in enumerate(looks):
        pixels = cells[row] * view.height * view.width / logits.shape[-2:].numel()
        # Most masks are as large as they were; this is all that they cost.
        if object_id not in places or pixels < _GROWN * places[object_id].area:
            continue
        ((origin, crop),) = view.object_logits_to_frame(logits[row : row + 1])
        mask = MaskRecord.from_mask((crop > 0).numpy(), origin=origin)
        others = (record for i, record in places.items() if i != object_id)
        neighbour = neighbour_in(mask, places[object_id], others)
        if neighbour is not None:
            logits = _without(logits, row, neighbour.mask(view.frame_shape), view)
    return replace(prediction, logits=logits)


def neighbour_in(
    mask: MaskRecord, before: MaskRecord, others: Iterable[MaskRecord]
) -> MaskRecord | None:
    """Find the part of a mask that is other objects.

    Parameters
    ----------
    mask : MaskRecord
        Of an object on a frame.
    before : MaskRecord
        Of the same object on the frame before, laid where it should be now.
    others : iterable of MaskRecord
        Of other objects, where they are or should be.

    Returns
    -------
    MaskRecord or None
        Pixels of `mask` that are nearer to the other objects that it covers than to its own; None
        where it covers no other, or not its own either.
    """
    if mask.area < _GROWN * before.area or _shared(mask, before) < _COVERED * before.area:
        return None
    taken = [
        other
        for other in others
        if _shared(mask, other) >= _COVERED * other.area
        and _shared(before, other) < _APART * min(before.area, other.area)
    ]
    return _nearer(mask, taken, before) if taken else None


def _nearer(mask: MaskRecord, to: Sequence[MaskRecord], than: MaskRecord) -> MaskRecord:
    """Return the pixels of a mask that are nearer to some objects than to another one."""
    boxes = np.array([one.bbox for one in (mask, than, *to)])
    field = *boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)
    inside, own = (_placed(one, field) for one in (mask, than))
    theirs = np.any([_placed(one, field) for one in to], axis=0)
    away, near = (ndimage.distance_transform_edt(~places) for places in (own, theirs))
    y, x = mask.bbox[0] - field[0], mask.bbox[1] - field[1]
    part = (inside & (near < away))[y : y + mask.bbox[2] - mask.bbox[0]]
    return MaskRecord.from_mask(part[:, x:], origin=mask.bbox[:2])


def _placed(record: MaskRecord, field: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Return the pixels of a mask in a window that holds it."""
    y0, x0, y1, x1 = record.bbox
    pixels = np.zeros((field[2] - field[0], field[3] - field[1]), bool)
    pixels[y0 - field[0] : y1 - field[0], x0 - field[1] : x1 - field[1]] = record.crop()
    return pixels


def _without(logits: Tensor, row: int, mask: NDArray[np.bool_], view: View) -> Tensor:
    """Return logits (B, 1, h, w) with a part of one mask lost."""
    lost = (certain_logits(mask, view)[1][0] > 0).to(logits.device)  # (1, h, w)
    changed = logits.clone()
    changed[row] = torch.where(lost, changed[row].clamp(max=LOST_LOGIT), changed[row])
    return changed


def _shared(one: MaskRecord, other: MaskRecord) -> int:
    """Return how many pixels two masks share."""
    y0, x0 = max(one.bbox[0], other.bbox[0]), max(one.bbox[1], other.bbox[1])
    y1, x1 = min(one.bbox[2], other.bbox[2]), min(one.bbox[3], other.bbox[3])
    if y0 >= y1 or x0 >= x1:
        return 0
    box = (y0, x0, y1, x1)
    return int(np.count_nonzero(_within(one, box) & _within(other, box)))


def _within(record: MaskRecord, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    y, x = record.bbox[:2]
    return record.crop()[box[0] - y : box[2] - y, box[1] - x : box[3] - x]
