"""Readers of the annotated sets, and the split of the stills."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_sam2.training.datasets import (
    EM_BODY_VOXELS,
    EM_VALIDATION_SLICES,
    LabelledMovie,
    dsb2018_split,
    read_dsb2018,
    read_em_fibsem,
    read_embryo3d,
)


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """Twenty stills: ten pictures, each cut into a left and a right half."""
    folder = tmp_path / "dsb2018_nuclei"
    folder.mkdir()
    rng = np.random.default_rng(0)
    entries = []
    for picture in range(10):
        walk = np.cumsum(rng.normal(0, 3, (40, 81)), axis=0) + 128
        walk = np.clip(walk + np.cumsum(rng.normal(0, 0.2, (40, 81)), axis=1), 0, 255)
        for half, columns in enumerate((slice(0, 40), slice(40, 80))):
            number = 2 * picture + half
            labels = np.zeros((40, 40), np.uint16)
            labels[5:15, 5:15], labels[20:30, 20:30], labels[35, 35] = 1, 2, 3
            image = walk[:, columns].astype(np.uint8)
            image = np.stack([image] * 3, -1) if picture else image
            imsave(folder / f"{number:03d}_image.png", image, check_contrast=False)
            imsave(folder / f"{number:03d}_labels.png", labels, check_contrast=False)
            entries.append({"index": number, "kind": "fluo"})
    (folder / "info.json").write_text(json.dumps(entries))
    return folder


def test_split_is_complete_disjoint_and_keeps_pictures_together(stills: Path) -> None:
    split = dsb2018_split(stills)
    assert sorted(split["train"] + split["validation"]) == list(range(20))
    assert split["validation"]
    assert {number // 2 for number in split["train"]}.isdisjoint(
        number // 2 for number in split["validation"]
    )
    assert dsb2018_split(stills) == split


def test_stills_are_movies_of_one_frame_without_specks(stills: Path) -> None:
    movies = read_dsb2018(stills.parent, "train")
    assert {movie.images.shape for movie in movies} == {(1, 40, 40)}  # grey although stored as RGB
    table = movies[0].objects(0)
    assert table.ids.tolist() == [1, 2]
    assert table.boxes.tolist() == [[5, 5, 15, 15], [20, 20, 30, 30]]
    assert table.areas.tolist() == [100, 100]


def test_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="NAPARI_SAM2_DATA"):
        read_em_fibsem(tmp_path, "train")


def test_profiles_of_one_body_are_objects_of_their_own() -> None:
    labels = np.zeros((1, 30, 30), np.uint16)
    labels[0, 2:8, 2:8] = labels[0, 20:28, 20:28] = 4
    labels[0, 2:8, 8:12] = 5
    movie = LabelledMovie("x", labels, labels, frozenset({4}), traced=True)
    table = movie.objects(0)
    assert table.ids.tolist() == [4, 4]
    assert sorted(table.areas.tolist()) == [36, 64]
    assert table.part_map is not None
    assert table.parts is not None
    for part, area in zip(table.parts, table.areas, strict=True):
        assert (table.part_map == part).sum() == area


@pytest.mark.data
def test_real_stills_split_by_a_tenth_of_each_kind(data_folder: Path) -> None:
    folder = data_folder / "dsb2018_nuclei"
    kinds = {e["index"]: e["kind"] for e in json.loads((folder / "info.json").read_text())}
    split = dsb2018_split(folder)
    assert set(split["train"]) | set(split["validation"]) == set(kinds)
    assert not set(split["train"]) & set(split["validation"])
    for kind in ("fluo", "colour_HE"):
        total = sum(k == kind for k in kinds.values())
        kept = sum(kinds[number] == kind for number in split["validation"])
        assert 0.09 * total <= kept <= 0.2 * total


@pytest.mark.data
def test_small_bodies_of_the_em_stack_are_never_objects(data_folder: Path) -> None:
    movies = read_em_fibsem(data_folder, "train")
    kept_back = read_em_fibsem(data_folder, "validation")
    assert len(kept_back[0]) == EM_VALIDATION_SLICES
    assert len(movies[0]) + len(kept_back[0]) == 150
    whole = np.concatenate([movies[0].labels, kept_back[0].labels])
    sizes = np.bincount(whole.ravel())
    small = np.flatnonzero((sizes > 0) & (sizes <= EM_BODY_VOXELS))
    assert len(small) > 100
    for movie in movies:
        assert not np.isin(movie.objects(20).ids, small).any()
    # Along the other axes, too, the slices kept back stay out.
    assert movies[1].labels.shape == (250, 150 - EM_VALIDATION_SLICES, 250)


@pytest.mark.data
def test_embryo_labels_lie_on_bright_nuclei(data_folder: Path) -> None:
    (movie,) = read_embryo3d(data_folder)
    assert len(np.unique(movie.labels)) == 9
    assert movie.images[movie.labels > 0].mean() > 2 * movie.images[movie.labels == 0].mean()
