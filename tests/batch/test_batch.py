"""Batches: what is refused, what goes on after a crash, what stands in the report."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests import dividing_cell
from tests.batch.conftest import draw

from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.batch.jobs_file import read_jobs
from napari_sam2.batch.movie_run import run_movie
from napari_sam2.batch.plan import plan_batch
from napari_sam2.batch.report import REPORT, TABLE
from napari_sam2.batch.runner import run_batch
from napari_sam2.io.import_session import import_session
from napari_sam2.io.prompts_file import write_prompts
from napari_sam2.io.session_file import SessionFolder, read_session
from napari_sam2.io.spilled_masks import SpilledMasks
from napari_sam2.prompts import PointPrompt


def plan_of(source, out, **common):
    return plan_batch(read_jobs(source, {"out": str(out), **common}))


def test_a_folder_of_movies_becomes_results_and_a_report(make_movie, tmp_path):
    folder = make_movie("a").parent
    make_movie("b", seed=3)
    report = run_batch(plan_of(folder, tmp_path / "out"))
    assert report.is_complete
    labels = tifffile.imread(tmp_path / "out/a/a.labels.tif")
    assert labels.shape == (8, 80, 96)
    assert labels[0, 24, 24] == 1
    assert labels[7, 54, 56] == 2
    with (tmp_path / "out/a/a.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 14
    record = read_session(tmp_path / "out/a/a.sam2")
    assert np.array_equal(record.document.masklets.to_labels(), labels)
    assert record.movie.path == str(folder / "a.tif")
    with (tmp_path / "out" / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["title"] for row in rows] == ["a", "b"]
    assert all(row["outcome"] == "done" and float(row["confidence"]) > 0.5 for row in rows)
    assert all(float(row["peak_mb"]) > 50 and float(row["seconds"]) > 0 for row in rows)
    page = (tmp_path / "out" / REPORT).read_text()
    assert "2 of 2 movies are done" in page
    assert 'src="a/strip.png"' in page
    assert (tmp_path / "out/a/strip.png").is_file()


class PowerCut(BaseException):
    """Ends a run where no handler looks."""


def cut(monkeypatch, place, after):
    """End the run at the given call of a method, before or after what it does."""
    owner, name, is_before = {
        "before the state is kept": (Checkpoint, "save", True),
        "between state and masks": (SpilledMasks, "flush", True),
        "after the masks": (SpilledMasks, "flush", False),
        "in the outputs": (SpilledMasks, "compact", False),
    }[place]
    original, calls = getattr(owner, name), []

    def wrapped(self, *arguments):
        calls.append(1)
        if is_before and len(calls) == after:
            raise PowerCut
        original(self, *arguments)
        if len(calls) == after:
            raise PowerCut

    monkeypatch.setattr(owner, name, wrapped)


def run_until_cut(job, place, after):
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, place, after)
        with pytest.raises(PowerCut):
            run_movie(job)


def test_wherever_a_run_is_cut_it_goes_on_to_the_same_bytes(make_movie, tmp_path, digest):
    movie = make_movie("a")
    (whole,) = plan_of(movie.parent, tmp_path / "whole").jobs
    run_movie(whole)
    expected = digest(tmp_path / "whole/a")
    (job,) = plan_of(movie.parent, tmp_path / "cut").jobs
    for place, after in (
        ("before the state is kept", 3),
        ("between state and masks", 2),
        ("after the masks", 3),
        ("in the outputs", 1),
    ):
        run_until_cut(job, place, after)
        assert not (tmp_path / "cut/a").exists()
    report = run_movie(job)
    assert report.starts == 5
    assert digest(tmp_path / "cut/a") == expected
    assert run_movie(job).outcome == "was done"


@pytest.fixture
def newcomer_movie(tmp_path) -> Path:
    """Two disks that drift, and a third that comes on frame 3, between two key frames."""
    movie = draw(0, 7)
    y, x = np.indices((80, 96))
    movie[3:] += (800 * ((y - 62) ** 2 + (x - 22) ** 2 < 80)).astype(np.uint16)
    folder = tmp_path / "unclicked"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", movie)
    return folder


def test_objects_are_found_and_a_run_that_is_cut_finds_the_same(newcomer_movie, tmp_path, digest):
    seeds = {"automatic": True, "diameter": 10.0, "every": 4}
    (whole,) = plan_of(newcomer_movie, tmp_path / "whole", **seeds).jobs
    run_movie(whole)
    expected = digest(tmp_path / "whole/a")
    labels = tifffile.imread(tmp_path / "whole/a/a.labels.tif")
    for t in range(7):
        centres = [(24 + t, 24), (54, 70 - 2 * t), *([(62, 22)] if t >= 3 else [])]
        assert all(labels[t][centre] for centre in centres)
    assert len({int(labels[t][62, 22]) for t in range(3, 7)}) == 1
    (job,) = plan_of(newcomer_movie, tmp_path / "cut", **seeds).jobs
    for place, after in (
        ("before the state is kept", 1),
        ("between state and masks", 7),
        ("in the outputs", 1),
    ):
        run_until_cut(job, place, after)
    assert run_movie(job).starts == 4
    assert digest(tmp_path / "cut/a") == expected


@pytest.fixture
def dividing_movie(tmp_path) -> Path:
    """A cell that is clicked on the first frame, and divides."""
    folder = tmp_path / "dividing"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", dividing_cell.movie())
    write_prompts(folder / "a.prompts.json", [PointPrompt(1, 0, (64.0, 64.0))])
    return folder


@pytest.mark.parametrize("later", [0, 1, 2])
def test_daughters_are_taken_on_and_a_run_that_is_cut_takes_on_the_same(
    dividing_movie, tmp_path, digest, later
):
    (whole,) = plan_of(dividing_movie, tmp_path / "whole", divided="daughters").jobs
    run_movie(whole)
    expected = digest(tmp_path / "whole/a")
    found = read_session(tmp_path / "whole/a/a.sam2").document
    born = dividing_cell.DIVIDES
    assert found.lineage == {2: 1, 3: 1}
    assert found.info(1).last == born - 1
    labels = tifffile.imread(tmp_path / "whole/a/a.labels.tif")
    for t in range(dividing_cell.FRAMES):
        ids = {int(labels[t, 64, x]) for x in ((64,) if t < born else (79, 49))}
        assert ids == ({1} if t < born else {2, 3}), t
    (job,) = plan_of(dividing_movie, tmp_path / "cut", divided="daughters").jobs
    for place, after in (
        ("before the state is kept", born + later),
        ("between state and masks", 2),
        ("after the masks", 3),
        ("in the outputs", 1),
    ):
        run_until_cut(job, place, after)
    assert run_movie(job).starts == 5
    assert digest(tmp_path / "cut/a") == expected


KILLED = """
import os, signal, sys
from napari_sam2.batch.jobs_file import read_jobs
from napari_sam2.batch.plan import plan_batch
from napari_sam2.batch.runner import run_batch
seen = []
def watch(title, done, total):
    seen.append(title)
    if len(seen) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
