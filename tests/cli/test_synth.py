"""``napari-sam2 synth``."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam2.training.synthetic.movie import KINDS, random_movie


def test_movie_labels_and_tracks_are_written(command, tmp_path):
    where = tmp_path / "phase.tif"
    options = ("--frames", 3, "--shape", "64,80", "--seed", 5, "--bits", 16)
    done = command("synth", "--kind", "phase", "--out", where, *options)
    assert done.status == 0
    made = random_movie(5, 3, (64, 80), "phase", 16)
    np.testing.assert_array_equal(tifffile.imread(where), made.images)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "phase_labels.tif"), made.labels)
    assert str(tmp_path / "phase_man_track.txt") in done.out
    assert "phase, seed 5: 3 frames of 64 x 80 pixels" in done.out


def test_files_are_replaced_only_when_that_is_asked_for(command, tmp_path):
    where = tmp_path / "movie.tif"
    options = ("--kind", "nuclei", "--out", where, "--frames", 1, "--shape", "48x48")
    assert command("synth", *options).status == 0
    first = where.read_bytes()
    refused = command("synth", *options, "--seed", 1)
    assert refused.status == 2
    assert "movie.tif exists" in refused.err
    assert where.read_bytes() == first
    assert command("synth", *options, "--seed", 1, "--overwrite").status == 0
    assert where.read_bytes() != first


def test_list_names_every_kind(command):
    done = command("synth", "--list")
    assert [line.split()[0] for line in done.out.splitlines()] == list(KINDS)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--kind", "blobs", "kind is 'blobs'"),
        ("--shape", "64", "not height,width"),
        ("--shape", "8,64", "at least 32 x 32"),
        ("--bits", "4", "8 to 16"),
        ("--frames", "0", "at least 1"),
        ("--out", "movie.png", "no TIFF"),
    ],
)
def test_bad_input_is_one_line(command, tmp_path, monkeypatch, option, value, said):
    monkeypatch.chdir(tmp_path)
    done = command("synth", option, value)
    assert done.status == 2
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert not list(tmp_path.rglob("*.tif"))
