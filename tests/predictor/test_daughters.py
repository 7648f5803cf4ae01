"""A run takes the daughters of what divides on, as objects of their own."""

from __future__ import annotations

import numpy as np
import pytest
from tests.dividing_cell import DIVIDES, FRAMES, movie, truth

from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.daughters import take_daughters_on
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.training.synthetic import dividing_cells


def predictor_of(divided: str = "daughters") -> VideoPredictor:
    return VideoPredictor(
        load_model("bundled"), Runtime.auto("cpu", "float32"), PredictorOptions(divided=divided)
    )


def places(session: VideoSession, frame: int) -> dict[int, int]:
    """Return which object is drawn on each half of a frame of the movie with one cell."""
    labels = session.masklets.labels(frame)
    return {x: int(labels[64, x]) for x in (79, 49)}


def test_daughters_are_new_objects_that_are_followed_to_the_end() -> None:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, 0, truth(0)))
    results = list(predictor_of().propagate(session))
    assert set(session.mothers.items()) == {(2, 1), (3, 1)}
    for frame in range(FRAMES):
        found = places(session, frame)
        if frame < DIVIDES:
            assert set(found.values()) <= {0, 1}
        else:
            assert set(found.values()) == {2, 3}
            assert found == places(session, DIVIDES), "each stays where it is"
    (born,) = (one for one in results if one.frame == DIVIDES)
    assert {one.object_id for one in born.objects if one.record.visible} == {2, 3}
    assert session.locks.spans[2] == (DIVIDES, None)


def test_without_being_asked_nobody_takes_them_on() -> None:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, 0, truth(0)))
    list(predictor_of("end").propagate(session))
    assert session.masklets.object_ids() == (1,)
    assert not session.mothers


def test_a_run_that_was_stopped_and_goes_on_finds_the_same() -> None:
    whole, parts = (VideoSession.open(movie()) for _ in range(2))
    for session in (whole, parts):
        session.add(MaskPrompt(1, 0, truth(0)))
    list(predictor_of().propagate(whole))
    predictor = predictor_of()
    for result in predictor.propagate(parts):
        if result.frame == DIVIDES + 1:
            break
    list(predictor.propagate(parts, PropagateOptions(resume=True)))
    assert parts.mothers == whole.mothers
    for frame in range(FRAMES):
        assert np.array_equal(whole.masklets.labels(frame), parts.masklets.labels(frame))


def test_they_are_looked_for_although_their_mother_is_given_up() -> None:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, 0, truth(0)))
    list(predictor_of().propagate(session, PropagateOptions(patience=1)))
    assert set(places(session, FRAMES - 1).values()) == {2, 3}


@pytest.mark.parametrize("is_there", [False, True])
def test_one_that_is_an_object_already_is_not_taken_on(is_there: bool) -> None:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, DIVIDES - 1, truth(0)))
    if is_there:
        session.add(PointPrompt(7, DIVIDES, (64, 79)))
    predictor_of().commit(session)
    found = take_daughters_on(session, [1], DIVIDES)
    assert len(found) == (1 if is_there else 2)
    assert take_daughters_on(session, [1], DIVIDES) == ()
    assert min(found) > (7 if is_there else 1)


def test_each_is_told_from_her_sister() -> None:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, DIVIDES - 1, truth(0)))
    predictor_of().commit(session)
    first, second = take_daughters_on(session, [1], DIVIDES)
    one, other = (session.prompts.on(i, DIVIDES) for i in (first, second))
    assert [click.positive for click in one] == [click.positive for click in other] == [True, False]
    assert one[0].yx == other[1].yx
    assert one[1].yx == other[0].yx


def test_a_family_is_followed_from_one_click() -> None:
    cells = dividing_cells(frames=16, seed=12)
    mother = max(cells.lineage.values())
    daughters = [one for one, of in cells.lineage.items() if of == mother]
    session = VideoSession.open(cells.images)
    y, x = (int(np.median(part)) for part in np.nonzero(cells.labels[0] == mother))
    session.add(PointPrompt(1, 0, (y, x)))
    list(predictor_of().propagate(session))
    assert sorted(session.mothers.values()) == [1, 1]
    drawn = session.masklets.labels(15)
    for daughter in daughters:
        there = cells.labels[15] == daughter
        names, counts = np.unique(drawn[there], return_counts=True)
        best = int(names[counts.argmax()])
        assert best in session.mothers
        assert ((drawn == best) & there).sum() > 0.6 * ((drawn == best) | there).sum()


def test_removing_a_daughter_forgets_whose_she_was() -> None:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, DIVIDES - 1, truth(0)))
    predictor = predictor_of()
    predictor.commit(session)
    first, second = take_daughters_on(session, [1], DIVIDES)
    session.remove_object(first)
    assert session.mothers == {second: 1}
