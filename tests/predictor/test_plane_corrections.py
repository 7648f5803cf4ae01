"""Corrections in movies of stacks: one object, along the way that the run went, no further."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.options import CorrectOptions
from napari_sam2.predictor.plane_corrections import is_tracked
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt

TIMES, SLICES, SIDE = 4, 7, 64
GRID = PlaneGrid(TIMES, SLICES)
LOOSE = CorrectOptions(agreement=0.6)
"""Masks drawn from the truth are a little other ones than those of the network."""


@pytest.fixture(scope="module")
def stacks() -> tuple[np.ndarray, np.ndarray]:
    """Two bright balls that move, uint16 (T, Z, Y, X), and their labels."""
    z, y, x = np.indices((SLICES, SIDE, SIDE))
    images = np.random.default_rng(0).normal(200, 15, (TIMES, SLICES, SIDE, SIDE))
    labels = np.zeros(images.shape, np.uint8)
    for t in range(TIMES):
        for number, (cz, cy, cx) in enumerate(((3, 20 + t, 20), (3, 44, 42 - t)), start=1):
            inside = (4 * (z - cz)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 81
            images[t][inside] += 700
            labels[t][inside] = number
    return images.clip(0).astype(np.uint16), labels


@pytest.fixture(scope="module")
def bundled() -> VideoPredictor:
    return VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))


@pytest.fixture(scope="module")
def finished(stacks, bundled) -> VideoSession:
    """A run through time and depth."""
    session = VideoSession.open(stacks[0], axes="TZYX")
    for number, yx in ((1, (20, 20)), (2, (44, 42))):
        session.add(PointPrompt(number, GRID.plane(0, 3), yx))
    list(bundled.propagate(session))
    return session


@pytest.fixture
def run(finished, bundled, stacks):
    """Return a function: that run as one's own, as if it had gone another way."""

    def copied(along: str) -> VideoSession:
        session = VideoSession.open(stacks[0], finished.mapping, axes="TZYX")
        session.features, session.model = finished.features, finished.model
        for prompt in finished.prompts.all():
            session.add(prompt)
        for masklet in finished.masklets:
            for plane, record in masklet.records.items():
                session.masklets.write(masklet.object_id, plane, record)
        bundled.restore(session)
        session.followed.along = along
        return session

    return copied


def records(session: VideoSession, object_id: int) -> dict[int, MaskRecord | None]:
    return {plane: session.masklets.record(object_id, plane) for plane in range(len(GRID))}


def iou(session: VideoSession, labels: np.ndarray, plane: int, object_id: int = 1) -> float:
    found, truth = session.masklets.mask(object_id, plane), labels[GRID.place(plane)] == object_id
    return (found & truth).sum() / (found | truth).sum()


def misplace(session: VideoSession, planes) -> None:
    """Spoil masks as a run that went astray would have."""
    wrong = np.zeros((SIDE, SIDE), bool)
    wrong[2:12, 50:60] = True
    for plane in planes:
        session.masklets.write(1, plane, MaskRecord.from_mask(wrong))


def correct(predictor, session, labels, plane, options=LOOSE) -> list[int]:
    """Draw the true mask on a plane; return the planes that were computed for it."""
    assert is_tracked(session, 1, plane)
    predictor.predict_frame(session, MaskPrompt(1, plane, labels[GRID.place(plane)] == 1))
    results = list(predictor.correct(session, options))
    assert all([one.object_id for one in result.objects] == [1] for result in results)
    return [result.frame for result in results]


def test_along_z_the_depth_of_one_time_is_corrected(run, stacks, bundled) -> None:
    session = run("z")
    other = records(session, 2)
    misplace(session, [GRID.plane(1, 2), GRID.plane(1, 3)])
    visited = correct(bundled, session, stacks[1], GRID.plane(1, 3))
    assert set(visited) <= set(GRID.along_z(1))
    assert iou(session, stacks[1], GRID.plane(1, 2)) > 0.6
    assert records(session, 2) == other
    assert not list(bundled.correct(session, LOOSE)), "nothing is left to be done"


def test_along_z_planes_beyond_another_prompt_stay(run, stacks, bundled) -> None:
    session = run("z")
    correct(bundled, session, stacks[1], GRID.plane(1, 4))
    beyond = [GRID.plane(1, z) for z in (5, 6)]
    misplace(session, [GRID.plane(1, 2), GRID.plane(1, 3), *beyond])
    before = records(session, 1)
    visited = correct(bundled, session, stacks[1], GRID.plane(1, 2))
    assert GRID.plane(1, 3) in visited
    assert iou(session, stacks[1], GRID.plane(1, 3)) > 0.6
    assert all(records(session, 1)[plane] == before[plane] for plane in beyond)


