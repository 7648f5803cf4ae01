"""The real engine, with a small untrained network, through the whole evaluation."""

from __future__ import annotations

import json

import pytest
import torch

from napari_sam2.evaluation.contest import Contest
from napari_sam2.evaluation.interactive import score_online
from napari_sam2.evaluation.network import NetworkOnMovies
from napari_sam2.evaluation.report import (
    circumstances,
    describe,
    markdown,
    read_results,
    weights_hash,
    write_json,
)
from napari_sam2.evaluation.sampling import Sampling
from napari_sam2.evaluation.sets import EvaluationSet
from napari_sam2.evaluation.tasks import pick_masklets
from napari_sam2.model.config import HieraConfig, SAM2Config
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor

TINY = SAM2Config(
    name="tiny-random",
    hiera=HieraConfig(
        embed_dim=16,
        stages=(1, 1, 1, 1),
        global_blocks=(2,),
        window_spec=(8, 4, 4, 4),
    ),
    input_size=64,
    hidden_dim=32,
    memory_dim=16,
    memory_layers=1,
    memory_ffn=32,
    decoder_mlp=32,
    num_maskmem=3,
    max_object_pointers=4,
    pointer_time_span=7,
    follows_by_default=True,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SAM2(TINY).eval()


def test_network_and_rivals_score_the_same_objects(network, moving_disks, tmp_path):
    runtime = Runtime.auto("cpu")
    contest = Contest.of(network, runtime, PredictorOptions())
    movies = (moving_disks(frames=6, annotated=(0, 1, 3, 5)),)
    sampling = Sampling(
        stills=3, masklets=3, frames=5, prompted=1, prompts=("3 clicks",), long_frames=0,
        interactive=1, interactive_frames=5, most_interactions=2,
    )  # fmt: skip
    result, kept = contest.measure(EvaluationSet("disks", "movie", movies), sampling)
    asked = {}
    for score in result.scores:
        assert 0.0 <= score.iou <= 1.0
        assert 0.0 <= score.boundary <= 1.0
        key = (score.protocol, score.method)
        asked.setdefault(key, set()).add((score.frame, score.object_id))
    for protocol in (
        "1 click",
        "5 clicks",
        "box",
        "5 frames from a mask",
        "5 frames from 3 clicks",
    ):
        choices = [found for (name, _), found in asked.items() if name == protocol]
        assert len(choices) >= 4
        assert all(found == choices[0] for found in choices)
    assert {len(score.j) for score in result.interactive} == {2}
    assert len({score.method for score in result.challenge}) == len(contest.on_movies)
    assert [followed.task.prompt for followed in kept] == ["mask"] * len(kept)
    assert result.confidence.present

    facts = circumstances(network, TINY.name, runtime) | {"seed": 0}
    out = tmp_path / "results" / "evaluation.json"
    write_json(out, facts, [result])
    read_facts, (again,) = read_results(out)
    assert again == result
    assert read_facts["weights_sha256"] == weights_hash(network)
    assert read_facts["dtype"] == "float32"
    assert len(read_facts["commit"]) >= 7
    text = markdown(facts, [result])
    assert weights_hash(network)[:12] in describe(facts)
    assert describe(facts) in text
    for heading in ("Prompts on single frames", "Masklets", "Corrections", "Whole movies", "Time"):
        assert f"### {heading}" in text
    assert json.loads(out.read_text())["summaries"]


def test_frames_that_are_encoded_already_change_no_score(network, moving_disks):
    task = pick_masklets(moving_disks(frames=5), 2, 4, seed=0, starts=1)[0]
    predictor = VideoPredictor(network, Runtime.auto("cpu"), PredictorOptions())
    shared = NetworkOnMovies(predictor)
    again = [score_online(shared, task, most_frames=2) for _ in range(2)]
    assert again[0] == again[1] == score_online(NetworkOnMovies(predictor), task, most_frames=2)
    session = shared.open(task).session
    assert session.features is shared.open(task).session.features
    assert not session.prompts.all()


def test_hash_tells_weights_apart(network):
    before = weights_hash(network)
    with torch.no_grad():
        parameter = next(network.parameters())
        parameter[0] += 1e-3
        changed = weights_hash(network)
        parameter[0] -= 1e-3
    assert changed != before
