"""Packed masks and the set that keeps them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskletSet, MaskRecord


def blob(shape, y, x, height, width):
    mask = np.zeros(shape, dtype=bool)
    mask[y : y + height, x : x + width] = True
    return mask


@pytest.mark.parametrize("seed", range(8))
def test_a_record_gives_back_the_mask(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 40, 2))
    mask = rng.random(shape) > 0.8
    record = MaskRecord.from_mask(mask)
    assert np.array_equal(record.mask(shape), mask)
    assert record.area == mask.sum()
    assert record.visible == mask.any()


def test_a_record_of_a_part_of_the_frame_lies_where_the_part_lies():
    part = blob((6, 7), 1, 2, 3, 4)
    record = MaskRecord.from_mask(part, origin=(10, 20))
    assert record.bbox == (11, 22, 14, 26)
    assert np.array_equal(record.mask((30, 40)), blob((30, 40), 11, 22, 3, 4))
    assert record.crop().shape == (3, 4)


def test_an_empty_record_is_hidden_and_has_no_pixel():
    record = MaskRecord.from_mask(np.zeros((5, 5), bool), origin=(3, 3), object_score=-4.0)
    assert record.bbox == (0, 0, 0, 0)
    assert not record.visible
    assert record.area == 0
    assert record.object_score == -4.0
    assert not record.mask((5, 5)).any()


def test_the_centre_is_the_mean_of_the_pixels():
    record = MaskRecord.from_mask(blob((30, 40), 11, 22, 3, 4))
    assert record.centroid() == (12.0, 23.5)
    with pytest.raises(ValueError, match="no centre"):
        MaskRecord.from_mask(np.zeros((4, 4), bool)).centroid()


def test_a_record_that_does_not_fit_says_so():
    record = MaskRecord.from_mask(blob((20, 20), 10, 10, 5, 5))
    with pytest.raises(ValueError, match=r"\(12, 20\)"):
        record.mask((12, 20))
    with pytest.raises(ValueError, match="origin"):
        MaskRecord.from_mask(blob((4, 4), 0, 0, 2, 2), origin=(-1, 0))
    with pytest.raises(ValueError, match=r"\(3, 4, 4\)"):
        MaskRecord.from_mask(np.zeros((3, 4, 4), bool))


def small_set():
    out = MaskletSet((3, 20, 20))
    out.write(5, 0, MaskRecord.from_mask(blob((20, 20), 0, 0, 10, 10)))
    out.write(5, 2, MaskRecord.from_mask(np.zeros((20, 20), bool)))
    out.write(9, 0, MaskRecord.from_mask(blob((20, 20), 2, 2, 3, 3)))
    out.write(9, 1, MaskRecord.from_mask(blob((20, 20), 15, 15, 3, 3)))
    return out


def test_labels_show_the_smaller_object_where_masks_overlap():
    masklets = small_set()
    labels = masklets.labels(0)
    assert labels.dtype == np.uint16
    assert (labels == 9).sum() == 9
    assert (labels == 5).sum() == 100 - 9
    assert masklets.mask(5, 0).sum() == 100


def test_labels_of_the_movie_are_the_frames_stacked():
    masklets = small_set()
    stack = masklets.to_labels()
    assert stack.shape == (3, 20, 20)
    for frame in range(3):
        assert np.array_equal(stack[frame], masklets.labels(frame))


def test_the_type_of_labels_grows_with_the_ids():
    masklets = small_set()
    masklets.write(70_000, 1, MaskRecord.from_mask(blob((20, 20), 0, 0, 2, 2)))
    assert masklets.labels(1).dtype == np.uint32
    assert masklets.to_labels().max() == 70_000


def test_records_objects_and_frames():
    masklets = small_set()
    assert masklets.object_ids() == (5, 9)
    assert masklets.frames(5) == (0, 2)
    assert masklets.record(5, 1) is None
    assert not masklets.mask(5, 1).any()
    assert [masklet.object_id for masklet in masklets] == [5, 9]


def test_a_masklet_knows_where_its_object_is_seen():
    five, nine = small_set()
    assert (five.first_visible, five.last_visible) == (0, 0)
    assert (nine.first_visible, nine.last_visible) == (0, 1)
    assert five.frames == (0, 2)


def test_removing_frames_and_objects():
    masklets = small_set()
    masklets.remove(9, [1, 2])
    assert masklets.frames(9) == (0,)
    masklets.remove(9)
    masklets.remove(123)
    assert masklets.object_ids() == (5,)


def test_labels_survive_a_round_trip():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 6, (4, 15, 17)).astype(np.int64) * 3
    masklets = MaskletSet.from_labels(labels)
    assert masklets.object_ids() == (3, 6, 9, 12, 15)
    assert np.array_equal(masklets.to_labels(), labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.write(0, 0, MaskRecord.from_mask(blob((20, 20), 0, 0, 1, 1))), "object id 0"),
        (lambda s: s.write(1, 3, MaskRecord.from_mask(blob((20, 20), 0, 0, 1, 1))), "frame 3"),
        (lambda s: s.write(1, 0, MaskRecord.from_mask(blob((30, 30), 0, 0, 25, 1))), "25"),
        (lambda s: s.labels(-1), "frame -1"),
        (lambda s: MaskletSet((0, 5, 5)), r"\(0, 5, 5\)"),
        (lambda s: MaskletSet.from_labels(np.zeros((2, 4, 4))), "float64"),
        (lambda s: MaskletSet.from_labels(np.zeros((4, 4), int)), r"\(4, 4\)"),
        (lambda s: MaskletSet.from_labels(np.full((1, 4, 4), -2)), "label -2"),
    ],
)
def test_what_lies_outside_the_movie_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(small_set())
