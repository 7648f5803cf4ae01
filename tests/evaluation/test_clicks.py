"""Simulated clicks."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from napari_sam2.evaluation.clicks import box_of, corrective_click, innermost_point


def test_first_click_is_the_centre_of_a_disk_anywhere():
    mask = np.zeros((50, 60), dtype=bool)
    mask[disk((30, 21), 9)] = True
    assert innermost_point(mask) == (30.0, 21.0)


def test_first_click_on_a_bar_is_in_its_middle():
    mask = np.zeros((11, 41), dtype=bool)
    mask[3:8, 5:36] = True
    assert innermost_point(mask) == (5.0, 20.0)


def test_first_click_is_inside_a_crescent():
    mask = np.zeros((60, 60), dtype=bool)
    mask[disk((30, 30), 25)] = True
    mask[disk((30, 38), 20)] = False
    y, x = innermost_point(mask)
    assert mask[int(y), int(x)]


def test_frame_border_counts_as_border():
    mask = np.zeros((20, 20), dtype=bool)
    mask[:, :5] = True
    assert innermost_point(mask)[1] == 2.0


def test_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty mask"):
        innermost_point(np.zeros((4, 4), dtype=bool))
    with pytest.raises(ValueError, match="empty mask"):
        box_of(np.zeros((4, 4), dtype=bool))


def test_correction_goes_to_the_larger_error():
    truth = np.zeros((30, 30), dtype=bool)
    truth[5:15, 5:15] = True
    half = truth.copy()
    half[5:15, 10:15] = False
    click = corrective_click(half, truth)
    assert click is not None
    (y, x), positive = click
    assert positive
    assert truth[int(y), int(x)]
    assert not half[int(y), int(x)]

    surplus = truth.copy()
    surplus[20:29, 20:29] = True
    assert corrective_click(surplus, truth) == ((24.0, 24.0), False)
    assert corrective_click(truth, truth) is None


def test_correction_looks_at_regions_not_at_sums():
    truth = np.zeros((40, 40), dtype=bool)
    truth[10:20, 10:20] = True
    answer = truth.copy()
    answer[10:16, 10:15] = False  # one hole of 30
    for corner in (0, 30):  # surplus of 50, in two pieces of 25
        answer[corner : corner + 5, corner : corner + 5] = True
    click = corrective_click(answer, truth)
    assert click is not None
    assert click[1]


def test_box_is_inclusive():
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:5, 3:9] = True
    assert box_of(mask) == (2.0, 3.0, 4.0, 8.0)
