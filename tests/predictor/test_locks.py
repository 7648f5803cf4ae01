"""No run changes a locked mask, whatever happened since it was locked."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt

Masks = dict[int, MaskRecord | None]


def masks_of(session: VideoSession, object_id: int) -> Masks:
    return {t: session.masklets.record(object_id, t) for t in range(session.num_frames)}


@pytest.fixture
def session(predictor: VideoPredictor, movie: np.ndarray) -> VideoSession:
    """Objects 1 and 2, clicked on frames 0 and 5, tracked through the movie."""
    session = VideoSession.open(movie)
    predictor.predict_frame(session, PointPrompt(1, 0, (18.0, 28.0)))
    predictor.predict_frame(session, PointPrompt(1, 5, (23.0, 38.0)))
    predictor.predict_frame(session, PointPrompt(2, 0, (40.0, 60.0)))
    list(predictor.propagate(session))
    return session


@pytest.fixture
def disc() -> np.ndarray:
    y, x = np.ogrid[:48, :72]
    return (y - 30) ** 2 + (x - 50) ** 2 < 100


@pytest.mark.parametrize("frames", [None, [0, 5, 6]])
def test_when_all_memories_are_gone(session, predictor, disc, frames) -> None:
    for frame in range(10):
        session.masklets.write(1, frame, MaskRecord.from_mask(disc))
    before, other = masks_of(session, 1), masks_of(session, 2)
    session.locks.add(1, frames)
    session.forget_memories()  # as after new contrast limits
    list(predictor.propagate(session))
    after = masks_of(session, 1)
    kept = range(10) if frames is None else frames
    assert all(after[t] is before[t] for t in kept)
    if frames is not None:
        assert all(after[t] is not before[t] for t in {1, 4, 9})
    assert masks_of(session, 2) != other


def test_when_the_lock_comes_in_the_middle_of_a_run(session, predictor) -> None:
    before = masks_of(session, 1)
    run = predictor.propagate(session)
    assert next(run).frame == 0
    session.locks.add(1)
    marked = {t: MaskRecord(before[t].bbox, before[t].bits, 0.125) for t in range(10)}
    for frame, record in marked.items():
        session.masklets.write(1, frame, record)
    list(run)
    assert masks_of(session, 1) == marked


def test_when_the_locked_object_has_no_prompt(session, predictor, disc) -> None:
    """As the later part of an object that was split: nobody may take its pixels."""
    predictor.predict_frame(session, MaskPrompt(2, 0, disc))
    for frame in range(10):
        session.masklets.write(3, frame, MaskRecord.from_mask(disc))
    list(predictor.propagate(session))
    assert any((session.masklets.mask(2, t) & disc).any() for t in range(1, 10))
    session.locks.add(3)
    list(predictor.propagate(session))
    assert not any((session.masklets.mask(2, t) & disc).any() for t in range(1, 10))
    assert all((session.masklets.mask(3, t) == disc).all() for t in range(10))
