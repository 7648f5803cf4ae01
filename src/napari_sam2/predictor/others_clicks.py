"""Clicks on other objects: who clicks two cells on a frame says that they are two.

One click on a cell that touches another one is often answered with both. But the other one's click
says that it is somebody else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.prompt_encoder import NEGATIVE
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.session import VideoSession
from napari_sam2.prompts import PointPrompt

__all__ = ["Clicks", "clicks_on_others", "leaving", "taken_in"]

Clicks = tuple[tuple[float, float], ...]


def clicks_on_others(session: VideoSession, object_id: int, frame: int) -> Clicks:
    """Return the positive clicks on other objects on a frame, (y, x) in its pixels."""
    others = (i for i in session.prompts.objects_on(frame) if i != object_id)
    prompts = (one for i in others for one in session.prompts.on(i, frame))
    return tuple(one.yx for one in prompts if isinstance(one, PointPrompt) and one.positive)


def taken_in(record: MaskRecord, clicks: Clicks) -> Clicks:
    """Return the clicks that lie in a mask."""
    return tuple(yx for yx in clicks if record.visible and _is_in(record, yx))


def leaving(geometry: Geometry, others: Clicks) -> Geometry:
    """Add negative clicks where other objects are; an object's own clicks stay the last."""
    points = np.vstack([np.reshape(others, (-1, 2)), geometry.points])
    labels = np.append(np.full(len(others), NEGATIVE), geometry.labels)
    return replace(geometry, points=points, labels=labels, candidate=None)


def _is_in(record: MaskRecord, yx: tuple[float, float]) -> bool:
    y0, x0, y1, x1 = record.bbox
    y, x = (int(np.floor(at + 0.5)) for at in yx)
    return y0 <= y < y1 and x0 <= x < x1 and bool(record.crop()[y - y0, x - x0])
