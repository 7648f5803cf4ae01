"""Objects that are found without a click, and followed."""

import json

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.automatic import ObjectFinder, without_duplicates
from napari_sam2.predictor.automatic_masklets import AutomaticMasklets
from napari_sam2.predictor.automatic_masks import end_mother, nearest_piece
from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
from napari_sam2.predictor.automatic_state import SearchState
from napari_sam2.predictor.diameter import estimate_diameter
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking.proposals import divisions_of_newcomers

CENTRES = ((22.0, 24.0), (30.0, 74.0), (74.0, 40.0))
LATE = (76.0, 80.0)
RADIUS = 9
BORN = 2


def _disk(yx):
    y, x = np.indices((100, 104))
    return (y - yx[0]) ** 2 + (x - yx[1]) ** 2 <= RADIUS**2


@pytest.fixture(scope="module")
def disks() -> np.ndarray:
    """Five frames of three bright disks that drift, and a fourth that comes on frame 2."""
    frames = np.random.default_rng(0).normal(200, 12, (5, 100, 104))
    for t in range(5):
        centres = CENTRES + ((LATE,) if t >= BORN else ())
        for y, x in centres:
            frames[t][_disk((y + t, x))] += 700
    return frames.clip(0).astype(np.uint16)


@pytest.fixture(scope="module")
def bundled() -> VideoPredictor:
    return VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))


FIND = FindOptions(diameter=19, spacing=0.7)
OPTIONS = AutomaticOptions(every=4, least_frames=2)


def _ious(record_masks, truth):
    return [(m & truth).sum() / (m | truth).sum() for m in record_masks]


def test_every_object_of_a_frame_is_found_once(disks, bundled):
    session = VideoSession.open(disks)
    found = ObjectFinder(bundled.model, bundled.runtime, FIND).find(session, 0)
    masks = [one.mask((100, 104)) for one in found]
    assert len(masks) == len(CENTRES)
    assert sum(m.astype(int) for m in masks).max() == 1
    for centre in CENTRES:
        assert max(_ious(masks, _disk(centre))) > 0.7
    assert not session.prompts.all()


def test_two_that_touch_are_both_found_where_points_answer_with_both(bundled):
    y, x = np.indices((96, 112))
    daughters = [(y - 30) ** 2 + (x - centre) ** 2 <= 64 for centre in (31, 49)]
    frame = np.random.default_rng(5).normal(20, 3, (96, 112)) + 100 * np.any(daughters, axis=0)
    session = VideoSession.open(frame[None].astype(np.uint8))
    found = ObjectFinder(bundled.model, bundled.runtime, FindOptions(diameter=20)).find(session, 0)
    masks = [one.mask((96, 112)) for one in found]
    assert len(masks) == 2
    for daughter in daughters:
        assert max(_ious(masks, daughter)) > 0.8


def test_nothing_is_found_on_an_empty_frame(bundled):
    session = VideoSession.open(np.full((1, 64, 64), 100, np.uint8))
    assert ObjectFinder(bundled.model, bundled.runtime, FIND).find(session, 0) == []


def test_a_frame_outside_the_movie_is_named(disks, bundled):
    with pytest.raises(ValueError, match="frame 9 is outside"):
        ObjectFinder(bundled.model, bundled.runtime, FIND).find(VideoSession.open(disks), 9)


def test_a_newcomer_is_found_and_followed_back_to_its_first_frame(disks, bundled):
    session = VideoSession.open(disks)
    run = AutomaticMasklets(bundled, session, FIND, OPTIONS)
    results = list(run.run())
    assert len(session.masklets) == len(run.state.seeded) == 4
    late = [i for i, key in run.state.seeded.items() if key == 4]
    assert len(late) == 1
    assert session.masklets.record(late[0], 2).visible
    truth = _disk((LATE[0] + 3, LATE[1]))
    assert _ious([session.masklets.mask(late[0], 3)], truth)[0] > 0.7
    assert {result.frame for result in results} == set(range(5))


def test_a_run_that_was_closed_goes_on_to_the_same_masks(disks, bundled):
    whole, parts = VideoSession.open(disks), VideoSession.open(disks)
    list(AutomaticMasklets(bundled, whole, FIND, OPTIONS).run())
    run = AutomaticMasklets(bundled, parts, FIND, OPTIONS)
    steps = 0
    while steps < 30:
        generator = run.run()
        if next(generator, None) is None:
            break
        generator.close()
        steps += 1
    assert 4 < steps < 30
    assert np.array_equal(whole.masklets.to_labels(), parts.masklets.to_labels())


