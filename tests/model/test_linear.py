"""The fused linear layers against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from napari_sam2.model import linear
from napari_sam2.model.layers import MLP
from napari_sam2.model.linear import Linear, linear_gelu


def test_fused_layer_and_gelu_equal_the_separate_ones() -> None:
    torch.manual_seed(0)
    layer, x = Linear(96, 384), 3 * torch.randn(2, 50, 7, 96)
    with torch.inference_mode():
        plain = F.linear(x, layer.weight, layer.bias)
        torch.testing.assert_close(layer(x), plain, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(linear_gelu(layer, x), F.gelu(plain), rtol=1e-5, atol=1e-5)


def test_gradients_and_autocast_take_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the fused product knows neither gradients nor autocast")

    monkeypatch.setattr(linear, "_FUSED", forbidden)
    mlp, x = MLP(8, 16, 8, 2, F.gelu), torch.randn(3, 8)
    mlp(x).sum().backward()
    assert mlp.layers[0].weight.grad is not None
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert mlp(x).dtype == torch.bfloat16
    with torch.inference_mode(), pytest.raises(AssertionError, match="fused"):
        mlp(x)


def test_any_other_layer_in_its_place_is_called() -> None:
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    with torch.inference_mode():
        assert torch.equal(linear_gelu(Doubled(), torch.ones(3)), F.gelu(torch.full((3,), 2.0)))
