"""What the engine answers: plain, frozen, NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """The mask of one object on one frame.

    Attributes
    ----------
    object_id, frame : int
        Which object, where.
    record : MaskRecord
        Mask, bounding box and scores.
    candidates : tuple of MaskRecord
        The masks of an ambiguous prompt, in the decoder's order; empty while tracking.
    """

    object_id: int
    frame: int
    record: MaskRecord
    candidates: tuple[MaskRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What happened on one frame.

    Attributes
    ----------
    frame : int
        Index of the frame.
    objects : tuple of ObjectResult
        One entry an object that was predicted or passed on this frame.
    generation : int
        Generation of the session's prompts that the answer belongs to; an older one is stale.
    seconds : float
        Wall time that the frame took.
    step : {1, -1}
        Direction of the run.
    """

    frame: int
    objects: tuple[ObjectResult, ...]
    generation: int
    seconds: float
    step: int = 1


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The answer to prompts on one image.

    Attributes
    ----------
    masks : ndarray of bool, (M, H, W)
        Candidate masks, best first.
    ious : ndarray of float32, (M,)
        Predicted IoU of each.
    logits : ndarray of float32, (M, h, w)
        Low-resolution mask logits in the network's view, clamped to +-32; the first can be given
        to the next call.
    object_score : float
        Presence logit.
    """

    masks: NDArray[np.bool_]
    ious: NDArray[np.float32]
    logits: NDArray[np.float32]
    object_score: float
