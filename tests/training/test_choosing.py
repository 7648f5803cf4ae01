"""Choices beside the weights, measured through the predictor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_sam2.model.checkpoint import load_model
from napari_sam2.training.__main__ import app
from napari_sam2.training.checkpointing import shift_presence, write_weights
from napari_sam2.training.choosing import Choice, compare
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.synthetic import dividing_cells


def _movies() -> dict[str, list[LabelledMovie]]:
    made = dividing_cells(frames=3, shape=(96, 96), seed=1)
    two = np.where(made.labels <= 2, made.labels, 0)
    return {"synthetic": [LabelledMovie("made", made.images, two)]}


def test_each_choice_is_measured_and_the_weights_are_put_back():
    movies = _movies()
    model = load_model("bundled").eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    choices = [
        Choice(3.5, 0.0),
        Choice(3.5, -100.0),
        Choice(2.0, 0.0),
        Choice(3.5, 0.0, "second_opinion"),
    ]
    usual, absent, narrow, once = (found for _, _, found in compare(model, movies, choices))
    assert usual.tracking > 0.6
    # Said to be absent, an object is not followed; where a person points at it, it is there.
    assert absent.tracking < 0.1
    assert absent.tracking_click < 0.1
    assert absent.one_click == usual.one_click
    assert narrow.one_click != usual.one_click
    assert once.one_click != usual.one_click
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_share_of_the_weights_is_what_a_mixture_takes_of_them(tmp_path):
    model = load_model("bundled").eval()
    absent = shift_presence(model.state_dict(), -100.0)
    others = write_weights(absent, tmp_path / "absent.safetensors", {})
    choices = [Choice(3.5, 0.0, share=share) for share in (1.0, 0.5, 0.0)]
    found = [f.tracking for _, _, f in compare(model, _movies(), choices, others)]
    assert found[0] > 0.6
    # Half of what is taken off presence is enough to lose every object.
    assert found[1] < 0.1
    assert found[2] < 0.1


@pytest.mark.parametrize(
    ("given", "told"),
    [(["--shares", "0.5,x"], "0.5,x"), (["--shares", "0.5"], "--mixed-with")],
)
def test_shares_that_cannot_be_are_refused_at_once(given, told):
    result = CliRunner().invoke(app, ["choose", "bundled", *given], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert told in result.output
