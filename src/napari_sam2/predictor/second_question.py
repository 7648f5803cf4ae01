"""Clicks asked again, with the box and the centre of what was found under them.

One click says little: the network hesitates between an object, its parts and its surroundings, and
draws the outline accordingly. With a box it knows what is meant. The mean of both answers is better
than either, and the second one knows better how good it is. Corrective clicks draw outlines that
are less even than those of boxes; there, too, the mean is better.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.model.prompt_encoder import BOX_END, BOX_START, POSITIVE
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.second_opinion import mean_logits

__all__ = ["FILLED", "boxed", "refined"]

FILLED = 0.5
"""Part of its box that an object fills at least: less, as of a rod that lies aslant, and a box is
no help. Chosen on synthetic movies that no network was trained on, as was the mean of both."""


def boxed(geometry: Geometry, record: MaskRecord) -> Geometry | None:
    """Add to clicks the box and the centre of their answer.

    Parameters
    ----------
    geometry : Geometry
        Clicks.
    record : MaskRecord
        The answer.

    Returns
    -------
    Geometry or None
        None if the box would not help.
    """
    if not record.visible:
        return None
    y0, x0, y1, x1 = record.bbox
    if record.area < FILLED * (y1 - y0) * (x1 - x0):
        return None
    depth = ndimage.distance_transform_edt(np.pad(record.crop(), 1))[1:-1, 1:-1]
    y, x = divmod(int(depth.argmax()), x1 - x0)
    points = [(y0, x0), (y1 - 1, x1 - 1), *geometry.points, (y0 + y, x0 + x)]
    labels = [BOX_START, BOX_END, *geometry.labels, POSITIVE]
    return Geometry(np.array(points, float), np.array(labels, np.int64))


def refined(first: MaskPrediction, second: MaskPrediction) -> MaskPrediction:
    """Join the answer to clicks and the answer to their box.

    Parameters
    ----------
    first : MaskPrediction
        One row.
    second : MaskPrediction
        One row, of the best of them.

    Returns
    -------
    MaskPrediction
        The first, with the logits of the mean probabilities for its best candidate, and the second
        one's IoU, unless another candidate would be taken then.
    """
    best = first.best[0]
    logits = mean_logits(first.logits, second.logits)
    candidates, ious = first.candidates.clone(), first.ious.clone()
    candidates[:, best] = logits[:, 0]
    ious[:, best] = torch.maximum(second.iou.flatten(), ious.amax())
    return replace(first, logits=logits, candidates=candidates, ious=ious)