def test_short_masklets_are_dropped(disks, bundled):
    session = VideoSession.open(disks)
    options = AutomaticOptions(every=4, least_frames=5)
    list(AutomaticMasklets(bundled, session, FIND, options).run())
    assert all(len(one.visible_frames) >= 5 for one in session.masklets)
    assert len(session.masklets) == 3


def test_the_surer_of_two_overlapping_masks_stays():
    square = np.zeros((20, 20), bool)
    square[4:12, 4:12] = True
    sure = MaskRecord.from_mask(square, predicted_iou=0.9)
    alike = MaskRecord.from_mask(np.roll(square, 1, 0), predicted_iou=0.8)
    apart = MaskRecord.from_mask(np.roll(square, 7, 0), predicted_iou=0.7)
    kept = without_duplicates([alike, apart, sure], 0.3)
    assert [one.predicted_iou for one in kept] == [0.9, 0.7]
    assert sum(one.mask((20, 20)).astype(int) for one in kept).max() == 1


def test_the_diameter_is_estimated_from_the_frame(disks):
    rgb = np.repeat((disks[0] / 1200.0).clip(0, 1)[..., None], 3, axis=-1).astype(np.float32)
    assert estimate_diameter(rgb) == pytest.approx(2 * RADIUS, rel=0.25)


def test_an_option_out_of_bounds_is_named():
    with pytest.raises(ValueError, match=r"spacing is 5"):
        FindOptions(spacing=5.0)
    with pytest.raises(ValueError, match=r"every is 0"):
        AutomaticOptions(every=0)


def test_a_predictor_that_takes_daughters_on_is_refused(disks, bundled):
    twice = VideoPredictor(bundled.model, bundled.runtime, PredictorOptions(divided="daughters"))
    with pytest.raises(ValueError, match="daughters by itself"):
        AutomaticMasklets(twice, VideoSession.open(disks), FIND, OPTIONS)


def test_of_two_pieces_the_one_nearest_to_the_mask_before_stays():
    near, far = _disk((20, 20)), _disk((70, 70))
    before = MaskRecord.from_mask(_disk((22, 22)))
    both = MaskRecord.from_mask(near | far, predicted_iou=0.8, object_score=3.0)
    piece = nearest_piece(both, before)
    assert np.array_equal(piece.mask((100, 104)), near)
    assert (piece.predicted_iou, piece.object_score) == (0.8, 3.0)
    assert nearest_piece(piece, before) is piece


def _record(centre, radius=RADIUS):
    y, x = np.indices((100, 104))
    return MaskRecord.from_mask((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)


def test_a_mother_ends_where_a_newcomer_halves_her():
    session = VideoSession.open(np.zeros((6, 100, 104), np.uint8))
    for t in range(6):
        session.masklets.write(1, t, _record((50, 40), 10) if t < 3 else _record((50, 33), 7))
        session.masklets.write(2, t, _record((20, 80), 10))
        if t >= 3:
            session.masklets.write(3, t, _record((50, 47), 7))
    session.add(MaskPrompt(1, 4, session.masklets.mask(1, 4)))
    (found,) = divisions_of_newcomers(list(session.masklets))
    assert (found.mother, found.frame, found.daughters) == (1, 3, (3,))
    for _ in range(2):  # a process that goes on may do it again
        end_mother(session, 1, 3, 4)
        assert session.masklets.frames(1) == (0, 1, 2)
        assert session.masklets.frames(4) == (3, 4, 5)
        assert session.masklets.record(4, 5).centroid() == pytest.approx((50, 33))
        assert (session.prompts.frames(1), session.prompts.frames(4)) == ((2,), (3,))
    assert session.masklets.frames(2) == tuple(range(6))


def test_how_far_a_search_is_can_be_written_and_read():
    state = SearchState({1: 0, 3: 5}, {0, 5}, {0}, (5, -1), {3}, [(1, 3, 4)], {2: 1, 4: 1})
    assert SearchState.from_json(json.loads(json.dumps(state.as_json()))) == state
    assert state.object_ids == {1, 3, 4}
