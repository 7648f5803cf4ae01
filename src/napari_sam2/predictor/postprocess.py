"""What happens to mask logits after the network: holes, pieces, overlaps, stability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

__all__ = ["fill_holes", "keep_pieces", "resolve_overlaps", "stability_score"]

HOLE_LOGIT = 0.1
"""Logit of a filled pixel: inside, and no more certain than it has to be."""

LOST_LOGIT = -10.0
"""Upper limit of the logits that an object keeps where another one is more certain."""

PlacedLogits = tuple[tuple[int, int], Tensor]
"""Frame pixel (y, x) of the first value, and logits (h, w)."""


def fill_holes(logits: Tensor, max_area: int) -> Tensor:
    """Fill small patches of background.

    Parameters
    ----------
    logits : Tensor, (..., h, w)
        Positive is inside. Low-resolution logits: filled before they are enlarged, which is cheap.
    max_area : int
        Patches of at most this many pixels are filled; 0 leaves everything as it is. Pixels that
        touch at a corner belong to one patch, and a patch may lie at the border, as in the
        published post-processing.

    Returns
    -------
    Tensor, (..., h, w)
        The same tensor where nothing was to fill.
    """
    if max_area <= 0:
        return logits
    small = _small_patches((logits <= 0).detach().cpu().numpy(), max_area)
    if not small.any():
        return logits
    return logits.masked_fill(torch.from_numpy(small).to(logits.device), HOLE_LOGIT)


def keep_pieces(logits: Tensor, cells: NDArray[np.int64]) -> Tensor:
    """Keep the pieces of a mask that clicks lie in; a cell is one piece, its likes are others.

    Parameters
    ----------
    logits : Tensor, (h, w)
        Positive is inside.
    cells : ndarray, (P, 2) int
        (row, column) of the positive clicks. Where there is none, or none lies inside, the
        largest piece is kept.

    Returns
    -------
    Tensor, (h, w)
        Logits of at most `LOST_LOGIT` on the other pieces; the same tensor where there is none.
    """
    labels, count = ndimage.label((logits > 0).detach().cpu().numpy(), np.ones((3, 3), bool))
    if count < 2:
        return logits
    height, width = labels.shape
    clicked = labels[cells[:, 0].clip(0, height - 1), cells[:, 1].clip(0, width - 1)]
    kept = np.unique(clicked[clicked > 0])
    if not len(kept):
        kept = np.array([np.bincount(labels.ravel())[1:].argmax() + 1])
    others = torch.from_numpy((labels > 0) & ~np.isin(labels, kept)).to(logits.device)
    return torch.where(others, logits.clamp(max=LOST_LOGIT), logits)


def resolve_overlaps(crops: Sequence[PlacedLogits]) -> list[PlacedLogits]:
    """Give each pixel of a frame to the object that is most certain of it.

    Parameters
    ----------
    crops : sequence of ((y, x), Tensor (h, w))
        Logits of the objects of one frame, each where it may be; what lies outside an object's
        crop is not its own.

    Returns
    -------
    list of ((y, x), Tensor (h, w))
        In the same order; an object keeps at most `LOST_LOGIT` where it lost. Of equals the first
        one wins. Crops that meet no other are returned as they are.
    """
    corners = [(y, x, y + c.shape[0], x + c.shape[1]) for (y, x), c in crops]
    boxes = np.array(corners, np.int64).reshape(-1, 4)
    start = np.maximum(boxes[:, None, :2], boxes[None, :, :2])  # (N, N, 2)
    stop = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    meet = np.triu((start < stop).all(axis=-1), k=1)
    resolved = [logits for _, logits in crops]
    meeting = np.unique(np.argwhere(meet))
    if len(meeting):
        shared = (stop - start)[meet].prod(axis=-1).sum()
        field = boxes[meeting, 2:].max(axis=0) - boxes[meeting, :2].min(axis=0)
        # A few cells that touch are cheap pair by pair; masks that all lie on one another are not.
        judge = _judge_pairs if shared <= field.prod() else _judge_all
        judge(resolved, boxes, np.argwhere(meet))
    return [(origin, logits) for (origin, _), logits in zip(crops, resolved, strict=True)]


def stability_score(logits: Tensor, offset: float = 1.0) -> Tensor:
    """Return how little masks change with the threshold.

    Parameters
    ----------
    logits : Tensor, (..., h, w)
        Positive is inside.
    offset : float
        How far the threshold is moved up and down.

    Returns
    -------
    Tensor, (...,) float32
        IoU of the masks at both thresholds, 0 to 1; 1 where both are empty.
    """
    if offset < 0:
        raise ValueError(f"the threshold cannot be moved by {offset}: give 0 or more")
    inner = (logits > offset).sum((-2, -1)).float()
    outer = (logits > -offset).sum((-2, -1)).float()
    return torch.where(outer > 0, inner / outer.clamp(min=1), torch.ones_like(outer))


def _judge_pairs(logits: list[Tensor], boxes: NDArray[np.int64], pairs: NDArray[np.int64]) -> None:
    """Let objects give up, pair by pair, what another one is more certain of."""
    for index in np.unique(pairs):
        logits[index] = logits[index].clone()
    for i, j in pairs:
        start, stop = np.maximum(boxes[i, :2], boxes[j, :2]), np.minimum(boxes[i, 2:], boxes[j, 2:])
        first = logits[i][_window(start, stop, boxes[i])]
        second = logits[j][_window(start, stop, boxes[j])]
        # A pixel that only one of them claims needs no judge.
        contested = (first > 0) & (second > 0)
        first_wins = contested & (first >= second)
        second[first_wins] = second[first_wins].clamp(max=LOST_LOGIT)
        lost = contested & ~first_wins
        first[lost] = first[lost].clamp(max=LOST_LOGIT)


def _judge_all(logits: list[Tensor], boxes: NDArray[np.int64], pairs: NDArray[np.int64]) -> None:
    """Find the owner of each pixel among all objects, then let the others give it up."""
    meeting = np.unique(pairs)
    corner, end = boxes[meeting, :2].min(axis=0), boxes[meeting, 2:].max(axis=0)
    field = (*corner, *end)
    best = logits[meeting[0]].new_zeros(tuple(end - corner))
    owner = torch.full(best.shape, -1, dtype=torch.int32, device=best.device)
    windows = {int(i): _window(boxes[i, :2], boxes[i, 2:], np.array(field)) for i in meeting}
    for index, window in windows.items():
        wins = logits[index] > best[window]
        best[window] = torch.where(wins, logits[index], best[window])
        owner[window].masked_fill_(wins, index)
    for index, window in windows.items():
        lost = (logits[index] > 0) & (owner[window] != index)
        logits[index] = torch.where(lost, logits[index].clamp(max=LOST_LOGIT), logits[index])


def _window(
    start: NDArray[np.int64], stop: NDArray[np.int64], box: NDArray[np.int64]
) -> tuple[slice, slice]:
    (y0, x0), (y1, x1) = start - box[:2], stop - box[:2]
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))


def _small_patches(masks: NDArray[np.bool_], max_area: int) -> NDArray[np.bool_]:
    """Return the pixels of small 8-connected patches in masks (..., h, w)."""
    flat = masks.reshape(-1, *masks.shape[-2:])
    # One labelling for all masks: neighbours within a mask only.
    neighbours = np.zeros((3, 3, 3), bool)
    neighbours[1] = True
    labels, count = ndimage.label(flat, neighbours)
    is_small = np.bincount(labels.ravel(), minlength=count + 1) <= max_area
    is_small[0] = False
    found: NDArray[np.bool_] = is_small[labels].reshape(masks.shape)
    return found
