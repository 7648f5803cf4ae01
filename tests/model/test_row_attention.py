"""The faster ways of computing the same on a CPU: results are those of the plain ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_sam2.model import hiera, memory_attention, row_attention
from napari_sam2.model.config import BUNDLED, HieraConfig
from napari_sam2.model.layers import by_pieces
from napari_sam2.model.memory_attention import RotaryCrossAttention
from napari_sam2.model.outputs import MemoryTokens
from napari_sam2.model.position import rotary_table
from napari_sam2.model.sam2 import SAM2

GRID = (6, 10)
DIM, MEMORY_DIM = 32, 8


def memory_of(objects: int, maps: int, pointers: int, seed: int = 0) -> MemoryTokens:
    generator = torch.Generator().manual_seed(seed)
    count = maps * GRID[0] * GRID[1]
    tokens = torch.randn(objects, count + pointers, MEMORY_DIM, generator=generator)
    positions = torch.randn(objects, count + pointers, MEMORY_DIM, generator=generator)
    return MemoryTokens(tokens, positions, count)


def cross_attention(sharpness: float = 2.0) -> RotaryCrossAttention:
    torch.manual_seed(1)
    attention = RotaryCrossAttention(DIM, MEMORY_DIM)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(std=sharpness / parameter.shape[-1] ** 0.5)
    return attention


def both_ways(
    attention: RotaryCrossAttention,
    memory: MemoryTokens,
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Tensor, Tensor]:
    """Attend with and without the fast way."""
    cells = torch.randn(rows, GRID[0] * GRID[1], DIM, generator=torch.Generator().manual_seed(2))
    table = rotary_table(*GRID, DIM, cells.device)
    with torch.inference_mode():
        plain = attention.attend(cells, memory, table, GRID)
        monkeypatch.setattr(row_attention, "_WORTHWHILE", 0)
        # Blocks that do not divide the number of queries.
        monkeypatch.setattr(row_attention, "_BLOCK", 13)
        return plain, attention.attend(cells, memory, table, GRID)


@pytest.mark.parametrize(("objects", "rows"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize(("maps", "pointers"), [(1, 0), (4, 0), (4, 5)])
def test_rows_give_what_plain_attention_gives(
    objects: int, rows: int, maps: int, pointers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = memory_of(objects, maps, pointers)
    plain, fast = both_ways(cross_attention(), memory, rows, monkeypatch)
    assert fast.shape == plain.shape == (objects, GRID[0] * GRID[1], DIM)
    assert not torch.equal(fast, plain)  # it was another way
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5 * float(plain.abs().max()))


def test_scores_out_of_range_take_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    overflowing = []

    def spy(*args: Any) -> Tensor:
        overflowing.append(row_attention.attend_rows(*args))
        return overflowing[-1]

    monkeypatch.setattr(memory_attention, "attend_rows", spy)
    plain, fast = both_ways(cross_attention(40.0), memory_of(2, 3, 2), 1, monkeypatch)
    assert not torch.isfinite(overflowing[0]).all()
    assert torch.isfinite(fast).all()
    torch.testing.assert_close(fast, plain)


def test_training_takes_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_attention, "_WORTHWHILE", 0)

    def refuse(*_: object) -> Tensor:
        raise AssertionError("the fast way has no gradients")

    monkeypatch.setattr(memory_attention, "attend_rows", refuse)
    attention, memory = cross_attention(), memory_of(1, 2, 1)
    table = rotary_table(*GRID, DIM, torch.device("cpu"))
    cells = torch.randn(1, GRID[0] * GRID[1], DIM)
    attention.attend(cells, memory, table, GRID).sum().backward()
    assert attention.k_proj.weight.grad is not None


def test_half_precision_takes_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_attention, "_WORTHWHILE", 0)
    with torch.inference_mode():
        query = torch.zeros(1, 4, DIM, dtype=torch.bfloat16)
        assert not row_attention.is_worthwhile(query, memory_of(1, 1, 0))


@pytest.mark.parametrize("length", [1, 3, 7, 100])
def test_pieces_are_put_together_in_order(length: int) -> None:
    x = torch.arange(14.0).reshape(2, 7)
    with torch.inference_mode():
        assert torch.equal(by_pieces(lambda piece: 2 * piece, x, length), 2 * x)


@pytest.mark.parametrize("piece", [1, 2**13, 2**15])
def test_an_image_encoded_strip_by_strip_is_the_same(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Windows that do not divide the map, so that the last strip is padded.
    trunk = HieraConfig(
        embed_dim=8, stages=(1, 2, 2, 1), global_blocks=(4,), window_spec=(8, 4, 14, 7)
    )
    torch.manual_seed(0)
    model = SAM2(replace(BUNDLED, hiera=trunk, hidden_dim=32, memory_dim=8)).eval()
    images = torch.randn(2, 3, 256, 320)
    with torch.inference_mode():
        monkeypatch.setattr(hiera, "_PIECE", 2**40)
        whole = model.encode_image(images)
        monkeypatch.setattr(hiera, "_PIECE", piece)
        strips = model.encode_image(images)
    torch.testing.assert_close(strips.embedding, whole.embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(strips.stride4, whole.stride4, rtol=1e-4, atol=1e-5)
