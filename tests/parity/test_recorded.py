"""The network and the engine against recorded results of the reference."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from tests.parity import recorded, runs, verbs
from tests.parity.comparing import TOLERANCE, differing_pixels, relative_error
from tests.parity.networks import PRESENCE_BIAS, RECORDED_SIZE, SMALL
from tests.parity.seeding import seeded_weights
from torch import Tensor

from napari_sam2.model.sam2 import SAM2

VERBS = {version: recorded.load(f"verbs-{version}") for version in SMALL}
RUNS = {version: recorded.load(f"run-{version}") for version in SMALL}


@cache
def network(version: str) -> SAM2:
    model = SAM2(SMALL[version]).eval()
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    model.load_state_dict(seeded_weights(shapes, PRESENCE_BIAS))
    return model


@cache
def our_verbs(version: str) -> dict[str, Tensor]:
    return recorded.sampled(verbs.ours(network(version), RECORDED_SIZE))


@cache
def our_run(version: str) -> dict[str, Tensor]:
    run = runs.our_run(network(version), RECORDED_SIZE, RUNS[version])
    return recorded.sampled(run)


def pairs(results: dict[str, dict[str, Tensor]]) -> list[tuple[str, str]]:
    return [(version, name) for version, expected in results.items() for name in expected]


@pytest.mark.parametrize(("version", "name"), pairs(VERBS))
def test_a_verb_agrees_with_the_reference(version: str, name: str) -> None:
    assert relative_error(our_verbs(version)[name], VERBS[version][name]) < TOLERANCE


@pytest.mark.parametrize("version", SMALL)
@pytest.mark.parametrize("part", ["first.prompt", "first.frame", "corrected"])
def test_a_video_agrees_with_the_reference_frame_by_frame(version: str, part: str) -> None:
    ours, theirs = our_run(version), RUNS[version]
    names = [name for name in theirs if name.startswith(part)]
    assert names
    errors = {name: relative_error(ours[name], theirs[name]) for name in names}
    assert max(errors.values()) < TOLERANCE, {k: e for k, e in errors.items() if e >= TOLERANCE}
    masks = [name for name in names if name.endswith("logits")]
    assert sum(differing_pixels(ours[name], theirs[name]) for name in masks) == 0


@pytest.mark.parametrize("version", SMALL)
def test_both_make_the_same_results_and_no_others(version: str) -> None:
    assert set(our_verbs(version)) == set(VERBS[version])
    assert set(our_run(version)) == set(RUNS[version])


@pytest.mark.parametrize("version", SMALL)
def test_the_recorded_run_covers_what_it_should(version: str) -> None:
    run = RUNS[version]
    scores = {k: float(v) for k, v in run.items() if k.endswith("score") and ".frame" in k}
    absent = {name for name, score in scores.items() if score < 0}
    # An object vanishes in the middle and is back at the end.
    assert absent
    assert all(scores[f"first.frame9.object{i}.object_score"] > 0 for i in runs.OBJECTS)
    # No verdict hangs on rounding.
    assert min(abs(score) for score in scores.values()) > 30 * TOLERANCE
    # The correction changes what comes after it, of the corrected object alone.
    for object_id, is_corrected in ((1, False), (2, True)):
        before = run[f"first.frame9.object{object_id}.logits"]
        after = run[f"corrected.frame9.object{object_id}.logits"]
        assert torch.equal(before, after) is not is_corrected


def test_the_two_versions_differ() -> None:
    new, old = (RUNS[version]["first.frame9.object1.logits"] for version in ("2.1", "2.0"))
    assert relative_error(new, old) > 100 * TOLERANCE
