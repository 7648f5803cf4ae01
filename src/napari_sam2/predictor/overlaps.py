"""Pixels that several objects claim: who gets them, and who is not there at all.

An object that has gone, or that has leapt to a place where nothing is remembered of it, is mostly
drawn on another cell. The network may be as sure of it as of the cell itself, and then both masks
have holes, and both are remembered. But a cell stays where it is until it is seen elsewhere: where
each object is expected tells who the stranger is. What is left of a mask that lies for the most
part on another cell is no part of its object.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.postprocess import LOST_LOGIT, PlacedLogits, resolve_overlaps
from napari_sam2.predictor.session import VideoSession

__all__ = ["certain_of", "share_out"]

_OWN = 0.5
"""Part of what it claims that an object has to keep. Chosen on synthetic movies that no network
was trained on: more loses objects, less leaves more masks of objects that have gone."""

_LEFT = 0.65
"""Part of the area that an object had: with as much it is there, whatever else it claims. Its mask
has taken in a neighbour then. Of what has gone, no mask that was looked at kept more than 0.54."""

_HELD = 1e4
"""Added to the logits of pixels where an object is expected: more than any network gives."""


def share_out(
    claimed: Sequence[PlacedLogits],
    held: Sequence[MaskRecord | None],
    certain: Sequence[PlacedLogits] = (),
) -> list[PlacedLogits]:
    """Give each pixel of a frame to one of the objects that claim it.

    Parameters
    ----------
    claimed : sequence of ((y, x), Tensor (h, w))
        Logits of tracked objects.
    held : sequence of MaskRecord or None
        Where each of them should be on the frame; None where nobody knows. A pixel goes to the
        object that should be there; among several of these, or none, to the most certain one.
    certain : sequence of ((y, x), Tensor (h, w))
        Of objects that nobody outbids.

    Returns
    -------
    list of ((y, x), Tensor (h, w))
        Those of `claimed`: at most `LOST_LOGIT` where a pixel went to another object, and
        everywhere if the others leave it less than half of what it claims, and much less than it
        was, where places are known.
    """
    favoured = [
        (origin, _favour((origin, logits), place))
        for (origin, logits), place in zip(claimed, held, strict=True)
    ]
    shared = resolve_overlaps([*certain, *favoured])[len(certain) :]
    if all(place is None for place in held):
        return shared
    return [
        # What met no other object comes back as it was, and needs no count.
        (origin, kept.clamp(max=LOST_LOGIT))
        if kept is not asked and _is_crowded_out(asked, kept, place)
        else (origin, kept)
        for (_, asked), (origin, kept), place in zip(favoured, shared, held, strict=True)
    ]


def certain_of(session: VideoSession, frame: int, objects: Sequence[int]) -> list[PlacedLogits]:
    """Return masks that nobody outbids, as logits: infinite inside, minus infinite outside."""
    found: list[PlacedLogits] = []
    for object_id in objects:
        record = session.masklets.record(object_id, frame)
        if record is not None and record.visible:
            inside = torch.from_numpy(record.crop())
            infinite = torch.full(inside.shape, float("inf"))
            found.append((record.bbox[:2], torch.where(inside, infinite, -infinite)))
    return found


def _favour(crop: PlacedLogits, place: MaskRecord | None) -> Tensor:
    """Return logits that outbid all others inside a place; no pixel is claimed by it."""
    (y, x), logits = crop
    if place is None:
        return logits
    height, width = logits.shape
    y0, x0, y1, x1 = place.bbox
    top, left = max(y, y0), max(x, x0)
    bottom, right = min(y + height, y1), min(x + width, x1)
    if top >= bottom or left >= right:
        return logits
    inside = torch.from_numpy(place.crop()[top - y0 : bottom - y0, left - x0 : right - x0])
    favoured = logits.clone()
    window = favoured[top - y : bottom - y, left - x : right - x]
    window[inside & (window > 0)] += _HELD
    return favoured


def _is_crowded_out(claimed: Tensor, kept: Tensor, place: MaskRecord | None) -> bool:
    """Say whether an object keeps too little to be there: of what it claims, and of what it was."""
    left = int((kept > 0).sum())
    if left >= _OWN * int((claimed > 0).sum()):
        return False
    return place is None or left < _LEFT * place.area
