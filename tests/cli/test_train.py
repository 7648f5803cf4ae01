"""``napari-sam2 train``: from a file that names data to a network in the list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

CONFIG = """
[[data]]
images = "movie.tif"
labels = "labels.tif"

[options]
name = "disks"
minutes = 0
steps = 2
stills_a_step = 1
frames_a_step = 2
objects_a_window = 1
validations = 1
device = "cpu"
"""


@pytest.fixture
def config(tmp_path, monkeypatch, movie) -> Path:
    """Data and options in a folder; networks go to another."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    y, x = np.indices(movie.shape[1:])
    labels = np.zeros(movie.shape, np.uint8)
    for t in range(len(movie)):
        labels[t][(y - 20 - t) ** 2 + (x - 20) ** 2 < 80] = 1
        labels[t][(y - 45) ** 2 + (x - 50 + t) ** 2 < 80] = 2
    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="minisblack")
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    path = tmp_path / "cells.toml"
    path.write_text(CONFIG)
    return path


def test_an_example_is_printed(command):
    done = command("train", "--example")
    assert done.status == 0
    assert "[[data]]" in done.out
    assert 'learn = "decoder"' in done.out


def test_from_data_to_a_network_that_tracks(command, config, tmp_path):
    done = command("train", config)
    assert done.status == 0, done.err
    assert "learns from movie (beginning): 4 annotated frames with 8 masks" in done.out
    assert "| one click |" in done.out
    listed = command("models", "list").out
    line = next(line for line in listed.splitlines() if line.startswith("disks "))
    assert "trained here: " in line
    assert (tmp_path / "models" / "trained" / "disks.md").is_file()
    tracked = command(
        "track", tmp_path / "movie.tif", "--model", "disks", "--point", "0,20,20",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert tracked.status == 0, tracked.err
    assert command("models", "check", "disks").status == 0
    # What is there is not replaced unasked.
    again = command("train", config)
    assert again.status == 2
    assert "disks.safetensors exists" in again.err


def test_checking_trains_nothing(command, config, tmp_path):
    done = command("train", config, "--check")
    assert done.status == 0
    assert "nothing was trained" in done.out
    assert not list((tmp_path / "models").rglob("*.safetensors"))


def test_an_older_run_is_gone_on_with_or_replaced(command, config, tmp_path):
    run = tmp_path / "cells_run"
    run.mkdir()
    (run / "checkpoint.pt").write_bytes(b"something")
    done = command("train", config)
    assert done.status == 2
    assert "--resume goes on with it" in done.err
    damaged = command("train", config, "--resume")
    assert damaged.status == 2
    assert "is damaged" in damaged.err
    assert (run / "checkpoint.pt").read_bytes() == b"something"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("steps = 2", "steps = 2\nstep = 3"), "'step'; known are"),
        (("labels.tif", "none.tif"), "none.tif"),
        (('name = "disks"', 'name = "bundled"'), "published network"),
        (('device = "cpu"', 'device = "tpu"'), "unknown device 'tpu'"),
        (('name = "disks"', 'name = "disks"\nstart = "sam9"'), "no network 'sam9'"),
    ],
)
def test_what_is_wrong_is_one_line(command, config, change, message):
    config.write_text(CONFIG.replace(*change))
    done = command("train", config)
    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_without_a_file_there_is_a_remedy(command, tmp_path):
    assert "--example" in command("train").err
    assert "--example" in command("train", tmp_path / "none.toml").err
