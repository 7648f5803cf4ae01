"""Measures of agreement between masks; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

BoolMask = NDArray[np.bool_]
LabelImage = NDArray[np.integer]

LOST_BELOW = 0.3
"""An object counts as lost from the frame on after which its IoU never reaches this again."""


def iou(mask: BoolMask, truth: BoolMask) -> float:
    """Return intersection over union, the J of the video benchmarks.

    Parameters
    ----------
    mask, truth : bool array, (H, W)
        Masks of one object on one frame.

    Returns
    -------
    float
        In 0..1; 1.0 where both are empty: nothing was there, and nothing was drawn.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if mask.shape != truth.shape:
        raise ValueError(
            f"masks of shape {mask.shape} and {truth.shape} cannot be compared; "
            "bring both to the frame's shape"
        )
    union = int(np.count_nonzero(mask | truth))
    return int(np.count_nonzero(mask & truth)) / union if union else 1.0


def frames_lost(ious: Sequence[float], threshold: float = LOST_BELOW) -> int:
    """Count the frames at the end on which the object has gone for good.

    Parameters
    ----------
    ious : sequence of float
        IoU on the scored frames, in order of time.
    threshold : float
        IoU under which the mask has nothing to do with the object any more.

    Returns
    -------
    int
        Length of the last stretch of frames below `threshold`; 0 if the last frame is found.
    """
    found = [index for index, value in enumerate(ious) if value >= threshold]
    return len(ious) - (found[-1] + 1 if found else 0)


def is_lost(ious: Sequence[float], threshold: float = LOST_BELOW) -> bool:
    """Tell whether the object was lost on the way and not found again."""
    return frames_lost(ious, threshold) > 0


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error.

    Parameters
    ----------
    values : sequence of float
        One value an object.

    Returns
    -------
    mean, error : float
        NaN for the mean of nothing, and for the error of fewer than two values.
    """
    if not len(values):
        return float("nan"), float("nan")
    # Summed exactly: 40.5 of 45 has to be 0.9, which may be what is asked for.
    mean = fmean(values)
    if len(values) < 2:
        return mean, float("nan")
    return mean, float(np.std(values, ddof=1) / np.sqrt(len(values)))


def overlap_table(labels: LabelImage, truth: LabelImage) -> NDArray[np.int64]:
    """Count the pixels that every pair of labels shares.

    Parameters
    ----------
    labels, truth : integer array, (H, W)
        Label images; 0 is background.

    Returns
    -------
    int64 array, (max(labels) + 1, max(truth) + 1)
        Row and column 0 are background.
    """
    rows, columns = int(labels.max()) + 1, int(truth.max()) + 1
    pair = labels.astype(np.int64).ravel() * columns + truth.astype(np.int64).ravel()
    return np.bincount(pair, minlength=rows * columns).reshape(rows, columns)  # (rows, columns)


def seg_score(labels: LabelImage, truth: LabelImage) -> float:
    """Return the SEG measure of the Cell Tracking Challenge on one frame.

    A true object is matched to the one label that covers more than half of it, and counts the
    IoU with it; an object without a match counts zero. Labels that match nothing cost nothing.

    Parameters
    ----------
    labels, truth : integer array, (H, W)
        Predicted and true label images; 0 is background.

    Returns
    -------
    float
        Mean over the true objects; NaN if there are none.
    """
    shared = overlap_table(labels, truth)
    area, true_area = shared.sum(axis=1), shared.sum(axis=0)
    scores = []
    for column in np.flatnonzero(true_area[1:]) + 1:
        row = int(shared[1:, column].argmax()) + 1 if shared.shape[0] > 1 else 0
        common = int(shared[row, column])
        matched = row > 0 and 2 * common > true_area[column]
        scores.append(common / (area[row] + true_area[column] - common) if matched else 0.0)
    return mean_and_error(scores)[0]
