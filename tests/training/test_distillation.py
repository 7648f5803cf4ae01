"""What a network said before is a lesson that equal answers have learned."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.training.distillation import kept_loss
from napari_sam2.training.losses import Answer


def answer(seed: int) -> Answer:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 16, 16, generator=random) * 4
    ious = torch.rand(2, 4, generator=random)
    score = torch.randn(2, 1, generator=random)
    return Answer(*(part.requires_grad_() for part in (logits, ious, score)))


def parts(given: Answer) -> tuple[torch.Tensor, ...]:
    return given.logits, given.ious, given.object_score


def test_equal_answers_are_not_pulled_at_even_where_they_are_unsure():
    one, same = answer(0), answer(0)
    kept_loss(one, Answer(*(part.detach() for part in parts(same)))).backward()
    for part in parts(one):
        assert float(part.grad.abs().max()) < 1e-7


@pytest.mark.parametrize("moved", ["logits", "ious", "object_score"])
def test_a_step_along_the_gradient_goes_back_to_what_was_said(moved):
    before = Answer(*(part.detach() for part in parts(answer(0))))
    values = {"logits": before.logits, "ious": before.ious, "object_score": before.object_score}
    values[moved] = (values[moved] + 0.3).requires_grad_()
    away = Answer(**values)
    loss = kept_loss(away, before)
    (pull,) = torch.autograd.grad(loss, [values[moved]])
    assert float(pull.sum()) > 0
    assert float(loss.detach()) > float(kept_loss(before, before))
