"""Masks that come from a file or an edit are taken up as if the engine had made them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells

FRAMES = 16


@pytest.fixture(scope="module")
def cells() -> SyntheticMovie:
    return dividing_cells(FRAMES, (160, 160), seed=3)


@pytest.fixture(scope="module")
def predictor() -> VideoPredictor:
    return VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))


def staying(cells: SyntheticMovie) -> int:
    return next(i for i in range(1, 60) if (cells.labels == i).any((1, 2)).all())


def reopened(cells: SyntheticMovie, session: VideoSession) -> VideoSession:
    """Return what a file would bring back: prompts and masks, no memory."""
    again = VideoSession.open(cells.images)
    for prompt in session.prompts.all():
        again.add(prompt)
    for masklet in session.masklets:
        for frame, record in masklet.records.items():
            again.masklets.write(masklet.object_id, frame, record)
    return again


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_half_done_run_goes_on_after_reopening(predictor, cells) -> None:
    first = staying(cells)
    whole, half = VideoSession.open(cells.images), VideoSession.open(cells.images)
    for session in (whole, half):
        session.add(MaskPrompt(first, 0, cells.labels[0] == first))
    list(predictor.propagate(whole))
    list(predictor.propagate(half, PropagateOptions(stop=8)))
    again = reopened(cells, half)
    predictor.restore(again)
    visited = [r.frame for r in predictor.propagate(again, PropagateOptions(resume=True))]
    assert visited == list(range(9, FRAMES))
    for frame in range(FRAMES):
        masks = [session.masklets.mask(first, frame) for session in (whole, again)]
        assert iou(*masks) > (0.999 if frame < 9 else 0.8), frame


def test_a_corrected_frame_is_remembered_as_its_mask_was(predictor, cells) -> None:
    first = staying(cells)
    session = VideoSession.open(cells.images)
    centre = np.argwhere(cells.labels[0] == first).mean(0)
    predictor.predict_frame(session, PointPrompt(first, 0, tuple(centre)))
    list(predictor.propagate(session))
    again = reopened(cells, session)
    predictor.restore(again)
    before = again.masklets.record(first, 0)
    assert not list(predictor.propagate(again, PropagateOptions(resume=True)))
    assert again.masklets.record(first, 0) == before
    # A correction is seen on the background of what was restored.
    predictor.predict_frame(again, MaskPrompt(first, 8, cells.labels[8] == first))
    assert {7, 9} <= {result.frame for result in predictor.correct(again)}


def test_edits_of_one_object_leave_the_memories_of_others(predictor, cells) -> None:
    first = staying(cells)
    session = VideoSession.open(cells.images)
    session.add(MaskPrompt(first, 0, cells.labels[0] == first))
    session.add(PointPrompt(99, 0, (80.0, 80.0)))
    list(predictor.propagate(session, PropagateOptions(stop=5)))
    untouched = session.objects[first]
    session.masklets.remove(99, [4, 5])
    predictor.restore(session, [99])
    assert session.objects[first] is untouched
    visited = [r.frame for r in predictor.propagate(session, PropagateOptions(stop=5, resume=True))]
    assert visited == [4, 5]


def test_objects_without_prompts_or_masks_are_no_problem(predictor, cells) -> None:
    session = VideoSession.open(cells.images)
    session.add(PointPrompt(1, 2, (80.0, 80.0)))
    predictor.restore(session)
    predictor.restore(session, [7])
    assert [r.frame for r in predictor.propagate(session, PropagateOptions(stop=4))]
