"""Batches on Dask: workers that die, schedulers that are not there."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2.batch.cluster import run_on_cluster
from napari_sam2.batch.cluster_options import Cluster
from napari_sam2.batch.jobs_file import read_jobs
from napari_sam2.batch.plan import plan_batch
from napari_sam2.batch.report import REPORT
from napari_sam2.batch.runner import run_batch


def plan_of(source, out):
    return plan_batch(read_jobs(source, {"out": str(out)}))


@pytest.mark.slow
# Dask restarts the worker that was killed, and says so by a warning of its own.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning")
def test_a_worker_that_is_killed_costs_nothing(make_movie, tmp_path, digest, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = make_movie("a", frames=10).parent
    make_movie("b", seed=3)
    # A picture is read as a lazy array, which Dask would take for work of its own.
    (folder / "b.prompts.json").unlink()
    seeds = np.zeros((80, 96), np.uint16)
    seeds[16:32, 20:36] = 5
    tifffile.imwrite(folder / "b.labels.tif", seeds)
    run_batch(plan_of(folder, tmp_path / "here"))
    killed: list[int] = []

    def kill(title: str, done: int, total: int) -> None:
        events = Path(tmp_path / "there/a.part/events.jsonl")
        if title == "a" and not killed and events.is_file():
            killed.append(json.loads(events.read_text().splitlines()[-1])["pid"])
            os.kill(killed[0], signal.SIGKILL)

    report = run_on_cluster(plan_of(folder, tmp_path / "there"), Cluster(workers=2), kill)
    assert killed
    assert report.is_complete, report.movies
    for name in ("a", "b"):
        assert digest(tmp_path / "there" / name) == digest(tmp_path / "here" / name)
    events = (tmp_path / "there/a/events.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in events]
    assert [one["event"] for one in told] == ["started", "started", "finished"]
    assert told[0]["pid"] == killed[0] != told[1]["pid"]
    assert told[1]["frames_done"] > 0
    page = (tmp_path / "there" / REPORT).read_text()
    assert re.search(
        rf"\(process {killed[0]}\) went away, its connection ended: it died, or was killed; "
        r"it worked on a \(1\): gone on with",
        page,
    )
    assert page.count("went away") == 1
    assert "begun 2 times" in page


def test_a_scheduler_that_is_not_there_is_said_within_seconds(make_movie, tmp_path):
    plan = plan_of(make_movie("a").parent, tmp_path / "out")
    started = time.monotonic()
    with pytest.raises(OSError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run_on_cluster(plan, Cluster(scheduler="tcp://127.0.0.1:9"))
    assert time.monotonic() - started < 30
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_blocks_of_a_movie_are_handed_over_from_task_to_task(make_movie, tmp_path, digest):
    from distributed import LocalCluster

    folder = make_movie("a", frames=8).parent
    run_batch(plan_of(folder, tmp_path / "whole"))
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0"
    ) as local:
        cluster = Cluster(scheduler=local.scheduler_address, block=3)
        report = run_on_cluster(plan_of(folder, tmp_path / "blocks"), cluster)
    assert report.is_complete, report.movies
    assert digest(tmp_path / "blocks/a") == digest(tmp_path / "whole/a")
    events = (tmp_path / "blocks/a/events.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in events]
    begun = [one["frames_done"] for one in told if one["event"] == "started"]
    assert begun == list(range(0, 3 * len(begun), 3))
    assert len(begun) >= 3
    assert (report.movies[0].blocks, report.movies[0].starts) == (len(begun), 1)
    assert f"in {len(begun)} blocks" in (tmp_path / "blocks" / REPORT).read_text()
