"""Divisions that masks suggest."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.tracking.proposals import DivisionWatch
from napari_sam2.tracking.splitting import halves

SHAPE = (80, 80)


def disks(*centres: tuple[float, float, float]) -> MaskRecord:
    rows, columns = np.indices(SHAPE)
    mask = np.zeros(SHAPE, bool)
    for y, x, radius in centres:
        mask |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return MaskRecord.from_mask(mask)


def cell(apart: int = 0) -> MaskRecord:
    """One disk, or two whose centres are so far apart."""
    if not apart:
        return disks((40, 40, 10))
    return disks((40 - apart / 2, 40, 8), (40 + apart / 2, 40, 7))


def movie(*records: MaskRecord | None, object_id: int = 1) -> MaskletSet:
    masklets = MaskletSet((len(records), *SHAPE))
    for frame, record in enumerate(records):
        if record is not None:
            masklets.write(object_id, frame, record)
    return masklets


@pytest.mark.parametrize("apart", [20, 14])
def test_two_pieces_and_two_lobes_are_halves(apart) -> None:
    whole = cell(apart)
    larger, smaller = halves(whole)
    assert larger.area > smaller.area > 0.6 * larger.area
    parts = larger.mask(SHAPE).astype(int) + smaller.mask(SHAPE)
    np.testing.assert_array_equal(parts, whole.mask(SHAPE))
    assert larger.centroid()[0] < 40 < smaller.centroid()[0]


def test_one_piece_and_a_piece_with_a_speck_are_no_halves() -> None:
    assert halves(cell()) is None
    assert halves(disks((40, 40, 10), (60, 60, 3))) is None
    assert halves(MaskRecord.from_mask(np.zeros(SHAPE, bool))) is None


def test_a_mask_that_splits_and_stays_split_is_a_division() -> None:
    masklets = movie(cell(), cell(), cell(20), cell(20), cell(22))
    (found,) = DivisionWatch().propose(masklets)
    assert (found.mother, found.frame, found.daughters) == (1, 2, ())
    assert 0.5 < found.confidence <= 1


def test_a_mask_that_splits_for_one_frame_is_none() -> None:
    masklets = movie(cell(), cell(), cell(20), cell(), cell(), cell())
    assert DivisionWatch().propose(masklets) == ()


def test_a_mask_that_was_drawn_in_two_pieces_is_none() -> None:
    drawn = MaskRecord(cell(20).bbox, cell(20).bits, prompted=True)
    assert DivisionWatch().propose(movie(cell(), drawn, drawn, drawn)) == ()


def test_half_an_area_beside_a_new_object_is_a_division() -> None:
    half = disks((34, 40, 7))
    masklets = movie(cell(), cell(), half, half)
    for frame in (2, 3):
        masklets.write(5, frame, disks((48, 40, 7)))
    (found,) = DivisionWatch().propose(masklets)
    assert (found.mother, found.frame, found.daughters) == (1, 2, (5,))


def test_a_track_that_ends_where_two_begin_is_a_division() -> None:
    masklets = movie(cell(), cell(), None, None)
    for frame in (2, 3):
        masklets.write(5, frame, disks((34, 40, 7)))
        masklets.write(6, frame, disks((48, 40, 7)))
    (found,) = DivisionWatch().propose(masklets)
    assert (found.mother, found.frame, found.daughters) == (1, 2, (5, 6))
    assert DivisionWatch().propose(masklets, {5: 1, 6: 1}) == ()


def test_only_masks_that_changed_are_looked_at_again(monkeypatch) -> None:
    looked = []

    def count(record, similarity):
        looked.append(record)
        return halves(record, similarity)

    monkeypatch.setattr("napari_sam2.tracking.proposals.halves", count)
    masklets, watch = movie(*[cell()] * 2, *[cell(20)] * 3), DivisionWatch()
    (before,) = watch.propose(masklets)
    assert len(looked) == 5
    assert watch.propose(masklets) == (before,)
    masklets.write(1, 2, cell())
    (after,) = watch.propose(masklets)
    assert len(looked) == 6
    assert (before.frame, after.frame) == (2, 3)
