"""The CSV of tracks, read back here and by the csv module."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_sam2.io.tracks import read_tracks, write_tracks
from napari_sam2.tracking.tracks import Tracks


def example():
    table = np.array([[1, 0, 5.5, 6.25], [1, 1, 6, 7], [2, 2, 1, 1], [3, 2, 9, 9]], float)
    return Tracks(table, {2: [1], 3: [1]})


def test_tracks_survive_a_round_trip(tmp_path):
    back = read_tracks(write_tracks(tmp_path / "tracks.csv", example()))
    assert np.array_equal(back.table, example().table)
    assert back.graph == {2: [1], 3: [1]}


def test_other_readers_find_the_columns_of_napari(tmp_path):
    path = write_tracks(tmp_path / "tracks.csv", example())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["track_id", "t", "y", "x", "parent_ids"]
    assert [row["parent_ids"] for row in rows] == ["", "", "1", "1"]
    table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(4))
    assert np.array_equal(table, example().table)


def test_no_track_at_all_is_a_table_without_rows(tmp_path):
    back = read_tracks(write_tracks(tmp_path / "tracks.csv", Tracks(np.zeros((0, 4)))))
    assert back.table.shape == (0, 4)
    assert back.graph == {}


def test_an_older_file_is_kept(tmp_path):
    write_tracks(tmp_path / "tracks.csv", example())
    with pytest.raises(FileExistsError, match=r"tracks\.csv exists"):
        write_tracks(tmp_path / "tracks.csv", example())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("track_id,t,y\n1,0,2\n", "no column 'x'"),
        ("track_id,t,y,x\n1,0,2,3\n1,1,two,3\n", "line 3"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "tracks.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_tracks(tmp_path / "tracks.csv")