def test_along_time_one_slice_is_corrected(run, stacks, bundled) -> None:
    session = run("time")
    misplace(session, [GRID.plane(t, 3) for t in (1, 2, 3)])
    visited = correct(bundled, session, stacks[1], GRID.plane(2, 3))
    assert set(visited) <= set(GRID.along_time(3))
    assert min(iou(session, stacks[1], GRID.plane(t, 3)) for t in (1, 3)) > 0.6
    assert not is_tracked(session, 7, GRID.plane(2, 3)), "it has no masks"


def test_through_both_it_goes_to_the_times_that_change(run, stacks, bundled) -> None:
    session = run("both")
    first, other = dict(list(records(session, 1).items())[:SLICES]), records(session, 2)
    misplace(session, [GRID.plane(t, z) for t in (1, 2, 3) for z in range(1, 6)])
    correct(bundled, session, stacks[1], GRID.plane(2, 3))
    middle = [GRID.plane(t, z) for t in (1, 2, 3) for z in (2, 3, 4)]
    assert min(iou(session, stacks[1], plane) for plane in middle) > 0.6
    assert first.items() <= records(session, 1).items(), "the time of the first prompt stays"
    assert records(session, 2) == other


def test_where_nothing_changes_little_is_computed(run, bundled) -> None:
    session = run("both")
    before, plane = records(session, 1), GRID.plane(1, 3)
    same = MaskPrompt(1, plane, session.masklets.mask(1, plane))
    bundled.predict_frame(session, same)
    visited = [result.frame for result in bundled.correct(session, LOOSE)]
    # Three planes to each side, and at two later times one; time 0 has prompts of its own.
    assert len(visited) <= 8
    after = records(session, 1)
    assert all(after[p] == before[p] for p in range(len(GRID)) if p not in {plane, *visited})


def test_an_interrupted_one_goes_on_and_one_of_a_new_prompt_begins_anew(
    run, stacks, bundled
) -> None:
    session = run("both")
    misplace(session, [GRID.plane(t, z) for t in (1, 2, 3) for z in range(1, 6)])
    plane = GRID.plane(1, 3)
    bundled.predict_frame(session, MaskPrompt(1, plane, stacks[1][1, 3] == 1))
    spreading = bundled.correct(session, LOOSE)
    begun = [next(spreading).frame, next(spreading).frame]
    spreading.close()
    rest = [result.frame for result in bundled.correct(session, LOOSE)]
    assert not set(begun) & set(rest)
    middle = [GRID.plane(t, z) for t in (1, 2, 3) for z in (2, 3, 4)]
    assert min(iou(session, stacks[1], one) for one in middle) > 0.6
    bundled.predict_frame(session, MaskPrompt(1, plane, stacks[1][1, 4] == 1))
    assert begun[0] in [result.frame for result in bundled.correct(session, LOOSE)]


def test_locked_masks_and_those_of_others_stay(run, stacks, bundled) -> None:
    session = run("both")
    misplace(session, [GRID.plane(t, z) for t in (1, 2) for z in range(1, 6)])
    held = GRID.plane(1, 2)
    session.locks.add(1, [held])
    taken = GRID.plane(2, 3)
    session.masklets.write(9, taken, MaskRecord.from_mask(stacks[1][2, 3] == 1))
    kept = session.masklets.record(1, held), session.masklets.record(9, taken)
    visited = correct(bundled, session, stacks[1], GRID.plane(1, 3))
    assert taken in visited
    assert (session.masklets.record(1, held), session.masklets.record(9, taken)) == kept
    assert not (session.masklets.mask(1, taken) & session.masklets.mask(9, taken)).any()


def test_masks_of_a_file_count_as_followed_but_for_prompts_without_answer(run, bundled) -> None:
    session = run("both")
    newer = PointPrompt(1, GRID.plane(1, 3), (21, 20))
    session.add(newer)
    bundled.restore(session, unanswered={(1, newer.frame)})
    bundled.predict_frame(session, object_id=1, frame=newer.frame)
    visited = [result.frame for result in bundled.correct(session, LOOSE)]
    assert visited
    assert set(visited).isdisjoint(GRID.along_z(0))
