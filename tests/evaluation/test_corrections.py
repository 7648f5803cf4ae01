"""What a person's corrections bring with the network that ships: more with every frame."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.interactive import score_offline, score_online
from napari_sam2.evaluation.network import NetworkOnMovies
from napari_sam2.evaluation.tasks import pick_masklets
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.training.synthetic import random_movie

FRAMES = 4
"""Frames that a person interacts with."""


@pytest.mark.parametrize("protocol", [score_offline, score_online])
def test_every_corrected_frame_makes_the_masklets_better(protocol) -> None:
    network = NetworkOnMovies(VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")))
    curves = []
    for kind, seed in (("phase", 45_000_001), ("rods", 45_000_000)):
        made = random_movie(seed, 12, kind=kind)
        movie = AnnotatedMovie.of_stack(kind, made.images, made.labels, {})
        for task in pick_masklets(movie, 2, 10, seed=0, starts=1):
            for score in protocol(network, task, FRAMES):
                curves.append([(j + f) / 2 for j, f in zip(score.j, score.f, strict=True)])
    mean = np.mean(curves, axis=0)
    assert len(mean) == FRAMES
    assert np.all(np.diff(mean) > 0)
