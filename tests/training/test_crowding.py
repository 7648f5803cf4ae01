"""Frames that cells are pasted into: what was annotated stays, and what is new is like it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam2.training.crowding import crowd
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.finetune_data import SparseClips

SHAPE = (96, 120)
PLACES = {1: (30, 30), 2: (62, 80), 3: (50, 0)}  # the last one is cut by the border


def frame(dtype: type, channels: int = 0) -> tuple[NDArray, NDArray[np.uint16]]:
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    labels = np.zeros(SHAPE, np.uint16)
    image = np.full(SHAPE, 20.0)
    for number, (row, column) in PLACES.items():
        inside = (y - row) ** 2 + (x - column) ** 2 < 9**2
        labels[inside] = number
        image[inside] = 60 + 40 * number
    if channels:
        image = np.stack([image] * channels, -1)
    return image.astype(dtype), labels


def table_of(labels: NDArray[np.uint16]):
    return LabelledMovie("", labels[None], labels[None]).objects(0)


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 0), (np.float32, 0), (np.uint16, 3)])
def test_whole_cells_are_pasted_beside_others_and_masks_that_were_there_stay(
    dtype: type, channels: int
) -> None:
    image, labels = frame(dtype, channels)
    kept = image.copy(), labels.copy()
    pasted = 0
    for seed in range(20):
        crowded, numbers, new = crowd(image, labels, table_of(labels), np.random.default_rng(seed))
        assert (image == kept[0]).all()
        assert (labels == kept[1]).all()
        assert crowded.dtype == dtype
        for number in PLACES:
            assert (numbers[labels == number] == number).all()
            assert (crowded[labels == number] == image[labels == number]).all()
        assert set(np.unique(numbers)) == {0, *PLACES, *new}
        whole = int((labels == 1).sum())
        for number in new:
            inside = numbers == number
            # Seen for the most part, and as bright as one of the two whole cells, within a fourth.
            assert 0.6 * whole - 1 <= inside.sum() <= whole + 1
            level = float(np.median(crowded[inside]))
            sources = [20 + (60 + 40 * number - 20) * np.array([0.8, 1.25]) for number in (1, 2)]
            assert any(low - 1 <= level <= high + 1 for low, high in sources)
        pasted += len(new)
    assert pasted > 20


def test_the_same_seed_pastes_the_same_and_nothing_comes_of_nothing() -> None:
    image, labels = frame(np.uint8)
    one, other = (
        crowd(image, labels, table_of(labels), np.random.default_rng(5)) for _ in range(2)
    )
    assert one[2] == other[2]
    assert (one[0] == other[0]).all()
    alone = np.where(labels == 3, labels, 0)
    crowded, numbers, new = crowd(image, alone, table_of(alone), np.random.default_rng(0))
    assert new == []
    assert (crowded == image).all()
    assert (numbers == alone).all()


def test_clips_of_one_frame_show_more_cells_than_were_annotated() -> None:
    image, labels = frame(np.uint8)
    movie = LabelledMovie("a", image[None], labels[None], eligible=frozenset(PLACES))
    clips, rng = SparseClips([movie]), np.random.default_rng(0)
    counts = [len({m.numpy().tobytes() for m in clips.clip(rng, 2, 6).masks[0]}) for _ in range(30)]
    assert max(counts) > len(PLACES)
    sections = LabelledMovie("b", image[None], labels[None], traced=True)
    clips, rng = SparseClips([sections]), np.random.default_rng(0)
    counts = [len({m.numpy().tobytes() for m in clips.clip(rng, 2, 6).masks[0]}) for _ in range(30)]
    assert max(counts) <= len(PLACES), "profiles of bodies fill their section: none is pasted"
