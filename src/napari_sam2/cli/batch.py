"""``napari-sam2 batch``: many movies, overnight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.cli.console import batch_progress, say, say_movie_as_line, say_problems
from napari_sam2.cli.options import Device, Precision
from napari_sam2.cli.track import INTERRUPTED

if TYPE_CHECKING:
    from napari_sam2.batch.movie_report import MovieReport
    from napari_sam2.batch.runner import BatchReport

__all__ = ["batch"]


def batch(
    jobs: Annotated[
        str,
        typer.Argument(help="A TOML or CSV file, a folder of movies, or a 'pattern' of them."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results, for jobs that name none.")
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(help="Formats for jobs that name none: 'tiff csv ctc'.")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="Prompts for jobs without.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label image for jobs without.")] = None,
    automatic: Annotated[
        bool, typer.Option("--automatic", help="Find the objects of jobs without prompts.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Network for jobs that name none.")] = None,
    device: Device = None,
    dtype: Precision = None,
    workers: Annotated[
        int | None, typer.Option(help="Run so many movies at once on a local Dask cluster.", min=1)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Run on a Dask cluster: tcp://host:8786 or its file.")
    ] = None,
    retries: Annotated[
        int, typer.Option(help="How often Dask tries a movie again that failed.", min=0)
    ] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Check everything and stop there.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out jobs that cannot be started.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew what an earlier batch has written.")
    ] = False,
    as_lines: Annotated[
        bool, typer.Option("--progress-lines", help="Say progress as lines of JSON.")
    ] = False,
) -> None:
    """Track many movies: finished ones are skipped, interrupted ones go on where they were.

    Everything is checked before any work starts, and a movie that fails stops no other. Each folder
    of results ends with batch_report.html and batch_report.csv.
    """
    from napari_sam2.batch.jobs_file import read_jobs
    from napari_sam2.batch.plan import PlanError, plan_batch

    common: dict[str, Any] = {
        "out": out and str(out), "outputs": outputs, "model": model,
        "device": device, "dtype": dtype,
    }  # fmt: skip
    seeds = {
        "prompts": prompts and str(prompts.absolute()),
        "labels": labels and str(labels.absolute()),
        "automatic": automatic or None,
    }
    try:
        planned = plan_batch(
            read_jobs(jobs, common, seeds), overwrite=overwrite, keep_going=keep_going
        )
    except PlanError as error:
        say_problems(error.problems)
        raise typer.Exit(2) from error
    waiting = len(planned.jobs) if overwrite else len(planned.waiting)
    begun = sum(job.state == "begun" for job in planned.jobs)
    say(f"{len(planned.jobs)} movies, {waiting} to do, {begun} of them begun before")
    if plan:
        return
    said = say_movie_as_line if as_lines else _say_movie
    with batch_progress(waiting, as_lines=as_lines) as watch:
        if workers or scheduler:
            from napari_sam2.batch.cluster import Cluster, run_on_cluster

            cluster = Cluster(workers, scheduler, retries)
            done = run_on_cluster(planned, cluster, watch, overwrite=overwrite, said=said)
        else:
            from napari_sam2.batch.runner import run_batch

            done = run_batch(planned, watch, overwrite=overwrite, said=said)
    _conclude(done)


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
