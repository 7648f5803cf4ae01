"""What docs/batch.md says is true: names, options, examples."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from distributed.cli.dask_worker import main as dask_worker

from napari_sam2.batch.cluster_options import Cluster
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.jobs_file import read_jobs
from napari_sam2.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs/batch.md").read_text()


def blocks(kind: str) -> list[str]:
    """Return the blocks of code of a kind, without their indent."""
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```", PAGE, re.M | re.S)
    return [re.sub(rf"^{indent}", "", text, flags=re.M) for indent, text in found]


def options_of(command: str) -> set[str]:
    """Return the options of a command of ours."""
    group = typer.main.get_command(app)
    return {name for one in group.commands[command].params for name in one.opts}  # type: ignore[attr-defined]


def test_the_table_names_what_a_job_can_say():
    table = PAGE.split("What a job can say:")[1].split("`--out`, `--outputs`")[0]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| ([^|]*) \|", table, re.M)))
    assert sorted(named) == sorted(one.name for one in fields(JobSpec))


def test_the_table_of_a_cluster_is_named():
    said = re.search(r"under `\[cluster\]` \(([^)]*)\)", PAGE)
    assert said
    assert re.findall(r"\w+", said[1]) == [one.name for one in fields(Cluster)]


def test_every_option_is_one_of_the_command():
    known = options_of("batch")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {
        "--lifetime",
        "--lifetime-stagger",
    }
    assert named - {"--gres"} <= known


def test_the_jobs_file_is_one(tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "jobs.toml").write_text(text)
    jobs = read_jobs(tmp_path / "jobs.toml")
    assert [job.title for job in jobs] == ["a", "b", "c"]
    assert [job.seeds for job in jobs] == [("prompts",), ("labels",), ("session",)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_script_for_slurm_asks_for_what_there_is():
    (text,) = [one for one in blocks("python") if "SLURMCluster" in one]
    found = [
        one.value
        for one in ast.walk(ast.parse(text))
        if isinstance(one, ast.Constant) and str(one.value).startswith("--")
    ]
    worker = {name for one in dask_worker.params for name in one.opts}
    assert {"--lifetime", "--lifetime-stagger"} <= worker & set(found)
    ours = set(found) - worker - {"--gres=gpu:1"}
    assert ours == {"--block", "--scheduler"}
    assert ours <= options_of("batch")
