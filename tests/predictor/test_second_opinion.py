"""A second opinion from the mirror image: what both looks agree on, the same from either side."""

import numpy as np
import pytest
import torch

from napari_sam2.evaluation.metrics import iou
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import PRESETS
from napari_sam2.model.outputs import DecoderOutput
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.second_opinion import agreed
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.training.synthetic import random_movie


def output(logits, iou, score=1.0):
    masks = torch.tensor(logits)[None, None]
    return DecoderOutput(
        masks, torch.tensor([[iou]]), torch.full((1, 1, 8), score), torch.tensor([[score]])
    )


def test_masks_scores_and_doubts_are_joined():
    first = output([[3.0, 1.0, -1.0]], 0.8, 2.0)
    mirrored = output([[-1.0, -3.0, 5.0]], 0.6, 1.0)
    joined = agreed(first, mirrored)
    mean = torch.tensor([(3.0, 5.0), (1.0, -3.0), (-1.0, -1.0)]).sigmoid().mean(1)
    torch.testing.assert_close(joined.logits[0, 0, 0].sigmoid(), mean)
    # Two pixels and one of them: they share half of what either has.
    assert joined.ious.item() == pytest.approx(0.7 / 2)
    assert joined.object_score.item() == pytest.approx(1.5)
    assert joined.tokens is first.tokens


def test_two_empty_masks_agree():
    nothing = output([[-1.0, -1.0]], 0.5)
    assert agreed(nothing, nothing).ious.item() == pytest.approx(0.5)


@pytest.fixture(scope="module")
def nuclei():
    movie = random_movie(4321, 3, kind="nuclei")
    return np.asarray(movie.images)[0][:256, :256], np.asarray(movie.labels)[0][:256, :256]


@pytest.fixture(scope="module")
def cells(nuclei):
    frame, labels = nuclei
    areas = np.bincount(labels.ravel())[1:]
    number = 1 + int(areas.argmax())
    y, x = (int(np.median(part)) for part in np.nonzero(labels == number))
    return frame, (y, x), labels == number


@pytest.fixture(scope="module")
def bundled():
    return load_model("bundled")


def asked(model, cpu, frame, prompt, **options):
    predictor = VideoPredictor(model, cpu, PredictorOptions(**options))
    session = VideoSession.open(frame[None])
    return predictor.predict_frame(session, prompt).objects[0]


@pytest.mark.parametrize("choice", ["on", "off"])
def test_a_mirrored_picture_has_the_mirrored_answer(bundled, cpu, cells, choice):
    frame, (y, x), _ = cells
    # Through the whole frame: a window that follows is rounded to whole pixels from one side.
    looks = {"view": "whole", "second_opinion": choice}
    straight = asked(bundled, cpu, frame, PointPrompt(1, 0, (y, x)), **looks)
    turned = asked(bundled, cpu, frame[:, ::-1], PointPrompt(1, 0, (y, 255 - x)), **looks)
    there, back = (one.record.mask(frame.shape) for one in (straight, turned))
    different = int((there != back[:, ::-1]).sum())
    assert there.any()
    assert (different <= 2) == (choice == "on")


@pytest.mark.parametrize("view", ["follow", "whole"])
def test_a_box_says_in_the_mirror_what_it_says(bundled, cpu, nuclei, view):
    frame, labels = nuclei
    found = {"on": [], "off": []}
    for number in 1 + np.argsort(-np.bincount(labels.ravel())[1:])[:6]:
        truth = labels == number
        rows, columns = (np.flatnonzero(truth.any(axis)) for axis in (1, 0))
        box = BoxPrompt(1, 0, (rows[0], columns[0], rows[-1], columns[-1]))
        for choice, ious in found.items():
            record = asked(bundled, cpu, frame, box, view=view, second_opinion=choice).record
            ious.append(iou(record.mask(frame.shape), truth))
    assert min(found["on"]) > 0.75
    # A box that is not mirrored with its picture would spoil what both looks agree on.
    assert np.mean(found["on"]) > np.mean(found["off"])


def test_it_is_asked_for_new_objects_of_the_bundled_network_alone(bundled, cpu, cells, monkeypatch):
    frame, (y, x), _ = cells
    looks = []
    encode = bundled.encode_image
    monkeypatch.setattr(bundled, "encode_image", lambda image: looks.append(image) or encode(image))
    asked(bundled, cpu, frame, PointPrompt(1, 0, (y, x)))
    assert all(len(image) == 2 for image in looks)
    assert all(torch.equal(image[0], image[1].flip(-1)) for image in looks)
    assert PredictorOptions().asks_twice(bundled.config)
    assert not PredictorOptions().asks_twice(PRESETS["sam2.1-tiny"])
    looks.clear()
    asked(bundled, cpu, frame, BoxPrompt(1, 0, (y - 9, x - 9, y + 9, x + 9)), second_opinion="off")
    assert [len(image) for image in looks] == [1]


def test_a_frame_that_was_tracked_is_looked_at_once(bundled, cpu, cells, monkeypatch):
    frame, (y, x), _ = cells
    predictor = VideoPredictor(bundled, cpu)
    session = VideoSession.open(np.stack([frame] * 3))
    predictor.predict_frame(session, PointPrompt(1, 0, (y, x)))
    list(predictor.propagate(session))
    session.features.clear()
    looks = []
    encode = bundled.encode_image
    monkeypatch.setattr(bundled, "encode_image", lambda image: looks.append(image) or encode(image))
    predictor.predict_frame(session, PointPrompt(1, 2, (y, x)))
    assert not any(len(image) == 2 and torch.equal(image[0], image[1].flip(-1)) for image in looks)


def test_a_choice_that_is_none_is_refused():
    with pytest.raises(ValueError, match="second_opinion is 'maybe'; choose one of 'auto'"):
        PredictorOptions(second_opinion="maybe")
