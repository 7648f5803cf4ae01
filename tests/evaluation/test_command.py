"""The command line of the evaluation."""

from __future__ import annotations

import json

import tifffile
import typer
from typer.testing import CliRunner

from napari_sam2.evaluation.__main__ import evaluate

app = typer.Typer()
app.command()(evaluate)


def test_bundled_network_is_measured_on_a_movie(tmp_path, moving_disks):
    movie = moving_disks(frames=5)
    folder = tmp_path / "disks"
    folder.mkdir()
    tifffile.imwrite(folder / "disks_images.tif", movie.images)
    tifffile.imwrite(folder / "disks_labels.tif", movie.labels)
    (folder / "info.json").write_text(json.dumps({"labelled_frame_indices": [0, 1, 2, 3, 4]}))
    out = tmp_path / "results.json"
    wanted = ["--objects-per-set", "3", "--masklets-per-set", "3", "--frames", "3"]
    result = CliRunner().invoke(
        app,
        ["--data", str(tmp_path), "--sets", "disks", "--device", "cpu", *wanted, "--out", str(out)],
    )
    assert result.exit_code == 0, result.output
    assert "| 3 frames from a mask: IoU (lost) | disks (n = 3) |" in result.output
    cells = {(c["protocol"], c["method"]): c for c in json.loads(out.read_text())["summaries"]}
    # Bright disks on a dark ground: a network that does not find these finds nothing.
    assert cells["1 click", "network"]["iou"] > 0.7
    assert cells["3 frames from a mask", "network"]["iou"] > 0.7


def test_absent_data_is_named_with_the_remedy(tmp_path):
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--sets", "nowhere"])
    assert result.exit_code == 2
    assert "nowhere is not there" in result.output
    assert "--data" in result.output


def test_unknown_truth_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--truth", "silver"])
    assert result.exit_code == 2
    assert "choose labels or gold" in result.output.replace("\n", " ")
