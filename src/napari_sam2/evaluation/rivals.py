"""Classical rivals, measured in the same run as the network.

Thresholding with watershed (global and local threshold), linked by overlap; copying the mask;
and, where OpenCV is installed, warping the mask by dense optical flow. Their few constants were
chosen on stills that the network trains on, never on the movies that judge.

A rival that needs a mask to begin with takes the true one where the task gives it; the ellipse in
the box from a box; and from clicks the watershed object (local threshold) under them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.methods import (
    STILL_PROTOCOLS,
    StillMethod,
    StillPrompts,
    StillProtocol,
)
from napari_sam2.evaluation.metrics import BoolMask, overlap_table
from napari_sam2.evaluation.optical_flow import FlowFields, SoftMask, reach_of
from napari_sam2.evaluation.simulated_user import prompted_mask
from napari_sam2.evaluation.tasks import MaskletTask
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.masklets import MaskRecord

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

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> MaskRecord:
        """Unite the objects under positive clicks.

        Watershed objects are whole or absent, so a negative click has nothing to say: it would
        only take away an object that a positive click asked for.
        """
        labels = self.watershed.labels(movie, frame)
        if prompts.box is not None:
            return MaskRecord.from_mask(_fill_box(labels, prompts.box))
        clicked = [
            int(labels[round(y), round(x)]) for (y, x), positive in prompts.clicks if positive
        ]
        return MaskRecord.from_mask(np.isin(labels, clicked) & (labels > 0))


class EllipseInBox:
    """Draw the ellipse that the box holds: what a box says without looking at the image."""

    name = "ellipse in the box"
    protocols: tuple[StillProtocol, ...] = ("box",)

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> MaskRecord:
        """Return the ellipse, or nothing where there is no box."""
        shape = movie.labels[frame].shape
        if prompts.box is None:
            return MaskRecord.from_mask(np.zeros(shape, dtype=bool))
        y0, x0, y1, x1 = prompts.box
        ys, xs = np.mgrid[: shape[0], : shape[1]]
        dy = (ys - (y0 + y1) / 2) / ((y1 - y0 + 1) / 2)
        dx = (xs - (x0 + x1) / 2) / ((x1 - x0 + 1) / 2)
        return MaskRecord.from_mask(dy**2 + dx**2 <= 1)


@dataclass
class CopyMask:
    """Repeat the first mask on every frame."""

    watershed: Watershed = field(default_factory=lambda: Watershed("local"))
    name: str = "copy the mask"

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, MaskRecord]]]:
        """Yield the first masks again and again."""
        records: dict[int, MaskRecord] = {}
        for frame in range(task.first, task.last + 1):
            for object_id, mask in first_masks(task, frame, self.watershed).items():
                records[object_id] = MaskRecord.from_mask(mask)
            yield frame, {i: record for i, record in records.items() if task.is_on(i, frame)}


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

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, MaskRecord]]]:
        """Yield the linked objects of every frame."""
        last_seen: dict[int, BoolMask] = {}
        for frame in range(task.first, task.last + 1):
            labels = self.watershed.labels(task.movie, frame)
            last_seen = {i: mask for i, mask in last_seen.items() if task.is_on(i, frame)}
            found = link_masks(last_seen, labels) if last_seen else {}
            found |= first_masks(task, frame, self.watershed)
            last_seen |= found
            nothing = np.zeros(labels.shape, dtype=bool)
            yield frame, {i: MaskRecord.from_mask(found.get(i, nothing)) for i in last_seen}


@dataclass
class FlowWarp:
    """Warp the mask from frame to frame by dense inverse-search optical flow (OpenCV)."""

    watershed: Watershed = field(default_factory=lambda: Watershed("local"))
    flows: FlowFields = field(default_factory=FlowFields)
    name: str = "optical flow (DIS) warping the mask"

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, MaskRecord]]]:
        """Yield the warped masks."""
        soft: dict[int, SoftMask] = {}
        for frame in range(task.first, task.last + 1):
            soft = {i: mask for i, mask in soft.items() if task.is_on(i, frame)}
            if soft:
                flow = self.flows.between(task.movie, frame - 1, frame)
                reach = reach_of(flow)
                soft = {i: mask.warped(flow, reach) for i, mask in soft.items()}
            for object_id, mask in first_masks(task, frame, self.watershed).items():
                soft[object_id] = SoftMask.of(mask)
            yield frame, {i: MaskRecord.from_mask(mask.mask()) for i, mask in soft.items()}


def first_masks(task: MaskletTask, frame: int, watershed: Watershed) -> dict[int, BoolMask]:
    """Return the masks with which a rival begins on a frame, of the objects prompted there."""
    method: StillMethod = EllipseInBox()
    if task.prompt != "box":
        method = WatershedUnderClick(watershed)

    def ask(prompts: StillPrompts) -> BoolMask:
        return method.answer(task.movie, frame, prompts).mask(task.movie.frame_shape)

    return {
        object_id: prompted_mask(task.movie.mask(object_id, frame), task.prompt, ask)
        for object_id, start in task.starts.items()
        if start == frame
    }


def _fill_box(labels: NDArray[np.uint16], box: tuple[float, float, float, float]) -> BoolMask:
    """Return the label with the best IoU with the box taken as a mask."""
    y0, x0, y1, x1 = (round(value) for value in box)
    inside = np.zeros(labels.shape, dtype=np.int32)
    inside[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
    shared = overlap_table(labels, inside)  # (labels + 1, 2)
    scores = shared[:, 1] / (shared.sum(axis=1) + inside.sum() - shared[:, 1])
    scores[0] = 0.0
    best = int(scores.argmax())
    return np.asarray((labels == best) & (best > 0))


def link_masks(masks: dict[int, BoolMask], labels: NDArray[np.uint16]) -> dict[int, BoolMask]:
    """Give objects their labels one to one, for the largest summed IoU.

    Parameters
    ----------
    masks : dict of int to ndarray, (H, W) bool
        Where each object was last.
    labels : ndarray, (H, W)
        Of this frame.

    Returns
    -------
    dict of int to ndarray, (H, W) bool
        Of the objects that overlap with a label by `LEAST_OVERLAP` or more.
    """
    areas = np.bincount(labels.ravel())
    scores = np.zeros((len(masks), len(areas)))
    for row, mask in enumerate(masks.values()):
        shared = np.bincount(labels[mask], minlength=len(areas))
        scores[row] = shared / np.maximum(areas + mask.sum() - shared, 1)
    scores[:, 0] = 0.0
    rows, columns = linear_sum_assignment(scores, maximize=True)
    ids = list(masks)
    return {
        ids[row]: labels == column
        for row, column in zip(rows, columns, strict=True)
        if scores[row, column] >= LEAST_OVERLAP
    }
