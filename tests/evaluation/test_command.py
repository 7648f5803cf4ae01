"""``napari-sam2 evaluate``: the bundled network through everything, on a movie that is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_sam2.cli.app import app
from napari_sam2.cli.evaluation_sets import SYNTHETIC_SEED, find_sets
from napari_sam2.evaluation.report import MARKERS, read_results
from napari_sam2.training.synthetic.movie import KINDS


def run(*words):
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measure the bundled network on a movie of disks, one of which divides."""
    from tests.evaluation.conftest import _dividing_disk

    movie = _dividing_disk(frames=9, division=4)
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    folder = data / "disks"
    folder.mkdir()
    tifffile.imwrite(folder / "disks_images.tif", movie.images)
    tifffile.imwrite(folder / "disks_labels.tif", movie.labels)
    rows = [f"{i} {a} {b} {movie.mothers.get(i, 0)}" for i, (a, b) in movie.lifetimes.items()]
    (folder / "man_track.txt").write_text("\n".join(rows))
    info = {"labelled_frame_indices": list(range(9))}
    (folder / "info.json").write_text(json.dumps(info))
    words = ["--data", data, "--sets", "disks", "--device", "cpu", "--quick", "--limit", 2]
    words += ["--out", out]
    return data, out, words, run(*words)


def test_bundled_network_is_measured_by_every_protocol(measured):
    _, out, _, result = measured
    assert result.exit_code == 0, result.output
    facts, (found,) = read_results(out / "evaluation.json")
    assert facts["seed"] == 0
    assert facts["dtype"] == "float32"
    content = json.loads((out / "evaluation.json").read_text())
    cells = {(c["protocol"], c["method"]): c for c in content["summaries"]}
    # Bright disks on a dark ground: a network that does not find these finds nothing.
    assert cells["1 click", "network"]["iou"] > 0.6
    network = next(score for score in found.challenge if score.method == "network")
    assert network.seg > 0.5
    assert network.det > 0.8
    assert {curve["protocol"] for curve in content["curves"]} == {"offline", "online"}
    report = (out / "report.md").read_text()
    assert "| 1 click: J | network |" in report
    assert "### Corrections" in report
    for picture in ("plots/corrections.png", "plots/calibration.png", "plots/over_time.png"):
        assert (out / picture).stat().st_size > 5000
    assert list((out / "strips").glob("disks_*.png"))


def test_a_finished_set_is_not_measured_again(measured):
    _, out, words, first = measured
    before = (out / "sets" / "disks.json").read_bytes()
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "disks: measured before" in result.output
    assert "measured before" not in first.output
    assert (out / "sets" / "disks.json").read_bytes() == before


def test_processes_beside_one_another_measure_the_same(measured, tmp_path):
    data, out, _, _ = measured
    words = ["--data", data, "--sets", "disks", "--device", "cpu", "--quick", "--limit", 2]
    result = run(*words, "--protocols", "prompts", "--jobs", 2, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    (alone,), (beside,) = (
        read_results(folder / "evaluation.json")[1] for folder in (out, tmp_path)
    )
    ious = {(s.method, s.protocol, s.object_id, s.frame): s.iou for s in alone.scores}
    assert beside.scores
    for score in beside.scores:
        key = (score.method, score.protocol, score.object_id, score.frame)
        assert score.iou == pytest.approx(ious[key])


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups to look at")
def test_a_killed_command_leaves_no_process_behind(measured, tmp_path):
    data, _, _, _ = measured
    words = ["--data", data, "--sets", "disks", "--device", "cpu", "--jobs", 2, "--out", tmp_path]
    command = [sys.executable, "-m", "napari_sam2", "evaluate", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        # Said by the process that measures the set.
        assert any("prompts on single frames" in line for line in process.stdout)
        process.kill()
        try:
            # Ends when nobody holds the other end of the pipe any more.
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("processes of a killed command went on")


def test_tables_are_written_between_the_markers_of_a_page(measured, tmp_path):
    _, out, _, _ = measured
    page = tmp_path / "evaluation.md"
    page.write_text(f"# Head\n\n{MARKERS[0]}\nold\n{MARKERS[1]}\n\nTail\n")
    results = out / "evaluation.json"
    words = ["--results", results, "--out", tmp_path / "out", "--write-docs", page]
    result = run(*words)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.startswith("# Head")
    assert text.endswith("Tail\n")
    assert "old" not in text
    assert "### Whole movies" in text
    assert (tmp_path / "images" / "evaluation" / "corrections.png").is_file()
    bare = tmp_path / "bare.md"
    bare.write_text("no markers")
    assert "no <!-- measured: begin -->" in str(run(*words[:-1], bare).exception)


def refused(*words):
    """Run the real command and return what it says on stderr."""
    code = "from napari_sam2.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    return " ".join(done.stderr.split())


def test_absent_data_is_named_with_the_remedy(tmp_path):
    said = refused("--data", tmp_path, "--sets", "nowhere", "--out", tmp_path / "out")
    assert "nowhere" in said
    assert "--data" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--protocols", "clicks"), "choose of prompts,masklets"),
        (("--truth", "silver"), "choose labels or gold"),
        (("--sets", "synthetic-fungi"), "kinds are nuclei"),
    ],
)
def test_unknown_choices_are_refused(words, said, tmp_path):
    result = run("--data", tmp_path, *words)
    assert result.exit_code == 1
    assert said in str(result.exception)


