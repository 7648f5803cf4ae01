"""Whole movies without a click: the network's search and the linked thresholds, on moving disks."""

from __future__ import annotations

import pytest

from napari_sam2.evaluation.automatic import LinkedThresholds, NetworkAlone, score_unprompted
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor

pytest.importorskip("ctc_metrics")


def test_a_division_is_found_and_followed_without_a_click(dividing_disk):
    movie = dividing_disk(frames=8, division=4)
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    methods = (NetworkAlone(predictor, every=4), LinkedThresholds(Watershed("global")))
    told: list[str] = []
    network, rival = score_unprompted(methods, movie, None, told.append)
    assert [network.method, rival.method] == [method.name for method in methods]
    assert len(told) == 2
    for score in (network, rival):
        assert score.det > 0.9
        assert score.seg > 0.7
        assert score.tra > 0.85
        assert (score.num_objects, score.num_divisions) == (4, 1)
    assert network.divisions == pytest.approx(1)


def test_a_movie_of_one_annotated_frame_is_left_out(moving_disks):
    movie = moving_disks(annotated=(3,))
    methods = (LinkedThresholds(Watershed("global")),)
    assert list(score_unprompted(methods, movie, None, lambda _: None)) == []
