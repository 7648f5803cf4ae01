"""What is encoded before it is clicked: the likeliest first, one at a time, within the cache."""

import numpy as np
import pytest

from napari_sam2.predictor.gaze import Gaze
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt

ONE_VIEW = 4 * (32 * 16 + 8 * 64 + 4 * 256)
"""Bytes of the features of one view of the small network: 4 x 4, 8 x 8 and 16 x 16 cells."""


@pytest.fixture
def following(small_model, cpu) -> VideoPredictor:
    return VideoPredictor(small_model, cpu, PredictorOptions(view="follow"))


def test_the_frame_on_screen_comes_first_then_its_neighbours(predictor, movie):
    session = VideoSession.open(movie)
    order = list(predictor.encode_ahead(session, Gaze(4, step=-1)))
    assert order == [4, 3, 5, 2, 6, 1, 7, 0, 8, 9]
    assert list(predictor.encode_ahead(session, Gaze(4))) == []


def test_one_step_encodes_one_view_and_a_click_needs_no_more(predictor, movie, monkeypatch):
    session = VideoSession.open(movie)
    ahead = predictor.encode_ahead(session, Gaze(4))
    assert next(ahead) == 4
    assert len(session.features) == 1
    ahead.close()
    monkeypatch.setattr(predictor.model, "encode_image", None)
    predictor.predict_frame(session, PointPrompt(1, 4, (20.0, 32.0)))


def test_half_of_the_cache_is_left(predictor, movie):
    session = VideoSession.open(movie, cache_bytes=6 * ONE_VIEW)
    predictor.predict_frame(session, PointPrompt(1, 9, (20.0, 32.0)))
    (one,) = session.features._features.values()
    assert one.num_bytes == ONE_VIEW
    assert list(predictor.encode_ahead(session, Gaze(0))) == [0, 1, 2]
    assert session.features.bytes == 4 * ONE_VIEW


def test_views_of_tracked_objects_are_ready_for_corrections(following, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 99, (6, 200, 200)).astype(np.uint16)
    session = VideoSession.open(frames)
    following.predict_frame(session, PointPrompt(1, 0, (100.0, 100.0)))
    for result in following.propagate(session):
        assert result.objects[0].record.visible
    session.features.clear()
    assert 3 in list(following.encode_ahead(session, Gaze(3)))
    y, x = session.masklets.record(1, 3).centroid()
    monkeypatch.setattr(following.model, "encode_image", None)
    following.predict_frame(session, PointPrompt(1, 3, (y, x)))


@pytest.mark.parametrize("yx", [(150.0, 40.0), (150.4, 39.6), (149.7, 39.5)])
def test_a_new_object_is_looked_for_where_the_mouse_rests(following, monkeypatch, yx):
    session = VideoSession.open(np.zeros((3, 200, 200), np.uint8))
    assert list(following.encode_ahead(session, Gaze(1))) == []
    encoded = list(following.encode_ahead(session, Gaze(1, yx)))
    assert set(encoded) == {1}
    views = [view for _, view in session.features._features]
    assert views[0].contains((145, 35, 155, 45))
    monkeypatch.setattr(following.model, "encode_image", None)
    following.predict_frame(session, PointPrompt(1, 1, yx))


def test_views_are_counted_once_where_objects_share_them(predictor, movie):
    session = VideoSession.open(movie, cache_bytes=6 * ONE_VIEW)
    for number in (1, 2, 3, 4):
        session.add(PointPrompt(number, 0, (20.0, 32.0)))
        predictor.predict_frame(session, object_id=number, frame=0)
    session.features.clear()
    assert list(predictor.encode_ahead(session, Gaze(0))) == [0, 1, 2]
