"""Masks that take in a neighbour: what another object was is left to it; divisions are none."""

import numpy as np
import pytest
import torch
from tests.predictions import prediction

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.motion import Expected
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.taken_in import leave_neighbours, neighbour_in, places_on
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

SHAPE = (128, 128)
VIEW = View.whole(SHAPE, (256, 256))


def discs(*centers, radius=10):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    inside = [(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centers]
    return np.any(inside, axis=0)


def record(*centers, radius=10):
    return MaskRecord.from_mask(discs(*centers, radius=radius))


HERE, BESIDE = (60, 40), (60, 60)


@pytest.mark.parametrize("beside", [BESIDE, (60, 58), (60, 75)])
def test_what_another_object_was_is_a_neighbour(beside):
    found = neighbour_in(record(HERE, beside), record(HERE), [record((20, 20)), record(beside)])
    y, x = found.centroid()
    assert (y, x) == pytest.approx(beside, abs=1.5)


def test_what_nobody_was_may_be_a_daughter():
    assert neighbour_in(record(HERE, BESIDE), record(HERE), [record((20, 20))]) is None


def test_two_daughters_are_not_the_mother_and_a_neighbour():
    mother = record((60, 50), radius=9)
    crowd = [record(BESIDE)]
    assert neighbour_in(record(HERE, BESIDE), mother, crowd) is None


def test_no_waist_is_needed_to_tell_two_objects_apart():
    """A network that draws two touching cells draws no waist."""
    both = discs(HERE, BESIDE)
    both[50:71, 40:61] = True
    taken = neighbour_in(MaskRecord.from_mask(both), record(HERE), [record(BESIDE)])
    assert taken.centroid() == pytest.approx(BESIDE, abs=2)
    assert taken.bbox[1] == 51


def test_all_neighbours_are_found():
    crowd = [record(BESIDE), record((40, 40)), record((20, 90))]
    taken = neighbour_in(record(HERE, BESIDE, (40, 40)), record(HERE), crowd)
    assert taken.area == pytest.approx(2 * record(HERE).area, rel=0.1)


def test_an_object_that_grows_or_stays_is_left_alone():
    assert neighbour_in(record(HERE, radius=14), record(HERE), [record(BESIDE)]) is None
    both = record(HERE, BESIDE)
    assert neighbour_in(both, both, [record(BESIDE)]) is None


def test_a_mask_that_has_gone_over_to_a_neighbour_is_not_judged():
    """Nor one of two objects that are thought to be at the same place."""
    assert neighbour_in(record((60, 65), radius=13), record(HERE), [record(BESIDE)]) is None
    assert neighbour_in(record(HERE, radius=14), record(HERE), [record((62, 42))]) is None


@pytest.fixture
def session():
    found = VideoSession.open(np.zeros((3, *SHAPE), np.uint8))
    found.masklets.write(1, 0, record(HERE))
    found.masklets.write(2, 0, record(BESIDE))
    return found


def left(session, moved, *masks):
    answer = prediction(*masks)
    expected = {i: Expected((0.0, 0.0), moved) for i in (1, 2)}
    looks = [(number + 1, VIEW) for number in range(len(masks))]
    places = places_on(session, (1, 1), expected, ())
    return answer, leave_neighbours(answer, looks, places)


@pytest.mark.parametrize("moved", [(0, 0), (12, -8)])
def test_the_neighbour_is_left_where_it_has_moved_to(session, moved):
    dy, dx = moved
    here, beside = ((y + dy, x + dx) for y, x in (HERE, BESIDE))
    answer, changed = left(session, moved, discs(here, beside), discs(beside))
    y, x = np.nonzero(changed.logits[0, 0].numpy() > 0)
    assert (2 * y.mean(), 2 * x.mean()) == pytest.approx(here, abs=1.5)
    assert torch.equal(changed.logits[1], answer.logits[1])
    # The answer itself, which others may hold, stays as it was.
    assert (answer.logits[0] > 0).sum() > 1.8 * (changed.logits[0] > 0).sum()


def test_a_neighbour_that_is_certain_is_left_where_it_is(session):
    """As in a correction, which tracks one object alone."""
    there = (85, 45)
    session.masklets.write(2, 1, record(there))
    places = places_on(session, (1, 1), {1: Expected((0.0, 0.0), (0, 0))}, (2,))
    answer = prediction(discs(HERE, there))
    y, x = np.nonzero(leave_neighbours(answer, [(1, VIEW)], places).logits[0, 0].numpy() > 0)
    assert (2 * y.mean(), 2 * x.mean()) == pytest.approx(HERE, abs=1.5)


def test_where_motion_is_not_followed_masks_stay(session):
    session.masklets.write(2, 1, record(BESIDE))
    places = places_on(session, (1, 1), {}, (2,))
    answer = prediction(discs(HERE, BESIDE))
    assert torch.equal(leave_neighbours(answer, [(1, VIEW)], places).logits, answer.logits)


def test_runs_and_corrections_know_where_the_others_are(small_model, cpu, monkeypatch):
    seen = []

    def watch(prediction, looks, places):
        seen.append(({i for i, _ in looks}, set(places)))
        return leave_neighbours(prediction, looks, places)

    monkeypatch.setattr("napari_sam2.predictor.tracker.leave_neighbours", watch)
    # On black frames an untrained network draws both objects on one place: neither shall give way.
    predictor = VideoPredictor(small_model, cpu, PredictorOptions(view="follow", hold="off"))
    session = VideoSession.open(np.zeros((4, *SHAPE), np.uint8))
    for number, place in ((1, HERE), (2, BESIDE)):
        session.add(MaskPrompt(number, 0, discs(place)))
    list(predictor.propagate(session))
    assert seen
    assert all(places == {1, 2} for _, places in seen)
    seen.clear()
    session.add(MaskPrompt(1, 2, discs(HERE)))
    list(predictor.correct(session))
    assert seen
    assert all(rows == {1} and places == {1, 2} for rows, places in seen)
