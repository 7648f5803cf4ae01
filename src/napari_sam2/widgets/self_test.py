"""What the network in use does on this machine: measured on a movie whose truth is known."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.training.synthetic import SyntheticMovie

FRAMES = 16
SIDE = 256
SECONDS = 2.0
"""Tracking is timed for so long, or until the movie ends."""
GOOD_IOU = 0.5


@dataclass(frozen=True, slots=True)
class SelfTest:
    """How a network does on this machine.

    Attributes
    ----------
    device : str
        Where its weights are and in which precision it computed.
    first_click : float
        Seconds from a click to its mask on a frame that was not encoded, the second such click.
    frames_per_second : float
        When one object is tracked.
    iou : float
        Overlap of the clicked mask with the true one.
    """

    device: str
    first_click: float
    frames_per_second: float
    iou: float

    def describe(self) -> str:
        """Return the figures in words."""
        text = (
            f"first click {1000 * self.first_click:.0f} ms, "
            f"{self.frames_per_second:.3g} frames/s for one object"
        )
        if self.iou < GOOD_IOU:
            text += f"; but it finds the test cell badly (IoU {self.iou:.2f})"
        return text


def measure(predictor: VideoPredictor) -> SelfTest:
    """Click a cell and track it, with network, device and precision of a predictor.

    Returns
    -------
    SelfTest
        Takes some seconds; sessions of the predictor are left alone.
    """
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import PointPrompt
    from napari_sam2.training.synthetic import dividing_cells

    movie = dividing_cells(frames=FRAMES, shape=(SIDE, SIDE), seed=0)
    own = VideoPredictor(predictor.model, predictor.runtime, predictor.options)
    session = VideoSession.open(movie.images)
    cell, yx = _cell(movie)
    # The first call of a network makes its plans and fills its caches.
    own.predict_frame(session, PointPrompt(1, 1, yx))
    session.remove_object(1)
    result = own.predict_frame(session, PointPrompt(1, 0, yx))
    mask = session.masklets.mask(1, 0)
    started, done = time.perf_counter(), 0
    for _ in own.propagate(session, PropagateOptions(direction="forward")):
        done += 1
        if time.perf_counter() - started > SECONDS:
            break
    seconds = time.perf_counter() - started
    return SelfTest(predictor.runtime.describe(), result.seconds, done / seconds, _iou(mask, cell))


def _cell(movie: SyntheticMovie) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the mask of the largest cell of the first frame and its innermost pixel."""
    from scipy.ndimage import distance_transform_edt

    areas = np.bincount(movie.labels[0].ravel())
    areas[0] = 0
    cell = movie.labels[0] == areas.argmax()
    inside = distance_transform_edt(cell)
    y, x = np.unravel_index(inside.argmax(), inside.shape)
    return cell, (float(y), float(x))


def _iou(mask: np.ndarray, other: np.ndarray) -> float:
    return float((mask & other).sum() / max(1, (mask | other).sum()))
