"""``napari-sam2 batch``: many movies, overnight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_sam2.batch.cluster_options import help_of, read_cluster
from napari_sam2.cli.console import batch_progress, say, say_movie_as_line, say_problems
from napari_sam2.cli.job_run import INTERRUPTED
from napari_sam2.cli.options import Device, Precision
from napari_sam2.predictor.options import Divided

if TYPE_CHECKING:
    from napari_sam2.batch.cluster_options import Cluster
    from napari_sam2.batch.movie_report import MovieReport
    from napari_sam2.batch.plan import BatchPlan
    from napari_sam2.batch.runner import BatchReport

__all__ = ["batch"]

Jobs = Annotated[
    str, typer.Argument(help="A TOML or CSV file, a folder of movies, or a 'pattern' of them.")
]
Results = Annotated[
    Path | None, typer.Option(help="Folder for the results, for jobs that name none.")
]
Outputs = Annotated[
    str | None, typer.Option(help="Formats for jobs that name none: 'tiff csv ctc'.")
]
Prompts = Annotated[Path | None, typer.Option(help="Prompts for jobs without.")]
Labels = Annotated[Path | None, typer.Option(help="Label image for jobs without.")]
Automatic = Annotated[
    bool, typer.Option("--automatic", help="Find the objects of jobs without prompts.")
]
Along = Annotated[
    Literal["both", "time", "z"] | None,
    typer.Option(help="Way through stacks, for jobs that name none."),
]
OfDivided = Annotated[
    Divided | None, typer.Option(help="Cells that have divided, for jobs that say nothing of it.")
]
Network = Annotated[str | None, typer.Option("--model", help="Network for jobs that name none.")]
Workers = Annotated[int | None, typer.Option(help=help_of("workers"), min=1)]
Scheduler = Annotated[str | None, typer.Option(help=help_of("scheduler"))]
Retries = Annotated[int | None, typer.Option(help=help_of("retries"), min=0)]
Block = Annotated[int | None, typer.Option(help=help_of("block"), min=1)]
Plan = Annotated[bool, typer.Option("--plan", help="Check everything and stop there.")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Leave out jobs that cannot be started.")
]
Anew = Annotated[
    bool, typer.Option("--overwrite", help="Begin anew what an earlier batch has written.")
]
AsLines = Annotated[bool, typer.Option("--progress-lines", help="Say progress as lines of JSON.")]


def batch(
    jobs: Jobs,
    out: Results = None,
    outputs: Outputs = None,
    prompts: Prompts = None,
    labels: Labels = None,
    automatic: Automatic = False,
    along: Along = None,
    divided: OfDivided = None,
    model: Network = None,
    device: Device = None,
    dtype: Precision = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    retries: Retries = None,
    block: Block = None,
    plan: Plan = False,
    keep_going: KeepGoing = False,
    overwrite: Anew = False,
    as_lines: AsLines = False,
) -> None:
    """Track many movies: finished ones are skipped, interrupted ones go on where they were.

    Everything is checked before any work starts, and a movie that fails stops no other. Each folder
    of results ends with batch_report.html and batch_report.csv.
    """
    common: dict[str, Any] = {
        "out": out and str(out), "outputs": outputs, "model": model,
        "device": device, "dtype": dtype, "along": along, "divided": divided,
    }  # fmt: skip
    seeds = {
        "prompts": prompts and str(prompts.absolute()),
        "labels": labels and str(labels.absolute()),
        "automatic": automatic or None,
    }
    where = {"workers": workers, "scheduler": scheduler, "retries": retries, "block": block}
    cluster = read_cluster(jobs, where)
    planned = _planned((jobs, common, seeds), overwrite=overwrite, keep_going=keep_going)
    if not plan:
        _conclude(_run(planned, cluster, overwrite=overwrite, as_lines=as_lines))


def _planned(
    source: tuple[str, dict[str, Any], dict[str, Any]], *, overwrite: bool, keep_going: bool
) -> BatchPlan:
    """Check a list of jobs, with what all of them have, and say what there is to do."""
    from napari_sam2.batch.jobs_file import read_jobs
    from napari_sam2.batch.plan import PlanError, plan_batch

    try:
        planned = plan_batch(read_jobs(*source), overwrite=overwrite, keep_going=keep_going)
    except PlanError as error:
        say_problems(error.problems)
        raise typer.Exit(2) from error
    begun = sum(job.state == "begun" for job in planned.jobs)
    waiting = _count_waiting(planned, overwrite)
    say(f"{len(planned.jobs)} movies, {waiting} to do, {begun} of them begun before")
    return planned


def _count_waiting(planned: BatchPlan, overwrite: bool) -> int:
    return len(planned.jobs) if overwrite else len(planned.waiting)


def _run(planned: BatchPlan, cluster: Cluster, *, overwrite: bool, as_lines: bool) -> BatchReport:
    """Run what was planned, in this process or on a cluster, and say what ends."""
    from napari_sam2.batch.cluster import run_on_cluster
    from napari_sam2.batch.runner import run_batch

    said = say_movie_as_line if as_lines else _say_movie
    with batch_progress(_count_waiting(planned, overwrite), as_lines=as_lines) as watch:
        if cluster.is_here:
            return run_batch(planned, watch, overwrite=overwrite, said=said)
        return run_on_cluster(planned, cluster, watch, overwrite=overwrite, said=said)


def _say_movie(one: MovieReport) -> None:
    sure = "" if one.confidence is None else f", confidence {one.confidence:.2f}"
    ending = f": {' '.join(one.error.split())}" if one.error else ""
    say(f"{one.outcome:8} {one.title}, {one.objects} objects{sure}, {one.seconds:.0f} s{ending}")


def _conclude(done: BatchReport) -> None:
    for event in done.events:
        say(f"note: {event}")
    good = sum(one.outcome in ("done", "was done") for one in done.movies)
    say(f"{good} of {len(done.movies)} movies are done")
    for page in done.pages:
        say(f"report   {page}")
    if any(one.outcome == "stopped" for one in done.movies):
        raise typer.Exit(INTERRUPTED)
    if not done.is_complete:
        raise typer.Exit(1)
