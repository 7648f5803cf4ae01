"""Masks that leap and of which the network thinks little show no object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.keeping import kept_of
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.strays import is_stray
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

SIDE = 64


def _square(y: int, x: int, iou: float) -> MaskRecord:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + 10, x : x + 10] = True
    return MaskRecord.from_mask(mask, predicted_iou=iou, object_score=3.0)


@pytest.fixture
def session() -> VideoSession:
    """A square that has been prompted, and followed for a frame."""
    images = np.zeros((4, SIDE, SIDE), np.uint8)
    images[:, 20:30, 20:31] = 200
    found = VideoSession.open(images)
    found.add(MaskPrompt(1, 0, _square(20, 20, 1.0).mask((SIDE, SIDE))))
    VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")).commit(found)
    found.masklets.write(1, 1, _square(20, 21, 0.9))
    return found


@pytest.mark.parametrize(
    ("y", "iou", "expected"),
    [(20, 0.9, False), (20, 0.3, False), (30, 0.9, False), (30, 0.3, True), (24, 0.3, False)],
)
def test_only_what_leaps_and_is_worth_little_is_stray(session, y, iou, expected) -> None:
    assert is_stray(session, 1, (2, 1), _square(y, 21, iou)) == expected


@pytest.mark.parametrize(("iou", "expected"), [(0.3, False), (0.2, True)])
def test_what_comes_back_has_to_be_worth_more_than_nothing(session, iou, expected) -> None:
    gone = replace(_square(20, 21, 0.1), bbox=(0, 0, 0, 0))
    session.masklets.write(1, 1, gone)
    assert is_stray(session, 1, (2, 1), _square(20, 22, iou)) == expected


def test_what_is_kept_is_measured_against_the_last_mask(session) -> None:
    record = _square(20, 26, 0.5)
    assert kept_of(session, 1, (2, 1), record) == pytest.approx(1 / 3)
    assert kept_of(session, 1, (3, 1), record) == 1, "nobody knows"
    nothing = replace(record, bbox=(0, 0, 0, 0))
    assert not nothing.visible
    assert not is_stray(session, 1, (2, 1), nothing)
