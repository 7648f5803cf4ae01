"""The mask that a user chose among three is the answer: here, in memory, after reopening."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam2.io.prompts_file import read_prompts, write_prompts
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.prompts import PointPrompt

CLICK = PointPrompt(1, 2, (20.0, 32.0))


def chosen(candidate):
    return replace(CLICK, candidate=candidate)


@pytest.fixture
def asked(predictor, movie):
    """A session with one click, and what it offers."""
    session = VideoSession.open(movie)
    (found,) = predictor.predict_frame(session, CLICK).objects
    assert len(found.candidates) == 3
    assert len({record.bits for record in found.candidates}) == 3
    return session, found


def other_than(found) -> int:
    return next(i for i, record in enumerate(found.candidates) if record != found.record)


def choose(predictor, session, candidate):
    session.prompts.replace(1, 2, (chosen(candidate),))
    (found,) = predictor.predict_frame(session, object_id=1, frame=2).objects
    return found


def test_every_candidate_can_be_the_answer_and_taken_back(predictor, asked):
    session, found = asked
    for index in (0, 1, 2):
        again = choose(predictor, session, index)
        assert again.record == found.candidates[index]
        assert again.candidates == found.candidates
        assert session.masklets.record(1, 2) == found.candidates[index]
    assert choose(predictor, session, None).record == found.record


def test_choosing_costs_no_second_look(predictor, asked, monkeypatch):
    session, found = asked
    monkeypatch.setattr(predictor.model, "decode_masks", None)
    monkeypatch.setattr(predictor.model, "encode_image", None)
    assert choose(predictor, session, other_than(found)).record != found.record


def test_the_choice_is_what_is_remembered_and_propagated(predictor, movie, asked):
    session, found = asked
    index = other_than(found)
    choose(predictor, session, index)
    options = PropagateOptions(direction="forward")
    masks = [r.objects[0].record for r in predictor.propagate(session, options)]
    assert masks[0] == found.candidates[index]
    memory = session.objects[1].bank.prompted[2]
    answer = session.objects[1].answers[2].prediction
    assert torch.equal(memory.logits, answer.candidates[0, index])
    assert torch.equal(memory.pointer, answer.pointer[0])
    plain = VideoSession.open(movie)
    predictor.predict_frame(plain, CLICK)
    others = [r.objects[0].record for r in predictor.propagate(plain, options)]
    assert all(a != b for a, b in zip(masks, others, strict=True))


def test_a_run_without_the_window_makes_the_same_choice(predictor, movie, asked, tmp_path):
    session, found = asked
    index = other_than(found)
    choose(predictor, session, index)
    expected = [r.objects[0].record for r in predictor.propagate(session)]
    fresh = VideoSession.open(movie)
    (prompt,) = read_prompts(write_prompts(tmp_path / "prompts.json", session.prompts.all()))
    assert prompt == chosen(index)
    fresh.add(prompt)
    assert [r.objects[0].record for r in predictor.propagate(fresh)] == expected


def test_a_session_that_was_reopened_offers_the_same(predictor, movie, asked):
    session, found = asked
    again = VideoSession.open(movie)
    again.add(CLICK)
    again.masklets.write(1, 2, session.masklets.record(1, 2))
    predictor.restore(again)
    (offered,) = predictor.predict_frame(again, object_id=1, frame=2).objects
    assert offered.candidates == found.candidates


def test_further_clicks_refine_the_choice(predictor, movie, asked):
    session, found = asked
    index = other_than(found)
    choose(predictor, session, index)
    second = PointPrompt(1, 2, (12.0, 22.0), positive=False)
    (refined,) = predictor.predict_frame(session, second).objects
    plain = VideoSession.open(movie)
    predictor.predict_frame(plain, CLICK)
    assert predictor.predict_frame(plain, second).objects[0].record != refined.record
    fresh = VideoSession.open(movie)
    for prompt in session.prompts.all():
        fresh.add(prompt)
    (headless,) = predictor.predict_frame(fresh, object_id=1, frame=2).objects
    assert headless.record == refined.record


@pytest.mark.parametrize("candidate", [-1, 3])
def test_a_candidate_that_is_not_there_is_refused(asked, candidate):
    with pytest.raises(ValueError, match="none of the masks 0, 1 and 2"):
        asked[0].add(chosen(candidate))


def test_candidates_of_the_network_that_ships_differ_in_size(cpu):
    from napari_sam2.model.checkpoint import load_model
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.training.synthetic import dividing_cells

    cells = dividing_cells(frames=2, shape=(96, 96), seed=1)
    inside = np.argwhere(cells.labels[0] > 0)[40]
    session = VideoSession.open(cells.images)
    predictor = VideoPredictor(load_model("bundled"), cpu)
    click = PointPrompt(1, 0, (float(inside[0]), float(inside[1])))
    (found,) = predictor.predict_frame(session, click).objects
    areas = sorted(record.area for record in found.candidates)
    assert len(areas) == 3
    smallest = [record.area for record in found.candidates].index(areas[0])
    session.prompts.replace(1, 0, (replace(click, candidate=smallest),))
    (again,) = predictor.predict_frame(session, object_id=1, frame=0).objects
    assert again.record.area == areas[0]
