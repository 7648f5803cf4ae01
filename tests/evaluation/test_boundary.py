"""The boundary measure, against shapes whose value is known and another way to compute it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk
from skimage.morphology import disk as disk_footprint

from napari_sam2.evaluation.agreement import region_and_boundary
from napari_sam2.evaluation.boundary import (
    boundary_measure,
    outline,
    tolerance_in_pixels,
    widened,
)
from napari_sam2.evaluation.metrics import iou
from napari_sam2.masklets import MaskRecord


def test_tolerance_is_a_part_of_the_diagonal():
    assert tolerance_in_pixels((480, 854)) == 8  # DAVIS at 480p
    assert tolerance_in_pixels((3, 4)) == 1


def test_outline_of_a_square_is_one_pixel_wide_and_the_frame_has_none():
    mask = np.zeros((10, 10), dtype=bool)
    mask[3:6, 3:6] = True
    assert outline(mask).sum() == 12 + 1 - 1  # a ring of 4 x 4 pixels, shared corners once
    assert not outline(np.ones((5, 5), dtype=bool)).any()
    half = np.zeros((6, 8), dtype=bool)
    half[:, 4:] = True
    np.testing.assert_array_equal(np.flatnonzero(outline(half).any(axis=0)), [3])


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (3, 1.0), (4, 0.0)])
def test_a_straight_edge_counts_up_to_the_tolerance_and_no_farther(shift, expected):
    truth = np.zeros((40, 60), dtype=bool)
    truth[:, 30:] = True
    answer = np.zeros_like(truth)
    answer[:, 30 + shift :] = True
    assert boundary_measure(answer, truth, tolerance=3) == expected


def test_an_answer_that_is_twice_too_much_has_half_the_precision():
    one = np.zeros((80, 160), dtype=bool)
    one[disk((40, 40), 15)] = True
    both = one.copy()
    both[disk((40, 120), 15)] = True
    precision, recall = 0.5, 1.0
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_measure(both, one) == pytest.approx(expected)
    assert boundary_measure(one, both) == pytest.approx(expected)  # recall is the half now


def test_empty_masks():
    nothing, some = np.zeros((20, 20), dtype=bool), np.zeros((20, 20), dtype=bool)
    some[5:9, 5:9] = True
    assert boundary_measure(nothing, nothing) == 1.0
    assert boundary_measure(nothing, some) == boundary_measure(some, nothing) == 0.0
    with pytest.raises(ValueError, match="cannot be compared"):
        boundary_measure(some, some[1:])


def by_morphology(mask, truth):
    """F as the benchmark's own program has it: dilation by a disk, on the whole frame."""
    radius = math.ceil(0.008 * np.linalg.norm(mask.shape))
    footprint = disk_footprint(radius)

    def lines(m):
        east, south, south_east = (np.zeros_like(m) for _ in range(3))
        east[:, :-1], south[:-1], south_east[:-1, :-1] = m[:, 1:], m[1:], m[1:, 1:]
        found = (m ^ east) | (m ^ south) | (m ^ south_east)
        found[-1] = m[-1] ^ east[-1]
        found[:, -1] = m[:, -1] ^ south[:, -1]
        found[-1, -1] = False
        return found

    fg, gt = lines(mask), lines(truth)
    near_gt = ndimage.binary_dilation(gt, footprint)
    near_fg = ndimage.binary_dilation(fg, footprint)
    precision, recall = (fg & near_gt).sum() / fg.sum(), (gt & near_fg).sum() / gt.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def random_blob(rng, shape):
    return ndimage.gaussian_filter(rng.normal(size=shape), 9) > 0.01


def test_agrees_with_dilation_on_the_whole_frame_and_on_packed_masks():
    rng = np.random.default_rng(1)
    for _ in range(6):
        answer, truth = (random_blob(rng, (150, 190)) for _ in range(2))
        expected = by_morphology(answer, truth)
        assert boundary_measure(answer, truth) == pytest.approx(expected)
        packed = (MaskRecord.from_mask(mask) for mask in (answer, truth))
        j, f = region_and_boundary(*packed, answer.shape)
        assert f == pytest.approx(expected)
        assert j == pytest.approx(iou(answer, truth))


def test_packed_masks_at_the_border_and_far_apart():
    a, b = np.zeros((60, 70), dtype=bool), np.zeros((60, 70), dtype=bool)
    a[:20, :20], b[30:, 40:] = True, True
    for one, other in ((a, a), (a, b), (b, a | b)):
        packed = [MaskRecord.from_mask(mask) for mask in (one, other)]
        expected = iou(one, other), boundary_measure(one, other)
        assert region_and_boundary(*packed, a.shape) == pytest.approx(expected)
    nothing = MaskRecord.from_mask(np.zeros_like(a))
    assert region_and_boundary(nothing, nothing, a.shape) == (1.0, 1.0)
    assert region_and_boundary(nothing, MaskRecord.from_mask(a), a.shape) == (0.0, 0.0)


def test_widened_is_dilation_by_a_disk():
    lines = random_blob(np.random.default_rng(2), (60, 60))
    expected = ndimage.binary_dilation(lines, disk_footprint(4))
    np.testing.assert_array_equal(widened(lines, 4), expected)
