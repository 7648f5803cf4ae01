"""Folders of the Cell Tracking Challenge, written here as the Challenge writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2.io.challenge import find_challenge_folder, read_challenge
from napari_sam2.training.synthetic import dividing_cells


def write_folder(root: Path, labels: np.ndarray, lineage: dict[int, int], *, truth: bool) -> Path:
    """Write label images and their table; return the folder that a user chooses."""
    folder = root / ("01_GT/TRA" if truth else "01_RES")
    folder.mkdir(parents=True)
    for frame, image in enumerate(labels):
        tifffile.imwrite(
            folder / f"{'man_track' if truth else 'mask'}{frame:03d}.tif",
            image,
            photometric="minisblack",
        )
    lines = []
    for label in np.unique(labels[labels > 0]):
        frames = np.flatnonzero((labels == label).reshape(len(labels), -1).any(1))
        lines.append(f"{label} {frames[0]} {frames[-1]} {lineage.get(int(label), 0)}")
    table = "man_track.txt" if truth else "res_track.txt"
    (folder / table).write_text("\n".join(lines) + "\n")
    return root / "01_GT" if truth else folder


@pytest.mark.parametrize("truth", [True, False])
def test_labels_and_lineage_come_back(tmp_path, truth):
    movie = dividing_cells(frames=12, shape=(96, 96), seed=1)
    assert movie.lineage
    folder = write_folder(tmp_path, movie.labels, movie.lineage, truth=truth)
    found = read_challenge(folder)
    np.testing.assert_array_equal(found.labels.compute(), movie.labels)
    assert found.parents == movie.lineage
    table = found.centres()
    assert len(table) == sum(len(np.unique(frame)) - 1 for frame in movie.labels)
    track, frame, y, x = table[0]
    ys, xs = np.nonzero(movie.labels[int(frame)] == track)
    np.testing.assert_allclose((y, x), (ys.mean(), xs.mean()))
    for label, (begin, end) in found.spans.items():
        assert set(table[table[:, 0] == label][:, 1].astype(int)) <= set(range(begin, end + 1))


def test_volumes_have_depth(tmp_path):
    labels = np.zeros((2, 4, 8, 8), np.uint16)
    labels[:, 1:3, 2:6, 2:4] = 7
    found = read_challenge(write_folder(tmp_path, labels, {}, truth=False))
    assert found.labels.shape == labels.shape
    np.testing.assert_allclose(found.centres(), [(7, 0, 1.5, 3.5, 2.5), (7, 1, 1.5, 3.5, 2.5)])


def test_what_is_no_such_folder_says_so(tmp_path):
    assert find_challenge_folder(tmp_path) is None
    with pytest.raises(FileNotFoundError, match=r"neither res_track.txt nor man_track.txt"):
        read_challenge(tmp_path)
    (tmp_path / "res_track.txt").write_text("1 0 4 0\n")
    with pytest.raises(FileNotFoundError, match="no label images"):
        read_challenge(tmp_path)
    tifffile.imwrite(tmp_path / "mask000.tif", np.zeros((8, 8), np.uint16))
    tifffile.imwrite(tmp_path / "mask001.tif", np.zeros((9, 8), np.uint16))
    with pytest.raises(ValueError, match=r"shape \(9, 8\)"):
        read_challenge(tmp_path).centres()
    (tmp_path / "res_track.txt").write_text("1 0 4 0\n2 one 4 0\n")
    with pytest.raises(ValueError, match=r"line 2: '2 one 4 0' is not label, begin"):
        read_challenge(tmp_path)
