"""Does the network know how good it is? Predicted IoU and presence score against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.agreement import region_and_boundary
from napari_sam2.evaluation.protocol import Followed

BINS = 10


@dataclass
class Confidence:
    """What the network said of its masks, and what was true.

    Attributes
    ----------
    predicted_iou, iou : list of float
        Pairs, one for each mask of an object that is there.
    object_score : list of float
        Presence logits.
    present : list of bool
        Whether the object was there, for each of them.
    """

    predicted_iou: list[float] = field(default_factory=list)
    iou: list[float] = field(default_factory=list)
    object_score: list[float] = field(default_factory=list)
    present: list[bool] = field(default_factory=list)

    def add(self, followed: Followed) -> None:
        """Take in all scored frames of a task."""
        movie = followed.task.movie
        for object_id in followed.task.object_ids:
            for frame in followed.task.frames_of(object_id):
                record = followed.masklets.record(object_id, frame)
                truth = movie.record(object_id, frame)
                if record is None:
                    continue
                self.object_score.append(round(record.object_score, 3))
                self.present.append(truth.visible)
                if truth.visible:
                    j, _ = region_and_boundary(record, truth, movie.frame_shape)
                    self.predicted_iou.append(round(record.predicted_iou, 4))
                    self.iou.append(round(j, 4))


@dataclass(frozen=True)
class Bin:
    """One row of a reliability table: answers whose predicted IoU lies in [low, high)."""

    low: float
    high: float
    count: int
    predicted: float
    actual: float


@dataclass(frozen=True)
class Reliability:
    """How far the predicted IoU can be believed.

    Attributes
    ----------
    count : int
    correlation : float
        Pearson's, between predicted and actual IoU; NaN where one of them does not vary.
    error : float
        Expected calibration error: mean distance of predicted and actual IoU over the bins,
        weighted by their counts.
    bins : tuple of Bin
        Those that are not empty.
    """

    count: int
    correlation: float
    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class PresenceQuality:
    """How well the presence score tells objects that are there from those that have gone.

    Attributes
    ----------
    present, gone : int
        Frames of each kind.
    auc : float
        Chance that a frame with the object has a higher score than one without; NaN where one
        kind is missing.
    balanced_accuracy : float
        Mean of the shares of both kinds that a score above 0 gets right; NaN as above.
    """

    present: int
    gone: int
    auc: float
    balanced_accuracy: float


def reliability(predicted: Sequence[float], actual: Sequence[float]) -> Reliability:
    """Compare predicted with actual IoU in ten equal bins."""
    said, true = np.asarray(predicted, float), np.asarray(actual, float)
    index = np.clip((said * BINS).astype(int), 0, BINS - 1)
    bins = []
    for number in range(BINS):
        inside = index == number
        if inside.any():
            low, high = number / BINS, (number + 1) / BINS
            means = float(said[inside].mean()), float(true[inside].mean())
            bins.append(Bin(low, high, int(inside.sum()), *means))
    total = max(said.size, 1)
    error = sum(row.count * abs(row.predicted - row.actual) for row in bins) / total
    varies = said.size > 1 and bool(said.std() > 0) and bool(true.std() > 0)
    correlation = float(np.corrcoef(said, true)[0, 1]) if varies else float("nan")
    return Reliability(int(said.size), correlation, error, tuple(bins))


def presence_quality(scores: Sequence[float], present: Iterable[bool]) -> PresenceQuality:
    """Judge presence scores as a classifier."""
    values, there = np.asarray(scores, float), np.fromiter(present, bool)
    yes, no = values[there], values[~there]
    if not yes.size or not no.size:
        return PresenceQuality(yes.size, no.size, float("nan"), float("nan"))
    balanced = ((yes > 0).mean() + (no <= 0).mean()) / 2
    return PresenceQuality(yes.size, no.size, _area_under_curve(yes, no), float(balanced))


def _area_under_curve(yes: NDArray[np.float64], no: NDArray[np.float64]) -> float:
    """Return the share of pairs in the right order; ties count half."""
    ordered = np.sort(no)
    below = np.searchsorted(ordered, yes, side="left")
    up_to = np.searchsorted(ordered, yes, side="right")
    return float((below + up_to).sum() / (2 * yes.size * no.size))
