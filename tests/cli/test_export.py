"""``napari-sam2 export`` and ``import``: from a session to files and from files to a session."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_sam2.io.session_file import read_session


@pytest.fixture
def session(command, tmp_path, movie_path, movie):
    """Two objects as a session, made by the command itself from labels."""
    labels = np.zeros(movie.shape, np.uint16)
    for t in range(5):
        labels[t, 16 + t : 25 + t, 16:25] = 1
        labels[t, 41:50, 46 - t : 55 - t] = 2
    tifffile.imwrite(tmp_path / "labels.tif", labels, metadata={"axes": "TYX"})
    done = command("import", tmp_path / "labels.tif", "--movie", movie_path, "--out",
                   tmp_path / "movie.sam2")  # fmt: skip
    assert done.status == 0, done.err
    assert "2 objects, 0 divisions" in done.out
    return tmp_path / "movie.sam2"


def test_a_session_is_measured(command, session, tmp_path, movie) -> None:
    done = command("export", session, tmp_path / "out" / "cells.csv", "--pixel-size", "0.5",
                   "--interval", "2", "--time-unit", "min")  # fmt: skip
    assert done.status == 0, done.err
    assert f"csv      {tmp_path / 'out' / 'cells.csv'}" in done.out
    table = pd.read_csv(tmp_path / "out" / "cells.csv")
    first = table[(table.object_id == 1) & (table.t == 2)].iloc[0]
    assert (first.y, first.x, first.y_um, first.t_min) == (22, 20, 11, 4)
    assert first.intensity_mean_0 == pytest.approx(movie[2, 18:27, 16:25].mean())
    tracks = pd.read_csv(tmp_path / "out" / "cells_tracks.csv")
    assert tracks.mean_speed_um_per_min.tolist() == [0.25, 0.25]


def test_the_size_of_pixels_that_an_import_was_told_stays(
    command, session, tmp_path, movie_path
) -> None:
    done = command("import", session, "--movie", movie_path, "--out", tmp_path / "b.sam2",
                   "--pixel-size", "0.5")  # fmt: skip
    assert done.status == 0, done.err
    assert command("export", tmp_path / "b.sam2", tmp_path / "b.csv").status == 0
    table = pd.read_csv(tmp_path / "b.csv")
    assert table.y_um.tolist() == (0.5 * table.y).tolist()


def test_the_format_can_be_named(command, session, tmp_path) -> None:
    done = command("export", session, tmp_path / "paths.csv", "--format", "napari-tracks")
    assert done.status == 0, done.err
    assert "note: masks are not in it" in done.out
    assert (tmp_path / "paths.csv").read_text().startswith("track_id,t,y,x,parent_ids\n1,0,20.00")


def test_one_tool_to_another(command, session, tmp_path, movie_path) -> None:
    """From the session to the challenge, to GEFF, to a session again."""
    assert command("export", session, tmp_path / "01_RES").status == 0
    assert command("export", tmp_path / "01_RES", tmp_path / "cells.geff").status == 0
    done = command("import", tmp_path / "cells.geff", "--movie", movie_path, "--out",
                   tmp_path / "again.sam2")  # fmt: skip
    assert done.status == 0, done.err
    masks = [read_session(path).document.masklets for path in (session, tmp_path / "again.sam2")]
    assert np.array_equal(masks[0].to_labels(), masks[1].to_labels())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("{tmp}/cells.doc",), "does not say which format"),
        (("{tmp}/cells.csv", "--format", "word"), "no format 'word'"),
        (("{tmp}/labels.tif",), "labels.tif exists"),
        (("{tmp}/a.csv", "--pixel-size", "1,2"), "neither one size nor three"),
        (("{tmp}/a.csv", "--movie", "{tmp}/none.tif"), "none.tif does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, says, command, session, tmp_path) -> None:
    done = command("export", session, *(one.format(tmp=tmp_path) for one in arguments))
    assert done.status == 2
    assert says in " ".join(done.err.split())
    assert not (tmp_path / "a.csv").exists()


def test_a_movie_is_not_taken_for_labels(command, movie_path, tmp_path) -> None:
    done = command("export", movie_path, tmp_path / "a.csv")
    assert done.status == 2
    assert "looks like a picture and not like labels" in " ".join(done.err.split())


def test_an_imported_session_goes_on_with_the_network(
    command, session, tmp_path, weights, movie
) -> None:
    """Its masks count as tracked: a run that finishes it leaves them as they are."""
    done = command("run", session, "--model", weights, "--out", tmp_path / "done")
    assert done.status == 0, done.err
    labels = tifffile.imread(tmp_path / "done" / "labels.tif")
    assert np.array_equal(labels, tifffile.imread(tmp_path / "labels.tif"))
