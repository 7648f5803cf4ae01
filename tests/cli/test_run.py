"""``napari-sam2 run``: sessions of the dock, finished without it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam2.editing import operations
from napari_sam2.editing.document import Document
from napari_sam2.io.session_file import MovieStamp, SessionFolder
from napari_sam2.io.tracks import read_tracks
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import MaskPrompt, PointPrompt


@pytest.fixture
def session(tmp_path, movie_path, movie):
    """Object 1 tracked on three frames, 2 accepted, 3 its daughter, 4 rejected."""
    document = Document(MaskletSet(movie.shape))
    square = np.zeros(movie.shape[1:], bool)
    square[10:20, 10:20] = True
    document.prompts.add(MaskPrompt(1, 0, square))
    for frame in range(3):
        document.masklets.write(1, frame, MaskRecord.from_mask(square, prompted=frame == 0))
    for object_id, frames in ((2, (0, 1)), (3, (2,))):
        other = MaskRecord.from_mask(np.ones((6, 6), bool), origin=(30, 4 + 8 * object_id))
        for frame in frames:
            document.masklets.write(object_id, frame, other)
    document.prompts.add(PointPrompt(2, 0, (33.0, 23.0)))
    document.prompts.add(PointPrompt(4, 0, (5.0, 5.0)))
    document.apply(operations.review(document, [2], "accepted"))
    document.apply(operations.review(document, [4], "rejected"))
    document.apply(operations.set_parent(document, 3, 2))
    settings = {
        "model": "",
        "intensities": {"low": [0.0], "high": [float(movie.max())], "channels": [0, 0, 0]},
    }
    root = tmp_path / "movie.sam2"
    SessionFolder(root, MovieStamp.of(movie, movie_path)).write_all(document, settings)
    return root, document


def test_what_is_there_stays_and_the_rest_is_tracked(command, session, tmp_path, weights) -> None:
    root, document = session
    out = tmp_path / "out"
    done = command("run", root, "--out", out, "--model", weights)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    for frame in range(3):
        expected = document.masklets.labels(frame)
        np.testing.assert_array_equal(labels[frame], expected)
    assert set(np.unique(labels[3:])) <= {0, 1}
    tracks = read_tracks(out / "tracks.csv")
    assert tracks.graph == {3: [2]}
    assert "session" in (out / "run.json").read_text()


def test_prompts_serve_another_movie(command, session, tmp_path, movie, weights) -> None:
    root, _ = session
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, movie[::-1].copy())
    out = tmp_path / "out"
    done = command("run", root, "--movie", other, "--out", out, "--model", weights)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert (labels[0, 10:20, 10:20] == 1).all()


def test_what_does_not_fit_is_named(command, session, tmp_path, movie, weights) -> None:
    root, _ = session
    small = tmp_path / "small.tif"
    tifffile.imwrite(small, movie[:, :16].copy())
    done = command("run", root, "--movie", small, "--out", tmp_path / "a", "--model", weights)
    assert done.status == 2
    assert "name the movie with --movie" in " ".join(done.err.split())
    done = command("run", tmp_path, "--out", tmp_path / "b")
    assert done.status == 2
    assert "is no session" in " ".join(done.err.split())


def test_a_session_of_stacks_goes_its_own_way(command, tmp_path, weights) -> None:
    stacks = np.random.default_rng(0).integers(100, 900, (2, 3, 40, 40)).astype(np.uint16)
    path, root, out = tmp_path / "stacks.tif", tmp_path / "stacks.sam2", tmp_path / "out"
    tifffile.imwrite(path, stacks, photometric="minisblack", metadata={"axes": "TZYX"})
    planes = stacks.reshape(6, 40, 40)
    document = Document(MaskletSet(planes.shape), PlaneGrid(2, 3))
    square = np.zeros((40, 40), bool)
    square[10:20, 10:20] = True
    document.prompts.add(MaskPrompt(1, 1, square))
    document.masklets.write(1, 1, MaskRecord.from_mask(square, prompted=True))
    settings = {
        "axes": "TZYX",
        "route": {"along": "time", "only_here": False},
        "intensities": {"low": [100.0], "high": [900.0], "channels": [0, 0, 0], "gamma": [0.5]},
    }
    SessionFolder(root, MovieStamp.of(planes, path)).write_all(document, settings)
    done = command("run", root, "--out", out, "--model", weights)
    assert done.status == 0, done.err
    labels = tifffile.imread(out / "labels.tif")
    assert labels.shape == stacks.shape
    np.testing.assert_array_equal(labels[0, 1] == 1, square)
    assert not labels[:, [0, 2]].any(), "the run went along time in its slice"
    settings["intensities"] = {"low": [0.0] * 2, "high": [9.0] * 2, "channels": [1, 0, 0]}
    SessionFolder(root, MovieStamp.of(planes, path)).write_head(document, settings)
    done = command("run", root, "--out", out, "--model", weights, "--overwrite")
    assert done.status == 2
    assert "shows 2 channels" in done.err
