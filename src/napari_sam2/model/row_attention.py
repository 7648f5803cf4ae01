"""Attention of a map to memories in fewer multiplications, for CPUs.

Memory attention is where the time of a frame goes: 4096 cells look at 28 672 remembered ones, and
a CPU is at its limit of multiplications there. Three facts save almost half of them; none is an
approximation.

* Values are memories of 64 channels projected to 256. The weights of a query sum to one, so the
  projection can follow the average instead of preceding it.
* Half of the channels of a key are turned by its row alone. All keys of a row share that
  rotation, so the rotation and the key projection are applied to the query instead, once a row:
  those 128 channels become the 64 of the memory.
* Scores are made, turned into weights and used in blocks that stay in the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_sam2.model.outputs import MemoryTokens

_BLOCK = 1024
"""Queries at a time and thread: their scores to one row of keys fill a cache of 2 MiB."""

_WORTHWHILE = 2**22
"""Scores below which preparing the rows costs more than it saves."""

_LOG2_E = math.log2(math.e)


def is_worthwhile(query: Tensor, memory: MemoryTokens) -> bool:
    """Say whether this is the faster way: many scores, in float32 on a CPU, without gradients.

    Memories that have moved are in rows of their own and share no rotation.
    """
    return (
        memory.moves is None
        and query.device.type == "cpu"
        and query.dtype == torch.float32
        and not torch.is_grad_enabled()
        and query.shape[1] * memory.tokens.shape[1] >= _WORTHWHILE
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """One object's memory, its K maps sorted by rows of the grid.

    Attributes
    ----------
    keys : Tensor, (h, K * w, Cm + C/2)
        What was remembered with its positions, then the half of the key that turns with x.
    values : Tensor, (h, K * w, Cm)
        What was remembered.
    fold : Tensor, (h, C/2, Cm)
        Projection of the half that turns with y, turned as in each row; applied to queries.
    offset : Tensor, (C/2, h)
        The bias of that projection, turned likewise.
    """

    keys: Tensor
    values: Tensor
    fold: Tensor
    offset: Tensor


def attend_rows(
    query: Tensor, memory: MemoryTokens, key: nn.Linear, table: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Average the memories of B objects by softmax attention.

    Parameters
    ----------
    query : Tensor, (b, N, C)
        Rotated queries, one row or one an object.
    memory : MemoryTokens
        Of B objects.
    key : Linear
        Projects a memory to a key, before rotation.
    table : Tensor, (h * w, C/2), complex64
        Rotations of the cells.
    grid : tuple of 2 int
        Rows and columns of the map.

    Returns
    -------
    Tensor, (B, N, Cm)
        Not projected yet. Not finite where a query's largest weight is more than some 2^100
        times the largest of the first row of keys: scores are only kept in range by that row.
    """
    scaled = query * (_LOG2_E / math.sqrt(query.shape[-1]))
    block = _BLOCK * torch.get_num_threads()
    averaged = []
    for index in range(memory.tokens.shape[0]):
        one = MemoryTokens(memory.tokens[index], memory.positions[index], memory.num_spatial)
        rows = _sort_rows(one, key, table, grid)
        pointers = one.tokens[one.num_spatial :]  # (P, Cm)
        pointer_keys = key(pointers + one.positions[one.num_spatial :])  # (P, C)
        own = scaled[index if scaled.shape[0] > 1 else 0]
        blocks = [_average(q, rows, pointer_keys, pointers) for q in own.split(block)]
        averaged.append(torch.cat(blocks))
    return torch.stack(averaged)


def _sort_rows(memory: MemoryTokens, key: nn.Linear, table: Tensor, grid: tuple[int, int]) -> _Rows:
    height, width = grid
    half, channels = key.out_features // 2, key.in_features

    def by_row(tokens: Tensor) -> Tensor:
        maps = tokens[: memory.num_spatial].unflatten(0, (-1, height, width))  # (K, h, w, Cm)
        return maps.transpose(0, 1).flatten(0, 2)  # (h * K * w, Cm)

    values = by_row(memory.tokens)
    keys = values.new_empty(len(values), channels + half)
    placed = keys[:, :channels]
    torch.add(values, by_row(memory.positions), out=placed)
    turning = keys[:, channels:]
    torch.addmm(key.bias[:half], placed, key.weight[:half].t(), out=turning)
    turn_x, turn_y = table[:width, : half // 2], table[::width, half // 2 :]
    _as_complex(turning.unflatten(0, (-1, width))).mul_(turn_x)
    return _Rows(
        keys=keys.unflatten(0, (height, -1)),
        values=values.unflatten(0, (height, -1)),
        fold=_turned(key.weight[half:].t(), turn_y).transpose(1, 2).contiguous(),
        offset=_turned(key.bias[None, half:], turn_y)[:, 0].t(),
    )


def _as_complex(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))  # (..., C) as (..., C/2)


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """Turn (N, C) by each of h rotations, (h, N, C)."""
    return torch.view_as_real(_as_complex(x.contiguous()) * turns[:, None]).flatten(2)


def _average(query: Tensor, rows: _Rows, pointer_keys: Tensor, pointers: Tensor) -> Tensor:
    """Average memories for (n, C) queries that are scaled to base 2; (n, Cm)."""
    count, half = query.shape[0], query.shape[1] // 2
    channels = pointers.shape[1]
    query_y = query[:, half:].contiguous()
    joined = query.new_empty(count, channels + half)
    joined[:, channels:] = query[:, :half]
    folded = joined[:, :channels]
    scores = query.new_empty(count, rows.keys.shape[1])
    offset = query_y @ rows.offset  # (n, h)

    to_pointers = query @ pointer_keys.t()
    torch.mm(query_y, rows.fold[0], out=folded)
    torch.mm(joined, rows.keys[0].t(), out=scores)
    # Any shift near the largest score keeps the powers in range: that of the first row does.
    shift = scores.amax(dim=1, keepdim=True) + offset[:, :1]
    weights = to_pointers.sub_(shift).exp2_()
    total = weights.sum(dim=1, keepdim=True)
    averaged = weights @ pointers
    offset.neg_().add_(shift)
    for row, (keys, values) in enumerate(zip(rows.keys, rows.values, strict=True)):
        torch.mm(query_y, rows.fold[row], out=folded)
        torch.mm(joined, keys.t(), out=scores)
        scores.sub_(offset[:, row : row + 1]).exp2_()
        total += scores.sum(dim=1, keepdim=True)
        averaged.addmm_(scores, values)
    return averaged.div_(total)
