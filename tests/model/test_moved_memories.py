"""Memories of what has moved: looked for where it is now, and only where that is told."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.model.config import BUNDLED
from napari_sam2.model.memory_attention import RotaryCrossAttention
from napari_sam2.model.outputs import ImageFeatures, MemoryTokens
from napari_sam2.model.position import moved_rotary_table, moved_sine_map, rotary_table, sine_map
from napari_sam2.model.sam2 import SAM2

H, W, C = 6, 8, 16
CPU = torch.device("cpu")


def test_a_whole_cell_is_the_place_of_the_next_cell() -> None:
    moves = torch.tensor([[[2.0, 0.0], [0.0, -3.0]]])
    still = sine_map(H, W, C, CPU)[0].permute(1, 2, 0)  # (h, w, C)
    moved = moved_sine_map(H, W, C, moves).unflatten(2, (H, W))[0]
    torch.testing.assert_close(moved[0, :-2], still[2:])
    torch.testing.assert_close(moved[1, :, 3:], still[:, :-3])
    table = rotary_table(H, W, C, CPU)
    turned = moved_rotary_table(table, moves)[0].unflatten(0, (2, H, W))
    place = table.unflatten(0, (H, W))
    torch.testing.assert_close(turned[0, :-2], place[2:])
    torch.testing.assert_close(turned[1, :, 3:], place[:, :-3])


@pytest.fixture(scope="module")
def model() -> SAM2:
    torch.manual_seed(0)
    return SAM2(BUNDLED).eval()


def attended(model: SAM2, spatial: torch.Tensor, moves: torch.Tensor | None) -> torch.Tensor:
    """Let one frame look at two spatial memories and a pointer of each of two objects."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, BUNDLED.hidden_dim, *spatial.shape[-2:], generator=generator)
    pointers = torch.randn(2, 1, BUNDLED.hidden_dim, generator=generator)
    with torch.inference_mode():
        memory = model.assemble_memory(
            spatial, torch.tensor([[0, 3]] * 2), pointers, torch.ones(2, 1), 15.0, moves
        )
        assert isinstance(memory, MemoryTokens)
        return model.attend_memory(ImageFeatures(features, features, features), memory)


def test_moves_of_nothing_change_nothing(model: SAM2) -> None:
    spatial = torch.randn(2, 2, BUNDLED.memory_dim, 16, 16)
    plain = attended(model, spatial, None)
    torch.testing.assert_close(attended(model, spatial, torch.zeros(2, 2, 2)), plain)


def test_each_object_has_its_own_moves(model: SAM2) -> None:
    spatial = torch.randn(2, 2, BUNDLED.memory_dim, 16, 16)
    plain = attended(model, spatial, None)
    moves = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[1.5, -2.0], [0.25, 4.0]]])
    moved = attended(model, spatial, moves)
    torch.testing.assert_close(moved[0], plain[0])
    assert (moved[1] - plain[1]).abs().max() > 1e-3 * plain[1].abs().max()


def test_what_has_moved_is_found_where_it_is_now() -> None:
    """Told of a move, attention sees what it sees where the same memory is shown moved."""
    torch.manual_seed(0)
    attention = RotaryCrossAttention(32, 16)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
    cells = torch.randn(1, H * W, 32)
    table = rotary_table(H, W, 32, CPU)
    # Only the middle is loud: what comes in and goes out at the border hardly counts.
    shown = torch.zeros(1, 1, 16, H, W)
    shown[..., 1:4, 2:5] = 8 * torch.randn(3, 3)

    def seen(spatial: torch.Tensor, moves: torch.Tensor | None) -> torch.Tensor:
        tokens = spatial.flatten(3).transpose(2, 3).flatten(1, 2)
        place = sine_map(H, W, 16, CPU).flatten(2).transpose(1, 2)
        if moves is not None:
            place = moved_sine_map(H, W, 16, moves).flatten(1, 2)
        memory = MemoryTokens(tokens, place, H * W, moves)
        with torch.inference_mode():
            return attention.attend(cells, memory, table, (H, W))

    told = seen(shown, torch.tensor([[[2.0, 1.0]]]))
    moved = seen(torch.roll(shown, (2, 1), dims=(-2, -1)), None)
    untold = seen(shown, None)
    assert (told - moved).abs().mean() < 0.2 * (untold - moved).abs().mean()