run_batch(plan_batch(read_jobs(sys.argv[1], {"out": sys.argv[2]})), watch)
"""


def test_a_batch_that_is_killed_twice_ends_with_the_same_bytes(make_movie, tmp_path, digest):
    folder = make_movie("a", frames=6).parent
    make_movie("b", seed=3, frames=6)
    run_batch(plan_of(folder, tmp_path / "whole"))
    out = tmp_path / "killed"
    # In the middle of the first movie, then after its end in the middle of the second.
    for frames in (4, 7):
        line = [sys.executable, "-c", KILLED, str(folder), str(out), str(frames)]
        done = subprocess.run(line, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == -signal.SIGKILL
    plan = plan_of(folder, out)
    assert [job.state for job in plan.jobs] == ["finished", "begun"]
    report = run_batch(plan)
    assert [one.outcome for one in report.movies] == ["was done", "done"]
    assert [one.starts for one in report.movies] == [2, 2]
    for name in ("a", "b"):
        assert digest(out / name) == digest(tmp_path / "whole" / name)
    assert "begun 2 times" in (out / REPORT).read_text()


def test_one_bad_movie_does_not_stop_the_rest(make_movie, tmp_path):
    folder = make_movie("a").parent
    bad = make_movie("b")
    make_movie("c", seed=3)
    plan = plan_of(folder, tmp_path / "out")
    bad.write_bytes(bad.read_bytes()[:20_000])
    report = run_batch(plan)
    assert [one.outcome for one in report.movies] == ["done", "failed", "done"]
    assert "b.tif" in report.movies[1].error
    page = (tmp_path / "out" / REPORT).read_text()
    assert "2 of 3 movies are done" in page
    assert "truncated" in page


def test_a_session_is_finished_and_its_accepted_masks_stay(make_movie, tmp_path):
    folder = make_movie("a").parent
    run_batch(plan_of(folder, tmp_path / "first", last=4, direction="forward"))
    source = tmp_path / "first/a/a.sam2"
    head = json.loads((source / "session.json").read_text())
    head["objects"] = [{"object_id": 2, "state": "accepted", "name": "mine"}]
    (source / "session.json").write_text(json.dumps(head))
    before = read_session(source).document.masklets
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(f'[defaults]\nout = "second"\n[[jobs]]\nsession = "{source}"\n')
    report = run_batch(plan_batch(read_jobs(jobs)))
    assert report.is_complete, report.movies
    after = read_session(tmp_path / "second/a/a.sam2").document
    assert after.masklets.frames(1) == tuple(range(8))
    assert after.masklets.frames(2) == before.frames(2)
    assert after.info(2).name == "mine"
    assert all(after.masklets.record(1, t) == before.record(1, t) for t in before.frames(1))
    assert Path(report.movies[0].folder) == tmp_path / "second/a"


def test_a_run_that_is_cut_goes_on_though_a_known_daughter_has_no_prompt(tmp_path):
    movie, labels = draw(0, 6), np.zeros((6, 80, 96), np.uint16)
    for t in range(6):
        labels[t, 16 + t : 33 + t, 16:33] = 1 if t < 3 else 2
        labels[t, 46:63, 62 - 2 * t : 79 - 2 * t] = 0 if t < 3 else 3
    tifffile.imwrite(tmp_path / "a.tif", movie)
    (tmp_path / "man_track.txt").write_text("1 0 2 0\n2 3 5 1\n3 3 5 1\n")
    labels[5][labels[5] == 2] = 0  # one is still to be followed
    tifffile.imwrite(tmp_path / "labels.tif", labels, metadata={"axes": "TYX"})
    import_session(tmp_path / "labels.tif", tmp_path / "a.tif", tmp_path / "a.sam2")
    record = read_session(tmp_path / "a.sam2")
    document = record.document
    document.objects[3] = replace(document.info(3), state="rejected")  # its prompts are not taken
    SessionFolder(tmp_path / "a.sam2", record.movie).write_head(document, record.settings)
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[[jobs]]\nsession = "a.sam2"\nout = "out"\ndivided = "daughters"\n')
    (job,) = plan_batch(read_jobs(jobs)).jobs
    run_until_cut(job, "after the masks", 1)
    assert run_movie(job).outcome == "done"
    assert read_session(tmp_path / "out/a/a.sam2").document.lineage == {2: 1, 3: 1}


def test_a_mother_of_a_session_ends_where_her_daughters_begin(tmp_path):
    movie, labels = draw(0, 6), np.zeros((6, 80, 96), np.uint16)
    for t in range(6):
        labels[t, 16 + t : 33 + t, 16:33] = 1 if t < 3 else 2  # the same disk all the time
        labels[t, 46:63, 62 - 2 * t : 79 - 2 * t] = 0 if t < 3 else 3
    tifffile.imwrite(tmp_path / "a.tif", movie)
    (tmp_path / "man_track.txt").write_text("1 0 2 0\n2 3 4 1\n3 3 5 1\n")
    labels[5][labels[5] == 2] = 0  # one daughter is still to be followed
    tifffile.imwrite(tmp_path / "labels.tif", labels, metadata={"axes": "TYX"})
    import_session(tmp_path / "labels.tif", tmp_path / "a.tif", tmp_path / "a.sam2")
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[[jobs]]\nsession = "a.sam2"\nout = "out"\n')
    assert run_batch(plan_batch(read_jobs(jobs))).is_complete
    found = read_session(tmp_path / "out/a/a.sam2").document
    assert found.masklets.frames(1) == (0, 1, 2)
    assert found.masklets.frames(2) == (3, 4, 5)
    assert found.masklets.frames(3) == (3, 4, 5)
    assert found.lineage == {2: 1, 3: 1}
