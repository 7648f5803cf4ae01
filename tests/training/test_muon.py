"""Our Muon beside PyTorch's, which always computes in bfloat16."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.training import muon
from napari_sam2.training.muon import Muon, orthogonalised


def moved(optimiser, start, gradients) -> torch.Tensor:
    """Return where a matrix is after some steps."""
    parameter = torch.nn.Parameter(start.clone())
    steps = optimiser([{"params": [parameter], "lr": 0.02, "weight_decay": 0.1}])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        steps.step()
    return parameter.detach() - start


@pytest.mark.parametrize("shape", [(24, 10), (10, 24), (16, 16)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_it_goes_where_that_of_pytorch_goes(shape, dtype, monkeypatch) -> None:
    monkeypatch.setattr(muon, "product_dtype", lambda _: dtype)
    chance = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(6, *shape, generator=chance)
    ours = moved(Muon, start, gradients)
    theirs = moved(
        lambda groups: torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw"), start, gradients
    )
    assert ours.norm() > 0.05
    # They round to three digits in every product, and so do we if we have to.
    assert (ours - theirs).norm() < 0.03 * theirs.norm()


def test_singular_values_come_near_one() -> None:
    matrix = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrix, torch.float32))
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_what_is_no_matrix_and_what_has_no_gradient() -> None:
    with pytest.raises(ValueError, match=r"Muon moves matrices, not \(3,\): give it to AdamW"):
        Muon([{"params": [torch.nn.Parameter(torch.zeros(3))]}])
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    Muon([{"params": [parameter]}]).step()
    assert torch.equal(parameter.detach(), torch.ones(2, 2))
