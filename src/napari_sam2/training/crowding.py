"""Cells of a frame pasted beside others of it: a frame that is more crowded than any annotated one.

A few annotated frames show cells as far apart as they happen to lie there; later the same cells
touch, and one click has to tell them apart (Ghiasi et al., "Simple Copy-Paste is a Strong Data
Augmentation Method for Instance Segmentation", CVPR 2021). Pasted cells lie beneath those that
are there, whose masks stay as they were annotated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.datasets import ObjectTable

__all__ = ["crowd"]

#: Cells that are pasted, as a share of those that are there.
_SHARE = (0.3, 3.0)
#: Distance of the middles, in the mean diameter of both.
_DISTANCE = (0.75, 1.15)
#: Part of a pasted cell that has to be seen.
_SEEN = 0.6
#: Pixels of surroundings that come along, in diameters, fading out: halo and blur.
_HALO = 0.12
#: Brightness of a pasted cell, over that of where it comes from.
_BRIGHTER = 1.25


def crowd(
    image: NDArray[Any], labels: NDArray[Any], table: ObjectTable, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], list[int]]:
    """Paste cells of a frame beside others of it.

    Parameters
    ----------
    image : ndarray, (Y, X) or (Y, X, C)
    labels : ndarray of int, (Y, X)
    table : ObjectTable
        Objects that may be pasted.
    rng : numpy.random.Generator

    Returns
    -------
    image, labels : ndarray
        Copies of both.
    new : list of int
        Labels of what was pasted.
    """
    image, labels = image.copy(), labels.astype(np.int64)
    new: list[int] = []
    # Half a cell, cut by the border of the frame, is like no cell elsewhere.
    is_whole = (table.boxes[:, :2] > 0).all(1) & (table.boxes[:, 2:] < labels.shape).all(1)
    whole = table.pick(np.flatnonzero(is_whole))
    if not len(whole.ids):
        return image, labels, new
    share = float(np.exp(rng.uniform(*np.log(_SHARE))))
    boxes = list(table.boxes)
    for _ in range(max(1, round(len(table.ids) * share))):
        row, beside = int(rng.integers(len(whole.ids))), int(rng.integers(len(boxes)))
        pasted = _paste(image, labels, _cut(image, labels, whole, row), boxes[beside], rng)
        if pasted is not None:
            new.append(int(labels.max()))
            boxes.append(pasted)
    return image, labels, new


def _cut(
    image: NDArray[Any], labels: NDArray[Any], table: ObjectTable, row: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Return an object with its surroundings, its mask, and how much of each pixel comes along."""
    y0, x0, y1, x1 = (int(value) for value in table.boxes[row])
    reach = 1 + round(_HALO * max(y1 - y0, x1 - x0))
    window = np.s_[max(y0 - reach, 0) : y1 + reach, max(x0 - reach, 0) : x1 + reach]
    mask = labels[window] == table.ids[row]
    away = ndimage.distance_transform_edt(~mask)
    soft = np.clip(1 - away / reach, 0, 1).astype(np.float32)
    # What belongs to a neighbour stays with it.
    soft[(labels[window] != 0) & ~mask] = 0
    return image[window].astype(np.float32), mask, soft


def _paste(
    image: NDArray[Any],
    labels: NDArray[Any],
    cut: tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]],
    beside: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64] | None:
    """Lay a cut object, turned, beneath what lies beside a box; its box, None without room."""
    turns, is_flipped = int(rng.integers(4)), rng.random() < 0.5
    patch, mask, soft = (_turned(part, turns, is_flipped) for part in cut)
    extent = (np.array(mask.shape) + (beside[2:] - beside[:2])).mean() / 2
    angle, away = rng.uniform(0, 2 * np.pi), extent * rng.uniform(*_DISTANCE)
    middle = (beside[:2] + beside[2:]) / 2 + away * np.array([np.sin(angle), np.cos(angle)])
    start = np.round(middle - np.array(mask.shape) / 2).astype(int)
    low, high = np.maximum(start, 0), np.minimum(start + mask.shape, labels.shape)
    if (high - low < 2).any():
        return None
    there = np.s_[low[0] : high[0], low[1] : high[1]]
    inner = np.s_[low[0] - start[0] : high[0] - start[0], low[1] - start[1] : high[1] - start[1]]
    is_free = labels[there] == 0
    shown = mask[inner] & is_free
    if shown.sum() < max(_SEEN * mask.sum(), 12):
        return None
    weight = soft[inner] * is_free
    weight = weight.reshape(weight.shape + (1,) * (image.ndim - 2))
    ground = np.median(image[there][is_free], axis=0) if is_free.any() else 0.0
    brighter = np.exp(rng.uniform(-1, 1) * np.log(_BRIGHTER))
    laid = ground + brighter * (patch[inner] - ground)
    mixed = weight * laid + (1 - weight) * image[there]
    image[there] = _as_type(mixed, image.dtype)
    labels[there][shown] = labels.max() + 1
    return np.concatenate([low, high])


def _turned(part: NDArray[Any], turns: int, is_flipped: bool) -> NDArray[Any]:
    turned = np.rot90(part, turns)
    return turned[:, ::-1] if is_flipped else turned


def _as_type(values: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[Any]:
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return values.round().clip(limits.min, limits.max).astype(dtype)
    return values.astype(dtype)
