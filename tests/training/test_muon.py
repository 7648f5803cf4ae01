"""Our Muon moves matrices as PyTorch's does, and goes on where it was stopped."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_sam2.training.muon import Muon, orthogonalise

_SHAPES = [(24, 16), (24, 16), (16, 40), (16, 16)]


def _matrices():
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in _SHAPES]


def _teach(parameters, optimiser, steps, seed=2):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimiser.step()


def test_singular_values_come_near_one():
    matrices = torch.randn(3, 30, 12, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices).float())
    assert (values > 0.6).all()
    assert (values < 1.3).all()


def test_moves_are_those_of_pytorch():
    ours, theirs = _matrices(), _matrices()
    groups = [(slice(0, 1), 0.02), (slice(1, 4), 0.05)]
    mine = Muon([{"params": ours[part], "lr": rate, "weight_decay": 0.1} for part, rate in groups])
    other = torch.optim.Muon(
        [{"params": theirs[part], "lr": rate} for part, rate in groups],
        weight_decay=0.1,
        adjust_lr_fn="match_rms_adamw",
    )
    before = _matrices()
    _teach(ours, mine, 4)
    _teach(theirs, other, 4)
    for one, two, start in zip(ours, theirs, before, strict=True):
        # PyTorch multiplies in bfloat16.
        assert (one - two).norm() < 0.02 * (two - start).norm()


def test_a_state_goes_on():
    ours, again = _matrices(), _matrices()
    _teach(ours, Muon(ours, lr=0.1), 1, seed=5)
    first = Muon(again, lr=0.1)
    _teach(again, first, 1, seed=5)
    whole = Muon(ours, lr=0.1)
    whole.load_state_dict(copy.deepcopy(first.state_dict()))
    _teach(ours, whole, 2, seed=6)
    _teach(again, first, 2, seed=6)
    for one, two in zip(ours, again, strict=True):
        assert torch.equal(one, two)


def test_only_matrices_are_taken():
    with pytest.raises(ValueError, match=r"Muon moves matrices, not \(7,\)"):
        Muon([nn.Parameter(torch.zeros(7))])
