"""On a GPU: the same masks as on the CPU, whatever the precision; and a network learns there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt
from napari_sam2.training.synthetic import dividing_cells

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]

_FRAMES, _LATER = 8, 3


def _tracked(movie, device, dtype):
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto(device, dtype))
    session = VideoSession.open(movie.images)
    # Some begin while others are followed: their masks are certain, and meet masks that are not.
    for index, number in enumerate(np.unique(movie.labels[0])[1:]):
        frame = index % 2 * _LATER
        middle = innermost_point(movie.labels[frame] == number)
        predictor.predict_frame(session, PointPrompt(int(number), frame, middle))
    for _ in predictor.propagate(session, PropagateOptions(direction="forward")):
        pass
    return session.masklets.to_labels()


@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.99), ("bfloat16", 0.95)])
def test_a_gpu_tracks_as_the_cpu_does(dtype, least):
    movie = dividing_cells(_FRAMES, (256, 256))
    here = _tracked(movie, "cpu", "float32")
    there = _tracked(movie, "cuda", dtype)
    assert here.any()
    either = (here > 0) | (there > 0)
    assert (here == there)[either].mean() > least


def test_a_run_learns_on_a_gpu_and_goes_on(tmp_path):
    from napari_sam2.model.config import PRESETS
    from napari_sam2.training.clip_sources import SyntheticMovies
    from napari_sam2.training.clips import ClipSource
    from napari_sam2.training.options import TrainOptions
    from napari_sam2.training.trainer import TrainData, Trainer

    options = TrainOptions(
        minutes=0,
        max_steps=6,
        still_share=0.0,
        blob_steps=1,
        still_batch=2,
        clip_frames=8,
        data_workers=0,
        log_steps=1,
    )
    data = TrainData([ClipSource("made", SyntheticMovies(tmp_path / "movies", 2))], [1.0])
    gpu = Runtime.auto("cuda").device
    first = Trainer(PRESETS["bundled"], options, data, tmp_path / "run", device=gpu)
    first.train(stop_after=4)
    second = Trainer(PRESETS["bundled"], options, data, tmp_path / "run", device=gpu)
    assert second.resume()
    assert second.train().step == 6
    moved = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in moved)
    assert all(bool(p.isfinite().all()) for p in second.average.parameters())
