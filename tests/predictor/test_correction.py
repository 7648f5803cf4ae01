"""Corrections: only what they change is computed again, and only for the object in question."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.correction import agreement
from napari_sam2.predictor.options import CorrectOptions, PropagateOptions
from napari_sam2.predictor.run_plan import plan_runs
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells

FRAMES = 24


@pytest.fixture(scope="module")
def cells() -> SyntheticMovie:
    return dividing_cells(FRAMES, (160, 160), seed=3)


@pytest.fixture(scope="module")
def followed(cells: SyntheticMovie) -> tuple[VideoPredictor, VideoSession]:
    """Three cells that stay, followed from their true masks through the movie."""
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    session = VideoSession.open(cells.images)
    everywhere = [i for i in range(1, 60) if (cells.labels == i).any((1, 2)).all()][:3]
    for object_id in everywhere:
        predictor.predict_frame(session, MaskPrompt(object_id, 0, cells.labels[0] == object_id))
    list(predictor.propagate(session))
    return predictor, session


@pytest.fixture
def tracked(followed) -> tuple[VideoPredictor, VideoSession]:
    """The same in a session of its own."""
    predictor, session = followed
    shared = (predictor.model, session.frames, session.features)
    return predictor, copy.deepcopy(session, {id(one): one for one in shared})


def records(session: VideoSession, object_id: int) -> dict[int, MaskRecord | None]:
    return {t: session.masklets.record(object_id, t) for t in range(FRAMES)}


def misplace(session: VideoSession, object_id: int, frames: range) -> None:
    """Spoil masks as a run that went astray would have."""
    wrong = np.zeros((160, 160), bool)
    wrong[2:12, 2:12] = True
    for frame in frames:
        session.masklets.write(object_id, frame, MaskRecord.from_mask(wrong))


def test_it_stops_where_masks_agree_again(tracked, cells) -> None:
    predictor, session = tracked
    first, other = session.prompts.object_ids()[:2]
    good, others = records(session, first), records(session, other)
    misplace(session, first, range(10, 14))
    # What was right before: a prompt of finer contours would change masks a little for long.
    predictor.predict_frame(session, MaskPrompt(first, 12, good[12].mask((160, 160))))
    results = list(predictor.correct(session, CorrectOptions(agreement=0.5)))
    visited = [result.frame for result in results]
    assert {10, 11, 13} <= set(visited) <= set(range(5, 20)), visited
    assert all([one.object_id for one in result.objects] == [first] for result in results)
    after = records(session, first)
    for frame in (10, 11, 13):
        truth = cells.labels[frame] == first
        mask = after[frame].mask(truth.shape)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.5
    untouched = set(range(FRAMES)) - set(visited) - {12}
    assert all(after[t] == good[t] for t in untouched)
    assert records(session, other) == others
    # Everything is up to date: neither another correction nor a run that goes on has work.
    assert not list(predictor.correct(session))
    assert not list(predictor.propagate(session, PropagateOptions(resume=True)))


def test_a_correction_that_changes_nothing_costs_three_frames_a_side(tracked, cells) -> None:
    predictor, session = tracked
    first = session.prompts.object_ids()[0]
    record = session.masklets.record(first, 12)
    predictor.predict_frame(session, MaskPrompt(first, 12, record.mask((160, 160))))
    visited = [result.frame for result in predictor.correct(session, CorrectOptions(agreement=0.7))]
    assert visited == [13, 14, 15, 11, 10, 9]


def test_locked_masks_stay_in_corrections_and_in_runs(tracked, cells) -> None:
    predictor, session = tracked
    first, other = session.prompts.object_ids()[:2]
    misplace(session, first, range(8, 20))
    session.locks.add(first, [14])
    session.locks.add(other)
    spoilt, locked = session.masklets.record(first, 14), records(session, other)
    predictor.predict_frame(session, MaskPrompt(first, 12, cells.labels[12] == first))
    assert 14 not in [result.frame for result in predictor.correct(session)]
    list(predictor.propagate(session))
    assert session.masklets.record(first, 14) == spoilt
    assert records(session, other) == locked
    session.locks.remove(first)
    list(predictor.propagate(session))
    assert session.masklets.record(first, 14) != spoilt


def test_masks_of_other_objects_are_not_taken(tracked, cells) -> None:
    predictor, session = tracked
    first = session.prompts.object_ids()[0]
    truth = cells.labels[13] == first
    session.masklets.write(99, 13, MaskRecord.from_mask(truth))
    misplace(session, first, range(11, 15))
    predictor.predict_frame(session, MaskPrompt(first, 12, cells.labels[12] == first))
    list(predictor.correct(session))
    assert session.masklets.record(99, 13) == MaskRecord.from_mask(truth)
    assert not (session.masklets.mask(first, 13) & truth).any()


def test_stopping_half_way_goes_on_later(tracked, cells) -> None:
    predictor, session = tracked
    first = session.prompts.object_ids()[0]
    misplace(session, first, range(6, 18))
    predictor.predict_frame(session, MaskPrompt(first, 12, cells.labels[12] == first))
    spreading = predictor.correct(session)
    begun = [next(spreading).frame, next(spreading).frame]
    spreading.close()
    rest = [result.frame for result in predictor.correct(session)]
    assert begun == [13, 14]
    assert {15, 16, 17} <= set(rest), "the direction that was interrupted is finished"
    assert not {13, 14} & set(rest)
    assert 11 in rest
    assert 6 in rest


def test_what_lies_beyond_another_prompt_stays(tracked, cells) -> None:
    predictor, session = tracked
    first = session.prompts.object_ids()[0]
    for boundary in (6, 18):
        predictor.predict_frame(
            session, MaskPrompt(first, boundary, cells.labels[boundary] == first)
        )
    list(predictor.correct(session))
    misplace(session, first, range(2, 23))
    for boundary in (6, 18):
        predictor.predict_frame(session, object_id=first, frame=boundary)
    before = records(session, first)
    predictor.predict_frame(session, MaskPrompt(first, 12, cells.labels[12] == first))
    visited = {result.frame for result in predictor.correct(session)}
    assert visited == set(range(7, 18)) - {12}, "both prompts are boundaries"
    after = records(session, first)
    untouched = set(range(FRAMES)) - visited - {12}
    assert all(after[frame] == before[frame] for frame in untouched)
    # They are neither left over for the next correction nor for a run that goes on.
    assert not list(predictor.correct(session))
    assert not list(predictor.propagate(session, PropagateOptions((first,), resume=True)))


def test_nothing_is_tracked_outside_a_life(tracked) -> None:
    predictor, session = tracked
    mother, other = session.prompts.object_ids()[:2]
    session.masklets.remove(mother, range(10, FRAMES))
    session.locks.limit(mother, None, 9)
    run = predictor.propagate(session)
    for _ in range(4):
        next(run)
    session.locks.limit(other, 0, 14)  # a division while a run is held
    session.masklets.remove(other, range(15, FRAMES))
    assert all(other not in [one.object_id for one in r.objects] for r in run if r.frame > 14)
    assert session.masklets.frames(mother) == tuple(range(10))
    assert session.masklets.frames(other) == tuple(range(15))
    session.locks.limit(mother, None, None)
    list(predictor.propagate(session, PropagateOptions(objects=(mother,))))
    assert session.masklets.frames(mother) == tuple(range(FRAMES))


def test_first_prompts_are_no_corrections(cells) -> None:
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    session = VideoSession.open(cells.images)
    predictor.predict_frame(session, PointPrompt(1, 0, (80.0, 80.0)))
    predictor.predict_frame(session, PointPrompt(1, 0, (82.0, 80.0)))
    assert not list(predictor.correct(session))


def drifting(frame: int) -> np.ndarray:
    """A disk that drifts over 100 frames."""
    rows, columns = np.ogrid[:96, :96]
    return (rows - 30 - 0.3 * frame) ** 2 + (columns - 40) ** 2 <= 100


def test_one_of_sixteen_objects_costs_at_most_a_tenth_of_a_run() -> None:
    noise = np.random.default_rng(0).normal(200, 12, (100, 96, 96))
    images = np.stack([noise[t] + 900 * drifting(t) for t in range(100)]).astype(np.uint16)
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    session = VideoSession.open(images)
    session.prompts.add(MaskPrompt(1, 0, drifting(0)))
    for frame in range(100):
        session.masklets.write(1, frame, MaskRecord.from_mask(drifting(frame)))
    for object_id in range(2, 17):  # they only have to be there, and to stay as they are
        corner = np.zeros((96, 96), bool)
        corner[6 * (object_id - 2) : 6 * (object_id - 1), 90:] = True
        session.prompts.add(MaskPrompt(object_id, 0, corner))
        for frame in range(100):
            session.masklets.write(object_id, frame, MaskRecord.from_mask(corner))
    predictor.restore(session)
    # What the network makes of the frames around, so that it can agree with itself.
    list(predictor.propagate(session, PropagateOptions((1,), start=38, stop=62)))
    others = session.masklets.to_labels() > 1
    wrong = np.zeros((96, 96), bool)
    wrong[2:12, 2:12] = True
    for frame in range(45, 55):
        session.masklets.write(1, frame, MaskRecord.from_mask(wrong))
    runs = plan_runs(session, PropagateOptions())
    full = sum(len(run.objects_on(frame)) for run in runs for frame in run.frames)
    predictor.predict_frame(session, MaskPrompt(1, 50, drifting(50)))
    results = list(predictor.correct(session))
    assert full == 1600
    assert {one.object_id for result in results for one in result.objects} == {1}
    assert 9 <= len(results) <= 30, "ten frames, and a few on each side that agree again"
    for frame in range(45, 55):
        mask, truth = session.masklets.mask(1, frame), drifting(frame)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.7
    np.testing.assert_array_equal(session.masklets.to_labels() > 1, others)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, 1.0),
        (None, MaskRecord.from_mask(np.ones((2, 2), bool)), 0.0),
        (MaskRecord.from_mask(np.zeros((2, 2), bool)), None, 1.0),
        (
            MaskRecord.from_mask(np.ones((4, 4), bool), origin=(0, 0)),
            MaskRecord.from_mask(np.ones((4, 4), bool), origin=(0, 2)),
            8 / 24,
        ),
        (
            MaskRecord.from_mask(np.ones((4, 4), bool)),
            MaskRecord.from_mask(np.ones((4, 4), bool), origin=(50, 50)),
            0.0,
        ),
    ],
)
def test_agreement_of_two_masks(before, after, expected) -> None:
    assert agreement(before, after) == pytest.approx(expected)
