"""A picture of exactly what the network gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.model.config import IMAGE_MEAN, IMAGE_STD
from napari_sam2.predictor.intensity import IntensityMapping
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.predictor.view_planner import ViewPlanner

__all__ = ["picture", "view_on"]


def view_on(predictor: VideoPredictor, session: VideoSession, object_id: int, frame: int) -> View:
    """Return the view that an object is seen in on a frame; the whole frame if it has none yet.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
    object_id, frame : int
    """
    size = session.shape[1], session.shape[2]
    planner = ViewPlanner.of(predictor.options, predictor.model.config, size)
    record = session.masklets.record(object_id, frame)
    state = session.objects.get(object_id)
    if record is not None and record.visible:
        return planner.view_of(record.bbox, None if state is None else state.view, ())
    return planner.whole


def picture(view: View, frame: NDArray[Any], mapping: IntensityMapping) -> NDArray[np.uint8]:
    """Return what the network gets of a frame.

    Parameters
    ----------
    view : View
    frame : ndarray, (H, W) or (H, W, C)
        Raw values.
    mapping : IntensityMapping

    Returns
    -------
    ndarray of uint8, (h, w, 3)
        Red, green, blue, at the size of the network's input.
    """
    seen = view.crop(frame, mapping)[0]
    mean, std = (torch.tensor(one)[:, None, None] for one in (IMAGE_MEAN, IMAGE_STD))
    shown = (seen * std + mean).clamp(0, 1) * 255
    return shown.round().to(torch.uint8).permute(1, 2, 0).expand(-1, -1, 3).contiguous().numpy()
