"""Measures of quality on made masklets whose faults are known."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.tracking.measures import MeasureTable
from napari_sam2.tracking.quality import LOST, quality_from, quality_of

FRAMES, SIDE = 30, 120


def disc(y: float, x: float, radius: float = 10, **about) -> MaskRecord:
    ys, xs = np.ogrid[:SIDE, :SIDE]
    inside = (ys - y) ** 2 + (xs - x) ** 2 <= radius**2
    return MaskRecord.from_mask(inside, **{"predicted_iou": 0.95, "object_score": 8.0, **about})


@pytest.fixture
def steady() -> MaskletSet:
    """Object 1 moves a fifth of its radius a frame, from a click on frame 0."""
    masklets = MaskletSet((FRAMES, SIDE, SIDE))
    for frame in range(FRAMES):
        masklets.write(1, frame, disc(60, 20 + 2 * frame, prompted=frame == 0))
    return masklets


def change(masklets: MaskletSet, frame: int, **about) -> None:
    masklets.write(1, frame, replace(masklets.record(1, frame), **about))


def test_a_steady_object_is_not_doubtful(steady) -> None:
    quality = quality_of(steady, 1)
    assert quality.doubtful == ()
    assert quality.doubt.max() < 0.1
    assert quality.span == (0, FRAMES - 1)
    assert quality.confidence == pytest.approx(0.95, abs=0.001)
    np.testing.assert_allclose(quality.curves["presence"], 1 / (1 + np.exp(-8)), rtol=1e-5)
    assert quality.curves["centroid_jump"][1:].max() < 0.05


def test_a_jump_of_the_area_is_found_where_it_is(steady) -> None:
    for frame in range(12, FRAMES):
        steady.write(1, frame, disc(60, 20 + 2 * frame, 10 * 2**0.5))
    quality = quality_of(steady, 1)
    assert quality.doubtful == quality.stops == (12,)
    assert quality.curves["area_jump"][12] == pytest.approx(1.0, abs=0.05)
    assert quality.reason(12) == "area changes by a factor of 2.0"


def test_a_jump_to_another_cell_is_found(steady) -> None:
    for frame in range(15, FRAMES):
        steady.write(1, frame, disc(80, 20 + 2 * frame))
    quality = quality_of(steady, 1)
    assert quality.doubtful == (15,)
    assert quality.curves["centroid_jump"][15] == pytest.approx(
        np.hypot(2, 20) / 10 - 0.2, abs=0.05
    )
    assert "radii more than usual" in quality.reason(15)


def test_a_fast_object_is_judged_by_its_own_pace() -> None:
    masklets = MaskletSet((FRAMES, SIDE, 4 * SIDE))
    for frame in range(FRAMES):
        crop = disc(60, 60)
        y0, x0, y1, x1 = crop.bbox
        masklets.write(1, frame, replace(crop, bbox=(y0, x0 + 12 * frame, y1, x1 + 12 * frame)))
    assert quality_of(masklets, 1).doubtful == ()


@pytest.mark.parametrize(
    ("about", "text"),
    [({"predicted_iou": 0.4}, "expected IoU 0.40"), ({"object_score": 0.4}, "presence 0.60")],
)
def test_low_scores_are_doubtful_except_where_a_person_was(steady, about, text) -> None:
    change(steady, 7, **about)
    change(steady, 20, **about, prompted=True)
    quality = quality_of(steady, 1)
    assert quality.doubtful == (7,)
    assert text in quality.reason(7)


def test_an_object_that_is_lost_and_found(steady) -> None:
    for frame in range(10, 14):
        hidden = MaskRecord.from_mask(np.zeros((2, 2), bool), object_score=-8.0)
        steady.write(1, frame, hidden)
    quality = quality_of(steady, 1)
    assert quality.doubtful == (10, 14)
    assert quality.curves["area_jump"][10] == LOST
    assert np.isnan(quality.curves["predicted_iou"][11])
    assert quality.confidence == pytest.approx(0.95, abs=0.02), "sure of being hidden is sure"


def test_leaving_over_the_edge_is_no_fault(steady) -> None:
    for frame in range(FRAMES):
        steady.write(1, frame, disc(60, 118 - 2 * max(0, 15 - frame)))
        if frame > 20:
            steady.write(1, frame, MaskRecord.from_mask(np.zeros((2, 2), bool), object_score=-8.0))
    assert 21 not in quality_of(steady, 1).doubtful


def test_overlap_with_a_neighbour(steady) -> None:
    steady.write(2, 9, disc(60, 20 + 2 * 9 + 10))
    shared = steady.mask(1, 9) & steady.mask(2, 9)
    quality = quality_of(steady, 1)
    assert quality.curves["overlap"][9] == pytest.approx(shared.sum() / steady.mask(1, 9).sum())
    assert quality.doubtful == (9,)
    assert "claimed by others" in quality.reason(9)
    assert quality_of(steady, 2).curves["overlap"][9] > 0.3


def test_a_jump_beside_a_corrected_frame_is_the_other_frames(steady) -> None:
    for frame in range(10, FRAMES):
        steady.write(1, frame, disc(90, 20 + 2 * frame))  # astray from frame 10 on
    steady.write(1, 20, disc(60, 60, prompted=True))  # corrected there, not run again
    quality = quality_of(steady, 1)
    assert quality.stops == (10, 19, 21)
    assert quality.doubt[20] == 0


def test_neighbouring_doubtful_frames_are_one_stop(steady) -> None:
    for frame in (*range(5, 12), 20):
        change(steady, frame, predicted_iou=0.3)
    quality = quality_of(steady, 1)
    assert quality.doubtful == (*range(5, 12), 20)
    assert quality.stops == (5, 20)


def test_without_a_record_there_is_nothing_to_say() -> None:
    masklets = MaskletSet((FRAMES, SIDE, SIDE))
    quality = quality_of(masklets, 3)
    assert (quality.doubtful, quality.span, quality.confidence) == ((), None, None)
    masklets.write(3, 4, disc(50, 50))
    assert quality_of(masklets, 3).span == (4, 4)
    one = MaskletSet((1, SIDE, SIDE))
    one.write(1, 0, disc(50, 50))
    assert quality_of(one, 1).doubtful == ()


def test_masks_from_elsewhere_have_no_presence() -> None:
    labels = np.zeros((5, 40, 40), np.uint8)
    labels[:, 10:20, 10:20] = 4
    quality = quality_of(MaskletSet.from_labels(labels), 4)
    assert np.isnan(quality.curves["presence"]).all()
    assert quality.confidence == 1.0
    assert quality.doubtful == ()


def test_the_table_follows_and_names_what_changed(steady) -> None:
    for frame in range(FRAMES):
        steady.write(2, frame, disc(20, 100))
    table = MeasureTable(steady)
    assert table.measure_all() == {1, 2}
    assert table.is_current
    steady.write(2, 5, disc(20, 95))
    steady.remove(1, [8])
    table.mark([5, 8, 9])
    assert not table.is_current
    assert [table.measure_next() for _ in range(3)] == [{2}, {1}, frozenset()]
    assert table.of(2)["x"][5] == pytest.approx(95)
    fresh = quality_of(steady, 1)
    np.testing.assert_array_equal(quality_from(table.of(1)).doubt, fresh.doubt)
    steady.remove(2)
    table.mark(range(FRAMES))
    assert table.measure_all() == {2}
    assert np.isnan(table.of(2)["area"]).all()


def test_five_hundred_objects_a_frame() -> None:
    masklets = MaskletSet((2, 1024, 1024))
    ys, xs = np.ogrid[:20, :20]
    cell = (ys - 10) ** 2 + (xs - 10) ** 2 < 90
    for number in range(500):
        origin = (40 * (number // 25), 40 * (number % 25))
        for frame in range(2):
            masklets.write(1 + number, frame, MaskRecord.from_mask(cell, origin=origin))
    table = MeasureTable(masklets)
    started = perf_counter()
    assert len(table.measure_next()) == 500
    assert perf_counter() - started < 1.0  # 15 ms on a quiet machine
