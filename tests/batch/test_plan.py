"""Lists of jobs, and everything that is wrong with them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_sam2.batch.cluster_options import Cluster, read_cluster
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.jobs_file import read_jobs, write_jobs
from napari_sam2.batch.plan import PlanError, plan_batch
from napari_sam2.predictor.options import PredictorOptions


def test_a_folder_pairs_movies_with_what_lies_beside(make_movie, tmp_path):
    folder = make_movie("a").parent
    make_movie("b")
    (folder / "b.prompts.json").rename(folder / "b.prompts.csv")
    (folder / "notes.txt").write_text("no movie")
    jobs = read_jobs(folder, {"out": tmp_path, "outputs": "csv; tiff"})
    assert [job.title for job in jobs] == ["a", "b"]
    assert [job.seeds for job in jobs] == [("prompts",), ("prompts",)]
    assert jobs[1].prompts == str(folder / "b.prompts.csv")
    assert jobs[0].outputs == ("csv", "tiff")
    assert read_jobs(str(folder / "b*.tif"), {"out": tmp_path}) == [
        JobSpec(movie=jobs[1].movie, prompts=jobs[1].prompts, out=str(tmp_path))
    ]


def test_csv_and_toml_say_the_same(tmp_path):
    (tmp_path / "jobs.csv").write_text(
        "movie,labels,out,outputs,last,low\nm/a.tif,seeds.tif,out,ctc csv,9,\n"
        "/data/b.tif,seeds.tif,out,,,120\n"
    )
    (tmp_path / "jobs.toml").write_text(
        '[defaults]\nout = "out"\nlabels = "seeds.tif"\n'
        '[[jobs]]\nmovie = "m/a.tif"\noutputs = ["ctc", "csv"]\nlast = 9\n'
        '[[jobs]]\nmovie = "/data/b.tif"\nlow = 120\n'
    )
    jobs = read_jobs(tmp_path / "jobs.csv")
    assert jobs == read_jobs(tmp_path / "jobs.toml")
    assert jobs[0].movie == str(tmp_path / "m/a.tif")
    assert jobs[0].last == 9
    assert jobs[1].low == 120.0
    written = write_jobs(tmp_path / "again.toml", jobs)
    assert read_jobs(written) == jobs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[jobs]]\nfilm = 'a.tif'\n", "job 1: unknown 'film'"),
        ("[[jobs]]\nmovie = 'a.tif'\nfirst = 'soon'\n", "first is 'soon'"),
        ("[[jobs]\n", "no valid TOML"),
        ("[other]\n", "other"),
        ("", "holds no job"),
    ],
)
def test_a_wrong_list_is_refused_and_named(tmp_path, text, expected):
    (tmp_path / "jobs.toml").write_text(text)
    with pytest.raises(ValueError, match=expected) as caught:
        read_jobs(tmp_path / "jobs.toml")
    assert "jobs.toml" in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once(make_movie, tmp_path):
    movie = str(make_movie("a"))
    prompts = str(tmp_path / "movies/a.prompts.json")
    (tmp_path / "text.tif").write_text("not a picture")
    out = str(tmp_path / "out")
    (tmp_path / "out/other").mkdir(parents=True)
    (tmp_path / "out/other/thesis.docx").write_text("mine")
    good = JobSpec(movie=movie, prompts=prompts, out=out, name="good")
    jobs = [
        good,
        JobSpec(movie=str(tmp_path / "none.tif"), prompts=prompts, out=out),
        JobSpec(movie=str(tmp_path / "text.tif"), prompts=prompts, out=out),
        JobSpec(movie=movie, out=out, name="p"),
        JobSpec(movie=movie, prompts=str(tmp_path / "no.json"), out=out, name="q"),
        JobSpec(movie=movie, prompts=prompts, out=out, name="r", outputs=("docx",)),
        JobSpec(movie=movie, prompts=prompts, out=out, name="s", last=99),
        JobSpec(movie=movie, prompts=prompts, out=out, name="t", model="sam9"),
        JobSpec(movie=movie, prompts=prompts, out=out, name="u", direction="up"),
        JobSpec(movie=movie, prompts=prompts, out=out, name="w", divided="no"),
        JobSpec(movie=movie, prompts=prompts, out=out, name="m", motion="no"),
        JobSpec(movie=movie, automatic=True, diameter=1.0, out=out, name="v"),
        JobSpec(movie=movie, automatic=True, divided="daughters", out=out, name="x"),
        JobSpec(movie=movie, prompts=prompts, out=out, name="other"),
        JobSpec(movie=movie, prompts=prompts, out=out, name="good"),
    ]
    with pytest.raises(PlanError) as caught:
        plan_batch(jobs)
    expected = [
        "none.tif does not exist", "text.tif is no TIFF", "its prompts come from none",
        "no.json does not exist", "no format 'docx'", "frame 99 is outside", "no network 'sam9'",
        "direction is 'up'", "divided is 'no'", "motion is 'no'", "diameter is 1.0",
        "leave `divided` out",
        "files that no batch wrote", "2 jobs would write",
    ]  # fmt: skip
    assert len(caught.value.problems) == len(expected)
    for problem, words in zip(caught.value.problems, expected, strict=True):
        assert words in problem
    plan = plan_batch(jobs[:12], keep_going=True)
    assert [job.spec for job in plan.jobs] == [good]
    assert len(plan.broken) == 11
    assert (tmp_path / "out/other/thesis.docx").read_text() == "mine"


def test_results_of_another_job_are_replaced_only_when_asked(make_movie, tmp_path):
    movie = make_movie("a")
    jobs = read_jobs(movie.parent, {"out": str(tmp_path / "out")})
    folder = plan_batch(jobs).jobs[0].folder
    folder.begin(jobs[0])
    assert plan_batch(jobs).jobs[0].state == "begun"
    other = read_jobs(movie.parent, {"out": str(tmp_path / "out"), "last": 3})
    with pytest.raises(PlanError, match="another job of this name"):
        plan_batch(other)
    assert plan_batch(other, overwrite=True).jobs[0].state == "new"


def test_a_report_that_somebody_else_wrote_is_not_replaced(make_movie, tmp_path):
    movie = make_movie("a")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/batch_report.html").write_text("<p>mine</p>")
    with pytest.raises(PlanError, match="was not written by a batch"):
        plan_batch(read_jobs(movie.parent, {"out": str(tmp_path / "out")}))


def test_where_a_batch_runs_is_said_by_the_file_and_the_command_line_goes_before(tmp_path):
    jobs = [JobSpec(movie=str(tmp_path / "a.tif"), automatic=True, along="z")]
    written = write_jobs(tmp_path / "jobs.toml", jobs, Cluster(workers=4, block=50))
    assert read_jobs(written) == jobs
    assert read_cluster(written) == Cluster(workers=4, block=50)
    said = {"workers": None, "retries": 0, "block": 20}
    assert read_cluster(written, said) == Cluster(workers=4, retries=0, block=20)
    assert read_cluster(tmp_path).is_here
    for text, problem in (
        ("[cluster]\nwalltime = 8\n", "unknown 'walltime'"),
        ("[cluster]\nworkers = 0\n", "workers is 0: give a number from 1"),
        ("[cluster]\nblock = 5\n", "--block divides work among workers"),
        ("cluster = 5\n", "a table"),
    ):
        written.write_text(text)
        with pytest.raises(ValueError, match=problem):
            read_cluster(written)


def test_a_job_says_how_the_engine_looks_at_its_movie():
    job = JobSpec.parse(
        {"movie": "a.tif", "view": "whole", "divided": "follow", "motion": "off"}, Path("/")
    )
    asked = PredictorOptions(view="whole", divided="follow", motion="off")
    assert job.predictor_options == asked
