"""Position encodings: sine maps, temporal sines, rotary tables, random Fourier features.

Tables depend on sizes alone, so they are computed once a size and device and shared; they are
never part of a checkpoint.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

_TEMPERATURE = 10000.0


@lru_cache(maxsize=16)
def sine_map(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Encode each cell of a grid by sines of its row (first half) and column (second half).

    Parameters
    ----------
    height, width : int
        Cells of the grid.
    channels : int
        Channels of the result, a multiple of 4.
    device : torch.device
        Where the table lives.

    Returns
    -------
    Tensor, (1, C, h, w), float32

    Notes
    -----
    Coordinates count from 1 and are scaled to 2 pi over the grid, as in DETR.
    """
    with torch.inference_mode(False):
        cells = moved_sine_map(height, width, channels, torch.zeros(1, 2, device=device))
        return cells.transpose(1, 2).unflatten(2, (height, width)).contiguous()


def moved_sine_map(height: int, width: int, channels: int, moves: Tensor) -> Tensor:
    """Encode the cells of grids whose contents have moved, each grid by its own way.

    Parameters
    ----------
    height, width : int
        Cells of a grid.
    channels : int
        Channels of the result, a multiple of 4.
    moves : Tensor, (..., 2), float32
        Rows and columns, in cells, by which each grid's contents have moved.

    Returns
    -------
    Tensor, (..., h * w, C), float32
        `sine_map` read at the places where the contents are now.
    """
    half = channels // 2
    per_cell_y, per_cell_x = (2 * math.pi / (length + 1e-6) for length in (height, width))
    y = _scaled_axis(height, moves.device) + moves[..., :1] * per_cell_y  # (..., h)
    x = _scaled_axis(width, moves.device) + moves[..., 1:] * per_cell_x  # (..., w)
    shape = (*moves.shape[:-1], height, width, half)
    rows = _interleaved_sines(y, half)[..., :, None, :].expand(shape)
    columns = _interleaved_sines(x, half)[..., None, :, :].expand(shape)
    return torch.cat([rows, columns], dim=-1).flatten(-3, -2)


def _scaled_axis(length: int, device: torch.device) -> Tensor:
    index = torch.arange(1, length + 1, dtype=torch.float32, device=device)
    return index / (length + 1e-6) * (2 * math.pi)


def _interleaved_sines(values: Tensor, channels: int) -> Tensor:
    angles = values[..., None] / _wavelengths(channels, values.device)  # (..., N, C)
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=-1).flatten(-2)


def _wavelengths(channels: int, device: torch.device) -> Tensor:
    index = torch.arange(channels, dtype=torch.float32, device=device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / channels
    return torch.pow(torch.tensor(_TEMPERATURE, device=device), exponent)


def temporal_sine(distance: Tensor, channels: int) -> Tensor:
    """Encode normalised temporal distances.

    Parameters
    ----------
    distance : Tensor, (...)
        Frames between now and then, divided by the span that they are measured against.
    channels : int
        Channels of the result, even.

    Returns
    -------
    Tensor, (..., C)
        All sines, then all cosines.
    """
    angles = distance[..., None] / _wavelengths(channels // 2, distance.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


@lru_cache(maxsize=16)
def rotary_table(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Rotations of axial rotary position encoding for the cells of a grid.

    Parameters
    ----------
    height, width : int
        Cells of the grid; cells are numbered row by row.
    channels : int
        Channels of a query, a multiple of 4; half of the pairs turn with x, half with y.
    device : torch.device
        Where the table lives.

    Returns
    -------
    Tensor, (h * w, C / 2), complex64
    """
    with torch.inference_mode(False):
        frequencies = _rotary_frequencies(channels, device)
        index = torch.arange(height * width, device=device)
        x = (index % width).float()
        y = torch.div(index, width, rounding_mode="floor").float()
        angles = torch.cat([torch.outer(x, frequencies), torch.outer(y, frequencies)], dim=1)
        return torch.polar(torch.ones_like(angles), angles)


def moved_rotary_table(table: Tensor, moves: Tensor) -> Tensor:
    """Rotations for the cells of grids whose contents have moved.

    Parameters
    ----------
    table : Tensor, (h * w, C / 2), complex64
        As `rotary_table` returns it.
    moves : Tensor, (B, K, 2), float32
        Rows and columns, in cells, by which the contents of K grids have moved.

    Returns
    -------
    Tensor, (B, K * h * w, C / 2), complex64
    """
    frequencies = _rotary_frequencies(2 * table.shape[-1], moves.device)
    # Turns of the same pair add up, so that a move is one more turn for all cells of a grid.
    angles = torch.cat([moves[..., 1:] * frequencies, moves[..., :1] * frequencies], dim=-1)
    turns = torch.polar(torch.ones_like(angles), angles)  # (B, K, C/2)
    return (turns[:, :, None] * table).flatten(1, 2)


def _rotary_frequencies(channels: int, device: torch.device) -> Tensor:
    """Return the turns a cell of each pair of one axis, (C / 4)."""
    exponents = torch.arange(0, channels, 4, device=device)[: channels // 4].float() / channels
    frequencies: Tensor = 1.0 / _TEMPERATURE**exponents
    return frequencies


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn neighbouring pairs of channels by the angles of a rotary table.

    Parameters
    ----------
    x : Tensor, (..., N, C)
        Queries or keys.
    table : Tensor, (n, C / 2), or with the leading axes of ``x``, complex64
        N is a multiple of n: several maps of the same grid one behind the other.

    Returns
    -------
    Tensor, (..., N, C), dtype of ``x``
    """
    *lead, count, channels = x.shape
    cells = table.shape[-2]
    pairs = x.float().reshape(*lead, count // cells, cells, channels // 2, 2)
    turned = torch.view_as_real(torch.view_as_complex(pairs) * table.unsqueeze(-3))
    return turned.reshape(*lead, count, channels).type_as(x)


class RandomFourierPosition(nn.Module):
    """Encode points in the unit square by sines of random projections.

    Parameters
    ----------
    channels : int
        Channels of the encoding, even.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        matrix = torch.randn(2, channels // 2)
        self.register_buffer("positional_encoding_gaussian_matrix", matrix)

    def forward(self, xy: Tensor) -> Tensor:
        """Encode unit coordinates (..., 2), x first, as (..., C)."""
        # The frequencies reach far beyond 2 pi, so half precision would lose the phase.
        projected = (2 * xy.float() - 1) @ self.positional_encoding_gaussian_matrix.float()
        angles = 2 * math.pi * projected
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encode the centres of a grid's cells as (1, C, h, w)."""
        device = self.positional_encoding_gaussian_matrix.device
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        encoded: Tensor = self(torch.stack([columns, rows], dim=-1))  # (h, w, C)
        return encoded.permute(2, 0, 1)[None]
