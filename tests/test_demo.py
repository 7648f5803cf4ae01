"""The demonstration: where its clicks and its numbers come from, and the whole of it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile
from skimage.io import imread

from napari_sam2.cli import main
from napari_sam2.demo import clicks_on_truth, measure, propose_clicks, synthetic_movie
from napari_sam2.masklets import MaskletSet


def test_each_true_object_gets_one_click_inside_it(tmp_path):
    truth = synthetic_movie(tmp_path).truth
    assert truth is not None
    assert np.array_equal(tifffile.imread(tmp_path / "truth.tif"), truth)
    clicks = clicks_on_truth(truth)
    assert [click.object_id for click in clicks] == list(range(1, int(truth.max()) + 1))
    for click in clicks:
        y, x = map(int, click.yx)
        assert truth[click.frame, y, x] == click.object_id
        shown = np.flatnonzero((truth == click.object_id).any(axis=(1, 2)))
        assert click.frame <= shown[len(shown) // 2]


def test_thresholding_proposes_the_cells_of_a_frame(movie):
    clicks, found = propose_clicks(movie[0], limit=10)
    assert found == 2
    assert [click.object_id for click in clicks] == [1, 2]
    assert np.allclose([click.yx for click in clicks], [(20, 20), (45, 50)], atol=2)
    fewer, found = propose_clicks(movie[0], limit=1)
    assert (len(fewer), found) == (1, 2)


def test_a_frame_without_cells_says_what_to_do():
    with pytest.raises(ValueError, match="--point"):
        propose_clicks(np.zeros((40, 40)), limit=5)


def squares():
    truth = np.zeros((6, 30, 30), np.uint16)
    truth[:, 2:12, 2:12] = 1
    truth[2:5, 15:25, 15:25] = 2
    return truth


def test_the_truth_itself_is_perfect():
    accuracy = measure(MaskletSet.from_labels(squares()), squares())
    assert (accuracy.mean_iou, accuracy.lost, accuracy.outlived) == (1.0, (), ())
    assert accuracy.objects == 2


def test_objects_that_are_lost_or_outlive_their_truth_are_listed():
    drawn = squares()
    drawn[4:, 2:12, 2:12] = 0
    drawn[5, 15:25, 15:25] = 2
    accuracy = measure(MaskletSet.from_labels(drawn), squares())
    assert accuracy.lost == (1,)
    assert accuracy.outlived == (2,)
    assert accuracy.mean_iou == pytest.approx((4 / 6 + 1) / 2)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["napari-sam2", "demo", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_a_movie_of_ones_own(monkeypatch, capsys, tmp_path, movie, weights):
    np.save(tmp_path / "movie.npy", movie)
    out = tmp_path / "out"
    status = run(
        monkeypatch, tmp_path / "movie.npy", "--out", out, "--model", weights, "--no-viewer"
    )
    printed = capsys.readouterr().out
    assert status in (0, None)
    assert "proposes 2 cells" in printed
    assert "accuracy" not in printed
    assert imread(out / "contact_sheet.png").ndim == 3
    for name in ("labels.tif", "tracks.csv", "contact_sheet.png", "run.json"):
        assert (out / name).is_file()
        assert str(out / name) in printed
