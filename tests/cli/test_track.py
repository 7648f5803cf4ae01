"""``napari-sam2 track``, from files to files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import zarr
from tests import dividing_cell, jumping_stage

from napari_sam2 import __version__
from napari_sam2.io.prompts_file import read_prompts
from napari_sam2.io.tracks import read_tracks
from napari_sam2.prompts import BoxPrompt, PointPrompt

POINTS = ("--point", "0,20,20", "--point", "2,45,48")


def test_points_become_labels_and_tracks(command, tmp_path, movie_path, movie, weights):
    out = tmp_path / "out"
    done = command("track", movie_path, *POINTS, "--out", out, "--model", weights)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    assert labels.shape == movie.shape
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert np.array_equal(zarr.open_array(out / "labels.zarr", mode="r")[:], labels)
    assert read_prompts(out / "prompts.json") == [
        PointPrompt(1, 0, (20.0, 20.0)),
        PointPrompt(2, 2, (45.0, 48.0)),
    ]
    tracks = read_tracks(out / "tracks.csv")
    shown = {(int(i), int(t)) for i, t in tracks.table[:, :2]}
    drawn = {(int(i), t) for t in range(5) for i in np.unique(labels[t]) if i}
    assert drawn <= shown
    for name in ("labels.tif", "labels.zarr", "tracks.csv", "prompts.json", "run.json"):
        assert str(out / name) in done.out


def test_the_run_is_noted(command, tmp_path, movie_path, weights):
    out = tmp_path / "out"
    options = ("--low", 150, "--frames", "1:3", "--direction", "backward")
    done = command("track", movie_path, *POINTS[2:], "--out", out, "--model", weights, *options)
    assert done.status == 0, done.err
    note = json.loads((out / "run.json").read_text())
    assert note["napari_sam2"] == __version__
    assert note["model"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert note["movie"] == str(movie_path)
    assert note["shape"] == [5, 64, 72]
    assert note["intensities"]["low"] == [150.0]
    assert note["propagate"]["direction"] == "backward"
    assert (note["propagate"]["start"], note["propagate"]["stop"]) == (1, 3)
    assert note["is_complete"]
    assert note["results"] == 2
    assert note["seconds_per_frame"] > 0
    assert "CPU" in note["runtime"]


def test_prompts_from_a_file_join_those_of_the_line(command, tmp_path, movie_path, weights):
    (tmp_path / "p.csv").write_text("object_id,t,y,x,y1,x1\n1,0,11,11,29,29\n")
    out = tmp_path / "out"
    options = ("--prompts", tmp_path / "p.csv", "--point", "0,45,50", "--direction", "forward")
    done = command("track", movie_path, *options, "--out", out, "--model", weights)
    assert done.status == 0, done.err
    assert read_prompts(out / "prompts.json") == [
        BoxPrompt(1, 0, (11.0, 11.0, 29.0, 29.0)),
        PointPrompt(2, 0, (45.0, 50.0)),
    ]


def test_a_mask_is_kept_to_the_pixel_on_its_frame(command, tmp_path, movie_path, movie, weights):
    mask = (movie[0] > 600).astype(np.uint16)
    mask[:, 36:] *= 2
    tifffile.imwrite(tmp_path / "first.tif", mask)
    out = tmp_path / "out"
    done = command(
        "track", movie_path, "--prompts", tmp_path / "first.tif", "--out", out, "--model", weights
    )
    assert done.status == 0, done.err
    assert np.array_equal(tifffile.imread(out / "labels.tif")[0], mask)


@pytest.mark.parametrize("kind", ["constant", "nan", "rgb"])
def test_odd_movies_simply_work(command, tmp_path, movie, weights, kind):
    frames = {
        "constant": np.full((3, 64, 72), 7, np.uint8),
        "nan": np.where(movie[:3] > 900, np.nan, movie[:3]).astype(np.float32),
        "rgb": np.stack([movie[:3] // 8] * 3, axis=-1).astype(np.uint8),
    }[kind]
    np.save(tmp_path / "movie.npy", frames)
    out = tmp_path / "out"
    done = command(
        "track", tmp_path / "movie.npy", "--point", "0,20,20", "--out", out, "--model", weights
    )
    assert done.status == 0, done.err
    assert tifffile.imread(out / "labels.tif").shape == (3, 64, 72)


def test_results_are_not_overwritten_unless_asked(command, tmp_path, movie_path, weights):
    out = tmp_path / "out"
    out.mkdir()
    (out / "tracks.csv").write_text("older")
    line = ("track", movie_path, "--point", "4,20,20", "--out", out, "--model", weights)
    done = command(*line)
    assert done.status == 2
    assert "tracks.csv exists" in done.err
    assert (out / "tracks.csv").read_text() == "older"
    assert sorted(path.name for path in out.iterdir()) == ["tracks.csv"]
    assert command(*line, "--overwrite").status == 0
    assert (out / "tracks.csv").read_text() != "older"


def spoilt(tmp_path, movie_path, weights, kind):
    """Return what to change on a good command line, and what the error has to name."""
    cut = tmp_path / "cut.tif"
    cut.write_bytes(movie_path.read_bytes()[:5000])
    (tmp_path / "text.tif").write_text("not a picture")
    (tmp_path / "empty.tif").touch()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:100_000])
    np.save(tmp_path / "complex.npy", np.zeros((2, 20, 20), complex))
    return {
        "missing movie": ({"movie": tmp_path / "none.tif"}, "none.tif does not exist"),
        "truncated movie": ({"movie": cut}, "cut.tif is truncated"),
        "text": ({"movie": tmp_path / "text.tif"}, "text.tif is no TIFF"),
        "empty": ({"movie": tmp_path / "empty.tif"}, "empty.tif is empty"),
        "complex": ({"movie": tmp_path / "complex.npy"}, "complex128"),
        "axes": ({"--axes": "TCYX"}, "TCYX"),
        "channels": ({"--channels": "5"}, "5"),
        "frames": ({"--frames": "3:99"}, "99"),
        "range": ({"--frames": "x"}, "--frames 'x'"),
        "point outside": ({"--point": "0,900,20"}, "900"),
        "frame outside": ({"--point": "7,20,20"}, "frame 7"),
        "no point": ({"--point": "here"}, "--point 'here'"),
        "limits": ({"--low": 500, "--high": 100}, "500"),
        "unknown model": ({"--model": "sam3"}, "sam3"),
        "missing model": ({"--model": tmp_path / "no.pt"}, "no.pt"),
        "truncated model": ({"--model": broken}, "broken.safetensors"),
        "device": ({"--device": "cuda:77"}, "cuda:77"),
        "dtype": ({"--dtype": "float8"}, "float8"),
        "prompts": ({"--prompts": tmp_path / "none.json"}, "none.json"),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "missing movie", "truncated movie", "text", "empty", "complex", "axes", "channels",
        "frames", "range", "point outside", "frame outside", "no point", "limits",
        "unknown model", "missing model", "truncated model", "device", "dtype", "prompts",
    ],
)  # fmt: skip
def test_bad_input_is_one_line_that_names_it(command, tmp_path, movie_path, weights, kind):
    changes, expected = spoilt(tmp_path, movie_path, weights, kind)
    options = {"--point": "0,20,20", "--model": weights, "--out": tmp_path / "out"}
    movie = changes.pop("movie", movie_path)
    line = [part for pair in {**options, **changes}.items() for part in pair]
    done = command("track", movie, *line)
    assert done.status == 2
    message = done.err.strip().splitlines()[-1]
    assert message.startswith("napari-sam2: error: ")
    assert expected in message
    assert "Traceback" not in done.err
    assert not (tmp_path / "out" / "labels.zarr").exists()


def test_no_prompt_is_refused(command, tmp_path, movie_path, weights):
    done = command("track", movie_path, "--out", tmp_path / "out", "--model", weights)
    assert done.status == 2
    assert "--point T,Y,X" in done.err


def test_an_interrupt_keeps_what_is_done(tmp_path, movie, weights):
    long = np.concatenate([movie, movie[::-1]] * 200)
    np.save(tmp_path / "long.npy", long)
    out = tmp_path / "out"
    line = ["track", tmp_path / "long.npy", "--out", out, "--model", weights]
    line += ["--point", "0,20,20", "--direction", "forward"]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_sam2", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for_frame(out / "labels.zarr", process)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "stopping after this frame" in errors
    assert "are kept" in printed
    assert "Traceback" not in errors
    note = json.loads((out / "run.json").read_text())
    assert not note["is_complete"]
    assert 1 <= note["results"] < len(long)
    labels = tifffile.imread(out / "labels.tif")
    kept = zarr.open_array(out / "labels.zarr", mode="r")
    assert kept.nchunks_initialized >= note["results"]
    assert np.array_equal(kept[:], labels)
    assert len(read_tracks(out / "tracks.csv")) == sum(frame.any() for frame in labels)


def wait_for_frame(path, process):
    """Wait until the first frame is on disk."""
    for _ in range(1200):
        if (path / "zarr.json").exists() and any((path / "c").glob("*/*/*")):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    pytest.fail("no frame was written")


def test_a_full_disk_is_one_line(tmp_path, movie_path, weights):
    out = tmp_path / "out"
    limit = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20));"
        "sys.argv[0] = 'napari-sam2'; from napari_sam2.cli import main; main()"
    )
    line = ["track", movie_path, "--out", out, "--model", weights, "--point", "0,20,20"]
    done = subprocess.run(
        [sys.executable, "-c", limit, *map(str, line)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2
    assert "no space to write" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(("along", "planes"), [("time", {(0, 1), (1, 1)}), ("both", None)])
def test_a_movie_of_stacks_is_tracked_with_one_id(command, tmp_path, along, planes):
    z, y, x = np.indices((5, 48, 48))
    ball = (5 * (z - 2)) ** 2 + (y - 20) ** 2 + (x - 24) ** 2 < 90
    stacks = np.random.default_rng(0).normal(200, 12, (2, 5, 48, 48)) + 800 * ball
    path, out = tmp_path / "stacks.ome.tif", tmp_path / "out"
    tifffile.imwrite(path, stacks.astype(np.uint16), metadata={"axes": "TZYX"})
    z_clicked = 1 if planes else 2
    point = f"0,{z_clicked},20,24"
    done = command("track", path, "--point", point, "--out", out, "--along", along)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    assert labels.shape == stacks.shape
    assert np.array_equal(zarr.open_array(out / "labels.zarr", mode="r")[:], labels)
    found = {(int(t), int(k)) for t, k in np.argwhere((labels == 1).any(axis=(2, 3)))}
    if planes:
        assert found == planes
    else:
        overlap = ((labels == 1) & ball).sum() / ((labels == 1) | ball).sum()
        assert overlap > 0.6
        np.testing.assert_allclose(
            read_tracks(out / "tracks.csv").table, [[1, 0, 2, 20, 24], [1, 1, 2, 20, 24]], atol=1
        )
    assert json.loads((out / "run.json").read_text())["shape"] == [2, 5, 48, 48]


def test_a_point_outside_the_stacks_is_refused(command, tmp_path):
    path = tmp_path / "stacks.ome.tif"
    tifffile.imwrite(path, np.zeros((2, 5, 48, 48), np.uint16), metadata={"axes": "TZYX"})
    done = command("track", path, "--point", "0,5,20,24", "--out", tmp_path / "out")
    assert done.status == 2
    assert "Z 0 to 4" in done.err


def test_objects_are_found_without_a_prompt(command, tmp_path, movie_path, movie):
    out = tmp_path / "out"
    options = ("--auto", "--diameter", 10, "--every", 4, "--set", "least_frames=2")
    done = command("track", movie_path, *options, "--out", out)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    for t in range(5):
        first, second = labels[t, 20 + t, 20], labels[t, 45, 50 - t]
        assert 0 < first != second > 0
        assert (first, second) == (labels[0, 20, 20], labels[0, 45, 50])
    found = read_prompts(out / "prompts.json")
    assert {one.object_id for one in found} == set(np.unique(labels)) - {0}
    note = json.loads((out / "run.json").read_text())
    assert note["search"]["diameter"] == 10.0
    assert (note["search"]["every"], note["search"]["least_frames"]) == (4, 2)


def test_options_of_a_search_are_refused_by_name(command, tmp_path, movie_path):
    out = ("--out", tmp_path / "out")
    for options, words in (
        (("--diameter", 10), "add --auto"),
        (("--auto", "--set", "most_cells=3"), "no option 'most_cells'"),
        (("--auto", "--set", "least_iou=2"), "least_iou is 2.0"),
        (("--auto", "--set", "every=two"), "every is 'two': give a whole number"),
        (("--auto", "--set", "every"), "write name=value"),
    ):
        done = command("track", movie_path, *options, *out)
        assert done.status == 2
        assert words in done.err
    assert not (tmp_path / "out").exists()


def test_a_cell_that_has_divided_ends_unless_it_is_to_be_followed(command, tmp_path):
    tifffile.imwrite(tmp_path / "cell.tif", dividing_cell.movie(), metadata={"axes": "TYX"})
    given = ("track", tmp_path / "cell.tif", "--point", "0,64,64")
    areas = {}
    for divided in ("auto", "follow"):
        out = tmp_path / divided
        done = command(*given, "--out", out, "--divided", divided)
        assert done.status == 0, done.err
        areas[divided] = np.count_nonzero(tifffile.imread(out / "labels.tif"), axis=(1, 2))
    born = dividing_cell.DIVIDES
    assert (areas["auto"][:born] == areas["follow"][:born]).all()
    assert areas["auto"][born - 1] > 0
    assert not areas["auto"][born:].any()
    assert (areas["follow"][born:] > 0).all()


def test_daughters_of_a_cell_that_has_divided_are_taken_on(command, tmp_path):
    tifffile.imwrite(tmp_path / "cell.tif", dividing_cell.movie(), metadata={"axes": "TYX"})
    out, born = tmp_path / "out", dividing_cell.DIVIDES
    given = ("track", tmp_path / "cell.tif", "--point", "0,64,64", "--divided", "daughters")
    done = command(*given, "--out", out)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    assert set(np.unique(labels[:born])) == {0, 1}
    assert all({int(one[64, 79]), int(one[64, 49])} == {2, 3} for one in labels[born:])
    prompts = read_prompts(out / "prompts.json")
    # A click on each and one on her sister, on two frames.
    clicks = [(one, t) for t in (born, born + 1) for one in (2, 2, 3, 3)]
    assert [(one.object_id, one.frame) for one in prompts] == [(1, 0), *clicks]
    assert read_tracks(out / "tracks.csv").graph == {2: [1], 3: [1]}
    refused = command(*given, "--auto", "--out", tmp_path / "other")
    assert refused.status == 2
    assert "leave --divided out" in refused.err


def test_a_cell_is_followed_over_a_jump_of_the_stage_unless_motion_is_off(command, tmp_path):
    images, masks = jumping_stage.jumping()
    tifffile.imwrite(tmp_path / "cells.tif", images, metadata={"axes": "TYX"})
    y, x = (int(places.mean()) for places in np.nonzero(masks[0]))
    found = {}
    for motion in ("auto", "off"):
        out = tmp_path / motion
        given = ("track", tmp_path / "cells.tif", "--point", f"0,{y},{x}", "--out", out)
        done = command(*given, "--motion", motion)
        assert done.status == 0, done.err
        found[motion] = tifffile.imread(out / "labels.tif")[-1] > 0
    assert (found["auto"] & masks[-1]).sum() > 0.8 * masks[-1].sum()
    assert not (found["off"] & masks[-1]).any()
