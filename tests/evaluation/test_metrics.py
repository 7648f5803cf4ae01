"""Measures against cases worked out by hand, and against other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jaccard
from skimage.draw import disk
from skimage.metrics import contingency_table

from napari_sam2.evaluation.metrics import (
    frames_lost,
    iou,
    is_lost,
    mean_and_error,
    overlap_table,
    seg_score,
)


def block(y0, y1, x0, x1, shape=(20, 20)):
    mask = np.zeros(shape, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_iou_of_blocks_that_share_a_third():
    assert iou(block(0, 4, 0, 10), block(2, 6, 0, 10)) == pytest.approx(20 / 60)


def test_iou_of_nothing_with_nothing_is_one_and_with_something_zero():
    nothing = block(0, 0, 0, 0)
    assert iou(nothing, nothing) == 1.0
    assert iou(nothing, block(0, 3, 0, 3)) == 0.0


def test_iou_agrees_with_scipy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask, truth = rng.random((2, 15, 17)) < rng.random((2, 1, 1))
        assert iou(mask, truth) == pytest.approx(1 - jaccard(mask.ravel(), truth.ravel()))


def test_iou_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(20, 20\) and \(10, 20\)"):
        iou(block(0, 4, 0, 4), block(0, 4, 0, 4, (10, 20)))


def test_lost_counts_only_the_end():
    assert frames_lost([0.9, 0.05, 0.8, 0.1, 0.0]) == 2
    assert frames_lost([0.0, 0.0]) == 2
    assert frames_lost([]) == 0
    assert is_lost([0.9, 0.0])
    assert not is_lost([0.0, 0.9])


def test_mean_and_error_by_hand():
    assert mean_and_error([1.0] * 37 + [5 / 6] * 4 + [1 / 6] + [0.0] * 3)[0] == 0.9
    assert mean_and_error([0.5, 0.7]) == (pytest.approx(0.6), pytest.approx(0.1))
    mean, error = mean_and_error([])
    assert math.isnan(mean)
    assert math.isnan(error)


def test_overlap_table_agrees_with_scikit_image():
    rng = np.random.default_rng(1)
    labels, truth = rng.integers(0, 5, (2, 30, 30))
    expected = contingency_table(truth, labels, sparse_type="array").toarray()
    np.testing.assert_array_equal(overlap_table(labels, truth).T, expected)


def test_seg_matches_only_above_one_half():
    truth = np.zeros((10, 30), dtype=np.int32)
    truth[:, :10], truth[:, 10:20], truth[:, 20:] = 1, 2, 3
    labels = np.zeros_like(truth)
    labels[:, 0:8] = 7  # 80 of 100 pixels: matched, IoU 80 / 100
    labels[:, 10:15] = 8  # exactly half: not matched
    labels[:5, 20:30] = 9  # exactly half: not matched
    assert seg_score(labels, truth) == pytest.approx(0.8 / 3)


def test_seg_of_a_perfect_and_of_an_empty_answer():
    truth = np.zeros((40, 40), dtype=np.int32)
    truth[disk((10, 10), 6)] = 4
    truth[disk((28, 25), 8)] = 2
    assert seg_score(truth, truth) == 1.0
    assert seg_score(np.zeros_like(truth), truth) == 0.0
    assert math.isnan(seg_score(truth, np.zeros_like(truth)))
