"""Training computes in bfloat16 where that is fast, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.training import precision


@pytest.mark.parametrize(
    ("can", "wanted", "expected"),
    [
        ({"avx512_bf16": True}, True, torch.bfloat16),
        ({"amx_bf16": True}, True, torch.bfloat16),
        ({"bf16": True}, False, torch.float32),
        ({"avx2": True, "avx512_bf16": False}, True, torch.float32),
    ],
)
def test_products_are_of_bfloat16_where_the_processor_has_it(monkeypatch, can, wanted, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    matrix = torch.ones(2, 2)
    with precision.autocast(torch.device("cpu"), wanted=wanted):
        assert (matrix @ matrix).dtype == expected


def test_a_pytorch_that_does_not_say_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    matrix = torch.ones(2, 2)
    with precision.autocast(torch.device("cpu")):
        assert (matrix @ matrix).dtype == torch.float32
