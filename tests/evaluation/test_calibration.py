"""Calibration of predicted IoU and presence score, on numbers counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from napari_sam2.evaluation.calibration import Confidence, presence_quality, reliability
from napari_sam2.evaluation.protocol import Followed
from napari_sam2.evaluation.tasks import MaskletTask
from napari_sam2.masklets import MaskletSet, MaskRecord


def test_calibration_error_is_the_distance_weighted_by_counts():
    found = reliability([0.95, 0.95, 0.95, 0.15], [0.75, 0.75, 0.75, 0.15])
    assert found.count == 4
    assert found.error == pytest.approx(0.75 * 0.2)
    assert [(row.low, row.count) for row in found.bins] == [(0.1, 1), (0.9, 3)]
    assert found.correlation == pytest.approx(1.0)


def test_certainty_of_one_falls_into_the_last_bin():
    (row,) = reliability([1.0, 0.9], [1.0, 0.8]).bins
    assert (row.low, row.count, row.actual) == (0.9, 2, pytest.approx(0.9))
    assert math.isnan(reliability([0.5, 0.5], [0.1, 0.9]).correlation)
    assert reliability([], []).count == 0


def test_presence_agrees_with_another_implementation():
    rng = np.random.default_rng(0)
    present = rng.random(300) < 0.8
    scores = np.round(rng.normal(size=300) + present, 1)  # with ties
    found = presence_quality(scores.tolist(), present.tolist())
    assert found.auc == pytest.approx(roc_auc_score(present, scores))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(present, scores > 0))
    assert found.present + found.gone == 300


def test_presence_of_one_kind_only_cannot_be_judged():
    found = presence_quality([1.0, 2.0], [True, True])
    assert (found.present, found.gone) == (2, 0)
    assert math.isnan(found.auc)


def test_confidence_is_taken_where_there_is_truth(dividing_disk):
    movie = dividing_disk(frames=6)
    masklets = MaskletSet(movie.labels.shape)
    for frame in range(1, 6):
        record = MaskRecord.from_mask(movie.mask(1, 0), predicted_iou=0.9, object_score=3.0 - frame)
        masklets.write(1, frame, record)
    task = MaskletTask(movie, {1: 0}, 5, (1, 2, 3, 4, 5), "test")
    found = Confidence()
    found.add(Followed("network", task, masklets, 0.0))
    assert found.object_score == [2.0, 1.0, 0.0, -1.0, -2.0]
    assert found.present == [True, True, True, False, False]
    assert found.iou == [1.0, 1.0, 1.0]
    assert found.predicted_iou == [0.9, 0.9, 0.9]
