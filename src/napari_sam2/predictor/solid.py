"""Masks without holes stay without: a cell that had none when it was prompted has none later.

A dark spot in a nucleus, or one that is too bright to show its texture, now and then becomes a hole
in the mask. Once that is remembered it grows, frame by frame, until the mask falls to pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.predictor.postprocess import HOLE_LOGIT
from napari_sam2.predictor.session import VideoSession

__all__ = ["stay_solid"]

_HOLLOW = 0.01
"""Part of a mask from which on its holes are meant; pixels that a brush left out are not."""


def stay_solid(
    session: VideoSession, prediction: MaskPrediction, objects: Sequence[int]
) -> MaskPrediction:
    """Fill the holes in masks of objects that have none where they were prompted.

    Parameters
    ----------
    session : VideoSession
    prediction : MaskPrediction
        Of tracked objects, before they are remembered.
    objects : sequence of int
        One for each row.

    Returns
    -------
    MaskPrediction
        The same one where nothing was to fill.
    """
    inside = (prediction.logits[:, 0] > 0).cpu().numpy()  # (B, h, w)
    holes = np.stack(
        [
            _holes(mask) if _was_solid(session, object_id) else np.zeros_like(mask)
            for mask, object_id in zip(inside, objects, strict=True)
        ]
    )
    if not holes.any():
        return prediction
    where = torch.from_numpy(holes)[:, None].to(prediction.logits.device)
    return replace(prediction, logits=prediction.logits.masked_fill(where, HOLE_LOGIT))


def _was_solid(session: VideoSession, object_id: int) -> bool:
    """Say whether all masks of an object on prompted frames are without holes."""
    prompted = session.objects[object_id].bank.prompted
    records = (session.masklets.record(object_id, frame) for frame in prompted)
    return all(_is_solid(one) for one in records if one is not None and one.visible)


@lru_cache(maxsize=1024)
def _is_solid(record: MaskRecord) -> bool:
    """Say whether a mask has no hole worth the name; asked for on every frame of a run."""
    return int(_holes(record.crop()).sum()) <= _HOLLOW * record.area


def _holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    holes: NDArray[np.bool_] = ndimage.binary_fill_holes(mask) & ~mask
    return holes
