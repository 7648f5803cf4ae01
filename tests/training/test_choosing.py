"""Choices beside the weights, measured through the predictor."""

from __future__ import annotations

import numpy as np
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.training.choosing import Choice, compare
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.synthetic import dividing_cells


def test_each_choice_is_measured_and_the_weights_are_put_back():
    made = dividing_cells(frames=3, shape=(96, 96), seed=1)
    two = np.where(made.labels <= 2, made.labels, 0)
    movies = {"synthetic": [LabelledMovie("made", made.images, two)]}
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
