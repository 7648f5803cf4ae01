"""``napari-sam2 batch``, as it is typed."""

from __future__ import annotations

import json

import pytest

from napari_sam2.io.prompts_file import write_prompts
from napari_sam2.prompts import PointPrompt


@pytest.fixture
def jobs(tmp_path, movie_path):
    write_prompts(tmp_path / "movie.prompts.json", [PointPrompt(1, 0, (20.0, 20.0))])
    return tmp_path


def test_a_plan_starts_nothing(command, jobs, tmp_path):
    done = command("batch", jobs, "--out", tmp_path / "out", "--plan")
    assert done.status == 0, done.err
    assert "1 movies, 1 to do" in done.out
    assert not (tmp_path / "out").exists()


def test_problems_are_listed_one_a_line(command, tmp_path):
    (tmp_path / "jobs.csv").write_text("movie,prompts,out\nno.tif,p.csv,out\nneither.tif,,out\n")
    done = command("batch", tmp_path / "jobs.csv")
    assert done.status == 2
    lines = done.err.strip().splitlines()
    assert "2 problems, nothing was started" in lines[0]
    assert "no.tif does not exist" in lines[1]
    assert "its prompts come from none" in lines[2]
    assert "Traceback" not in done.err


def test_a_batch_runs_and_says_so_to_people_and_programs(command, jobs, tmp_path, weights):
    line = ("batch", jobs, "--out", tmp_path / "out", "--model", weights)
    done = command(*line, "--progress-lines")
    assert done.status == 0, done.err
    told = [json.loads(text) for text in done.out.splitlines() if text.startswith("{")]
    assert told[0]["movie"] == "movie"
    assert told[-2]["done"] == told[-2]["total"]
    assert told[-1]["outcome"] == "done"
    again = command(*line)
    assert again.status == 0
    assert "1 movies, 0 to do" in again.out
    assert "1 of 1 movies are done" in again.out


def test_a_scheduler_that_is_not_there_is_one_line(command, jobs, tmp_path):
    done = command("batch", jobs, "--out", tmp_path / "o", "--scheduler", "tcp://127.0.0.1:9")
    assert done.status == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in done.err
    assert "Traceback" not in done.err
