"""Clicks are asked again with the box of their answer, and both answers are joined."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import PRESETS
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.predictor import answerer
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.second_question import boxed, refined
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.training.synthetic import random_movie


def test_the_question_is_the_click_its_box_and_its_centre() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:21, 5:16] = True
    asked = boxed(Geometry.of([PointPrompt(1, 0, (12.0, 6.5))]), MaskRecord.from_mask(mask))
    assert asked.points.tolist() == [[10, 5], [20, 15], [12, 6.5], [15, 10]]
    assert asked.bbox == (10, 5, 21, 16)
    assert asked.labels.tolist() == [2, 3, 1, 1]


@pytest.mark.parametrize("mask", [np.zeros((40, 40), bool), np.eye(40, dtype=bool)])
def test_a_box_that_says_nothing_is_no_question(mask) -> None:
    geometry = Geometry.of([PointPrompt(1, 0, (5, 5))])
    assert boxed(geometry, MaskRecord.from_mask(mask)) is None


def prediction(logits, ious) -> MaskPrediction:
    candidates = torch.tensor(logits, dtype=torch.float32)[None, :, None]  # (1, M, 1, n)
    scores = torch.tensor([ious])
    best = scores.argmax(1)
    one = torch.ones(1, 1)
    return MaskPrediction(candidates[:, best[0]][:, None], candidates, scores, best, one, one, one)


def test_only_the_best_candidate_changes() -> None:
    first = prediction([[4.0, -4.0], [2.0, -1.0], [1.0, 1.0]], [0.3, 0.6, 0.5])
    joined = refined(first, prediction([[6.0, 3.0]], [0.9]))
    mean = (torch.tensor([2.0, -1.0]).sigmoid() + torch.tensor([6.0, 3.0]).sigmoid()) / 2
    torch.testing.assert_close(joined.logits[0, 0, 0].sigmoid(), mean)
    torch.testing.assert_close(joined.candidates[0, 1], joined.logits[0, 0])
    assert torch.equal(joined.candidates[0, [0, 2]], first.candidates[0, [0, 2]])
    torch.testing.assert_close(joined.ious, torch.tensor([[0.3, 0.9, 0.5]]))
    assert torch.equal(first.ious, torch.tensor([[0.3, 0.6, 0.5]])), "the first one stays"


def test_a_poor_second_answer_does_not_make_another_candidate_the_best() -> None:
    first = prediction([[4.0, -4.0], [2.0, -1.0]], [0.5, 0.6])
    assert refined(first, prediction([[6.0, 3.0]], [0.1])).ious.argmax() == 1


@pytest.fixture(scope="module")
def bundled():
    return load_model("bundled")


@pytest.fixture(scope="module")
def cells():
    """Return frames of nuclei of seeds that nothing was trained on, and their labels."""
    movies = [random_movie(22_000_100 + n, 1, kind="nuclei") for n in range(3)]
    return [(movie.images, movie.labels[0]) for movie in movies]


def clicked(bundled, cpu, images, yx, candidate=None, **options):
    predictor = VideoPredictor(bundled, cpu, PredictorOptions(**options))
    session = VideoSession.open(images)
    click = replace(PointPrompt(1, 0, yx), candidate=candidate)
    return predictor.predict_frame(session, click).objects[0]


def test_one_click_finds_nuclei_better(bundled, cpu, cells) -> None:
    found = {"on": [], "off": []}
    for images, labels in cells:
        areas = np.bincount(labels.ravel())[1:]
        for label in 1 + np.argsort(areas)[-5:]:
            truth = labels == label
            for choice, scores in found.items():
                click = clicked(
                    bundled, cpu, images, innermost_point(truth), second_question=choice
                )
                mask = click.record.mask(truth.shape)
                scores.append((mask & truth).sum() / (mask | truth).sum())
    assert len(found["on"]) == 15
    assert np.mean(found["on"]) > np.mean(found["off"]) + 0.01


def test_a_candidate_that_a_person_chose_stays_what_was_shown(bundled, cpu, cells) -> None:
    images, labels = cells[0]
    yx = innermost_point(labels == 1 + np.bincount(labels.ravel())[1:].argmax())
    shown = clicked(bundled, cpu, images, yx).candidates
    for number, candidate in enumerate(shown):
        chosen = clicked(bundled, cpu, images, yx, candidate=number).record
        assert np.array_equal(chosen.mask(labels.shape), candidate.mask(labels.shape))


def test_it_is_asked_of_clicks_on_new_objects_alone(bundled, cpu, cells, monkeypatch) -> None:
    images, labels = cells[0]
    y, x = innermost_point(labels == 1 + np.bincount(labels.ravel())[1:].argmax())
    asked = []
    monkeypatch.setattr(answerer, "boxed", lambda *found: asked.append(found))
    predictor = VideoPredictor(bundled, cpu)
    session = VideoSession.open(np.concatenate([images] * 3))
    predictor.predict_frame(session, PointPrompt(1, 0, (y, x)))
    assert len(asked) == 1
    predictor.predict_frame(session, PointPrompt(1, 0, (y + 1, x)))
    assert len(asked) == 2
    predictor.predict_frame(session, BoxPrompt(2, 0, (y - 9, x - 9, y + 9, x + 9)))
    predictor.predict_frame(session, PointPrompt(2, 0, (y - 8, x - 8), positive=False))
    predictor.predict_frame(session, PointPrompt(3, 0, (y, x), positive=False))
    assert len(asked) == 2
    list(predictor.propagate(session))
    predictor.predict_frame(session, PointPrompt(1, 2, (y, x)))
    predictor.predict_frame(session, PointPrompt(1, 2, (y + 1, x)))
    assert len(asked) == 2, "what is remembered says what is meant"
    assert PredictorOptions().asks_again(bundled.config)
    assert not PredictorOptions().asks_again(PRESETS["sam2.1-tiny"])


def test_a_choice_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="second_question is 'maybe'; choose one of 'auto'"):
        PredictorOptions(second_question="maybe")