def test_synthetic_kinds_are_those_of_the_generator(tmp_path):
    sets = find_sets(tmp_path, "synthetic", "labels")
    assert list(sets) == [f"synthetic-{kind}" for kind in KINDS]
    assert SYNTHETIC_SEED > 10_000_000  # from there training chooses among its networks


def test_more_synthetic_movies_are_measured_when_asked_for(tmp_path):
    words = ["--sets", "synthetic-rods", "--protocols", "masklets", "--quick", "--device", "cpu"]
    seen = {}
    for count in (1, 2):
        result = run(*words, "--movies", count, "--out", tmp_path)
        assert result.exit_code == 0, result.output
        assert "measured before" not in result.output
        _, (found,) = read_results(tmp_path / "evaluation.json")
        seen[count] = {score.movie for score in found.scores}
    assert seen[1] < seen[2]
    assert len(seen[2]) == 2


def test_sequences_and_stacks_are_read_by_path(tmp_path, dividing_disk):
    movie = dividing_disk()
    images, truth = tmp_path / "cells" / "01", tmp_path / "cells" / "01_GT"
    for folder in (images, truth / "TRA", truth / "SEG"):
        folder.mkdir(parents=True)
    for t in range(len(movie.images)):
        tifffile.imwrite(images / f"t{t:03d}.tif", movie.images[t])
        markers = np.where(np.arange(96)[:, None] % 2 == 0, movie.labels[t], 0)
        tifffile.imwrite(truth / "TRA" / f"man_track{t:03d}.tif", markers.astype(np.uint16))
    tifffile.imwrite(truth / "SEG" / "man_seg003.tif", movie.labels[3])
    tifffile.imwrite(truth / "SEG" / "man_seg005.tif", movie.labels[5])
    (truth / "TRA" / "man_track.txt").write_text("1 0 3 0\n2 4 8 1\n3 4 8 1\n4 0 8 0\n")
    (opened,) = find_sets(tmp_path, str(images), "labels").values()
    (sequence,) = opened().movies
    assert sequence.annotated == (3, 5)
    assert sequence.mothers == {2: 1, 3: 1}
    assert sequence.objects_on(5) == (2, 3, 4)

    stack = tmp_path / "stack"
    stack.mkdir()
    tifffile.imwrite(stack / "a_images.tif", movie.images)
    tifffile.imwrite(stack / "a_labels.tif", movie.labels)
    (opened,) = find_sets(tmp_path / "elsewhere", str(stack), "labels").values()
    (read,) = opened().movies
    assert read.complete
    assert len(read.annotated) == len(movie.images)
    (opened,) = find_sets(tmp_path / "elsewhere", str(stack / "a_labels.tif"), "labels").values()
    assert opened().movies[0].lifetimes == movie.lifetimes
    tifffile.imwrite(stack / "b.tif", movie.images[0])
    tifffile.imwrite(stack / "b_labels.tif", movie.labels[0])
    (opened,) = find_sets(tmp_path / "elsewhere", str(stack / "b_labels.tif"), "labels").values()
    assert opened().kind == "stills"
    (tmp_path / "empty").mkdir()
    (opened,) = find_sets(tmp_path / "elsewhere", str(tmp_path / "empty"), "labels").values()
    with pytest.raises(ValueError, match="no annotated set"):
        opened()
