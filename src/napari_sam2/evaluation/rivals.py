"""Classical rivals, measured in the same run as the network.

Thresholding with watershed (global and local threshold), linked by overlap; copying the mask;
and, where OpenCV is installed, warping the mask by dense optical flow. Their few constants were
chosen on stills that the network trains on, never on the movies that judge.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_sam2.evaluation.ground_truth import AnnotatedMovie, MaskletTask
from napari_sam2.evaluation.methods import STILL_PROTOCOLS, StillPrompts, StillProtocol
from napari_sam2.evaluation.metrics import BoolMask, overlap_table
from napari_sam2.evaluation.watershed import Watershed

LEAST_OVERLAP = 0.1
"""Smallest IoU between frames at which the linked watershed still takes it for the same cell."""


@dataclass
class WatershedUnderClick:
    """Take the watershed object under the click; a box takes the object that fills it best."""

    watershed: Watershed
    protocols: tuple[StillProtocol, ...] = STILL_PROTOCOLS

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"watershed ({self.watershed.threshold} threshold)"

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> BoolMask:
        """Unite the objects under positive clicks.

        Watershed objects are whole or absent, so a negative click has nothing to say: it would
        only take away an object that a positive click asked for.
        """
        labels = self.watershed.labels(movie, frame)
        if prompts.box is not None:
            return _fill_box(labels, prompts.box)
        clicked = [
            int(labels[round(y), round(x)]) for (y, x), positive in prompts.clicks if positive
        ]
        return np.asarray(np.isin(labels, clicked) & (labels > 0))


class EllipseInBox:
    """Draw the ellipse that the box holds: what a box says without looking at the image."""

    name = "ellipse in the box"
    protocols: tuple[StillProtocol, ...] = ("box",)

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> BoolMask:
        """Return the ellipse, or nothing where there is no box."""
        shape = movie.labels[frame].shape
        if prompts.box is None:
            return np.zeros(shape, dtype=bool)
        y0, x0, y1, x1 = prompts.box
        ys, xs = np.mgrid[: shape[0], : shape[1]]
        dy = (ys - (y0 + y1) / 2) / ((y1 - y0 + 1) / 2)
        dx = (xs - (x0 + x1) / 2) / ((x1 - x0 + 1) / 2)
        return np.asarray(dy**2 + dx**2 <= 1)


class CopyMask:
    """Repeat the first mask on every frame."""

    name = "copy the mask"

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, BoolMask]]]:
        """Yield the first masks again and again."""
        masks = first_masks(task)
        for frame in range(task.first + 1, task.last + 1):
            yield frame, masks


@dataclass
class LinkedWatershed:
    """Segment every frame by watershed, and link objects by their overlap with the frame before.

    Every object gets at most one label and every label goes to one object, so that the summed
    IoU is largest. An object that overlaps too little gets no mask, and is looked for again where
    it was seen last.
    """

    watershed: Watershed

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"watershed ({self.watershed.threshold} threshold), linked"

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, BoolMask]]]:
        """Yield the linked objects of every frame."""
        last_seen = first_masks(task)
        for frame in range(task.first + 1, task.last + 1):
            labels = self.watershed.labels(task.movie, frame)
            found = _link(last_seen, labels)
            last_seen |= found
            nothing = np.zeros(labels.shape, dtype=bool)
            yield frame, {object_id: found.get(object_id, nothing) for object_id in last_seen}


class FlowWarp:
    """Warp the mask from frame to frame by dense inverse-search optical flow (OpenCV)."""

    name = "optical flow (DIS) warping the mask"

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, BoolMask]]]:
        """Yield the warped masks; they are carried as grey values and cut at one half."""
        # An optional dependency, only for this rival; its stubs refuse its own documented calls.
        cv2: Any = importlib.import_module("cv2")
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        soft = {key: mask.astype(np.float32) for key, mask in first_masks(task).items()}
        window = task.movie.images[task.first : task.last + 1]
        low, high = np.percentile(window, [0.5, 99.8])
        before = _to_bytes(window[0], low, high)
        ys, xs = np.mgrid[: before.shape[0], : before.shape[1]].astype(np.float32)
        for offset, image in enumerate(window[1:], start=1):
            now = _to_bytes(image, low, high)
            back = flow.calc(now, before, None)  # (H, W, 2), x and y: where each pixel came from
            for key, mask in soft.items():
                soft[key] = cv2.remap(mask, xs + back[..., 0], ys + back[..., 1], cv2.INTER_LINEAR)
            before = now
            yield task.first + offset, {key: mask > 0.5 for key, mask in soft.items()}


def has_optical_flow() -> bool:
    """Tell whether OpenCV is installed, which `FlowWarp` needs."""
    return importlib.util.find_spec("cv2") is not None


def first_masks(task: MaskletTask) -> dict[int, BoolMask]:
    """Return the true masks from which a task starts."""
    return {object_id: task.movie.mask(object_id, task.first) for object_id in task.object_ids}


def _to_bytes(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map a frame to 8 bits between two intensities that hold for the whole movie."""
    values = image.astype(np.float32)
    if values.ndim == 3:
        values = values.mean(axis=2)
    scaled = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    return (255 * scaled).astype(np.uint8)


def _fill_box(labels: NDArray[np.int32], box: tuple[float, float, float, float]) -> BoolMask:
    """Return the label with the best IoU with the box taken as a mask."""
    y0, x0, y1, x1 = (round(value) for value in box)
    inside = np.zeros(labels.shape, dtype=np.int32)
    inside[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
    shared = overlap_table(labels, inside)  # (labels + 1, 2)
    scores = shared[:, 1] / (shared.sum(axis=1) + inside.sum() - shared[:, 1])
    scores[0] = 0.0
    best = int(scores.argmax())
    return np.asarray((labels == best) & (best > 0))


def _link(masks: dict[int, BoolMask], labels: NDArray[np.int32]) -> dict[int, BoolMask]:
    """Give objects their labels one to one, for the largest summed IoU."""
    areas = np.bincount(labels.ravel())
    scores = np.zeros((len(masks), len(areas)))
    for row, mask in enumerate(masks.values()):
        shared = np.bincount(labels[mask], minlength=len(areas))
        scores[row] = shared / (areas + mask.sum() - shared)
    scores[:, 0] = 0.0
    rows, columns = linear_sum_assignment(scores, maximize=True)
    ids = list(masks)
    return {
        ids[row]: labels == column
        for row, column in zip(rows, columns, strict=True)
        if scores[row, column] >= LEAST_OVERLAP
    }
