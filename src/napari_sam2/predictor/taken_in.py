"""Masks that take in a neighbour: a cell does not become two cells of which one was there before.

A small network that follows a cell among its like now and then draws the one beside it too. Once
that is remembered both are followed, the neighbour's own mask is crowded out, and two halves of
like size look like a division.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.predictor.answering import certain_logits
from napari_sam2.predictor.motion import Expected
from napari_sam2.predictor.postprocess import LOST_LOGIT
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.tracking.splitting import halves

__all__ = ["leave_neighbours", "neighbour_in"]

# Chosen on synthetic movies that no network was trained on.
_GROWN = 1.3
"""Times the area before: less is no second cell."""

_STILL_THERE = 0.5
"""IoU of one half with the mask before, laid where it should be: in a division neither is it."""

_OWNED = 0.5
"""Part of the other half that another object covered before."""

_EVENNESS = 0.25
"""Least area of the smaller half as a part of the larger one."""


def leave_neighbours(
    session: VideoSession,
    place: tuple[int, int],
    looks: Sequence[tuple[int, View]],
    prediction: MaskPrediction,
    expected: Mapping[int, Expected],
) -> MaskPrediction:
    """Take out of the masks of a frame what other objects were on the frame before.

    Parameters
    ----------
    session : VideoSession
        Holds the masks of the frame before.
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    looks : sequence of (int, View)
        Object and view of each row.
    prediction : MaskPrediction
        Of these rows.
    expected : mapping of int to Expected
        Where objects should be; those left out keep their masks.

    Returns
    -------
    MaskPrediction
        With other logits where a mask had taken in a neighbour. Candidates stay as they are.
    """
    before = _laid(session, place[0] - place[1], expected)
    cells = (prediction.logits > 0).flatten(1).sum(1).tolist()
    logits = prediction.logits
    for row, (object_id, view) in enumerate(looks):
        pixels = cells[row] * view.height * view.width / logits.shape[-2:].numel()
        # Most masks are as large as they were; this is all that they cost.
        if object_id not in before or pixels < _GROWN * before[object_id].area:
            continue
        ((origin, crop),) = view.object_logits_to_frame(logits[row : row + 1])
        mask = MaskRecord.from_mask((crop > 0).numpy(), origin=origin)
        others = (record for i, record in before.items() if i != object_id)
        neighbour = neighbour_in(mask, before[object_id], others)
        if neighbour is not None:
            logits = _without(logits, row, neighbour.mask(session.shape[1:]), view)
    return replace(prediction, logits=logits)


def neighbour_in(
    mask: MaskRecord, before: MaskRecord, others: Iterable[MaskRecord]
) -> MaskRecord | None:
    """Find the half of a mask that is another object.

    Parameters
    ----------
    mask : MaskRecord
        Of an object on a frame.
    before : MaskRecord
        Of the same object on the frame before, laid where it should be now.
    others : iterable of MaskRecord
        Of other objects on the frame before, laid where they should be now.

    Returns
    -------
    MaskRecord or None
        Pixels of `mask` that are not of its object; None where there are none, or nobody knows.
    """
    if mask.area < _GROWN * before.area:
        return None
    parts = halves(mask, _EVENNESS)
    if parts is None:
        return None
    own, other = sorted(parts, key=lambda part: -_iou(part, before))
    if _iou(own, before) < _STILL_THERE:
        return None
    is_owned = any(_shared(other, one) >= _OWNED * other.area for one in others)
    return other if is_owned else None


def _laid(
    session: VideoSession, frame: int, expected: Mapping[int, Expected]
) -> dict[int, MaskRecord]:
    """Return the masks of a frame where they should be on the next one."""
    laid = {}
    for object_id, known in expected.items():
        record = session.masklets.record(object_id, frame)
        if record is not None and record.visible:
            y0, x0, y1, x1 = record.bbox
            dy, dx = known.moved
            laid[object_id] = replace(record, bbox=(y0 + dy, x0 + dx, y1 + dy, x1 + dx))
    return laid


def _without(logits: Tensor, row: int, mask: NDArray[np.bool_], view: View) -> Tensor:
    """Return logits (B, 1, h, w) with a part of one mask lost."""
    lost = (certain_logits(mask, view)[1][0] > 0).to(logits.device)  # (1, h, w)
    changed = logits.clone()
    changed[row] = torch.where(lost, changed[row].clamp(max=LOST_LOGIT), changed[row])
    return changed


def _iou(one: MaskRecord, other: MaskRecord) -> float:
    shared = _shared(one, other)
    return shared / max(one.area + other.area - shared, 1)


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
