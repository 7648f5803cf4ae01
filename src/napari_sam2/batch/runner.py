"""A batch in this process, movie after movie; what goes wrong with one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam2.batch.movie_report import MovieReport
from napari_sam2.batch.movie_run import Watch, run_movie
from napari_sam2.batch.plan import BatchPlan, PlannedJob
from napari_sam2.batch.report import write_report

__all__ = ["BatchReport", "failed", "finished", "report_of", "run_batch"]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a batch did.

    Attributes
    ----------
    movies : tuple of MovieReport
        In the order of the jobs.
    pages : tuple of Path
        One report for each folder of results.
    events : tuple of str
        What happened beside the movies.
    """

    movies: tuple[MovieReport, ...]
    pages: tuple[Path, ...]
    events: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every movie is done."""
        return all(one.outcome in ("done", "was done") for one in self.movies)


def run_batch(
    plan: BatchPlan,
    watch: Watch = lambda title, done, total: None,
    *,
    overwrite: bool = False,
    said: Callable[[MovieReport], None] = lambda report: None,
) -> BatchReport:
    """Run every movie of a plan.

    Parameters
    ----------
    plan : BatchPlan
    watch : callable
        Is told of every frame; True stops the batch after it.
    overwrite : bool
        Whether to begin anew what is there.
    said : callable
        Is told of every movie that ended.

    Returns
    -------
    BatchReport
        The page is written anew after every movie.
    """
    done: dict[int, MovieReport] = {}
    for number, job in enumerate(plan.jobs):
        if job.state == "finished" and not overwrite:
            done[number] = finished(job)
    stopped = False
    for number, job in enumerate(plan.jobs):
        if number in done or stopped:
            continue
        try:
            one = run_movie(job, watch, overwrite=overwrite)
        except Exception as error:
            one = failed(job, error)
        except KeyboardInterrupt:
            one = MovieReport(job.spec.title, str(job.folder.work), "stopped")
        done[number] = one
        stopped = one.outcome == "stopped"
        said(one)
        report_of(plan, done)
    return report_of(plan, done)


def finished(job: PlannedJob) -> MovieReport:
    """Return the report of a movie that an earlier run has done."""
    return MovieReport.from_json({**job.folder.result(), "outcome": "was done"})


def failed(job: PlannedJob, error: BaseException) -> MovieReport:
    """Return the report of a movie that went wrong."""
    starts = sum(event["event"] == "started" for event in job.folder.events())
    text = str(error) if isinstance(error, ValueError | OSError | RuntimeError) else repr(error)
    return MovieReport(
        job.spec.title, str(job.folder.work), "failed", text, job.frames, starts=starts
    )


def report_of(
    plan: BatchPlan, done: dict[int, MovieReport], events: Sequence[str] = ()
) -> BatchReport:
    """Write the report of what is done so far."""
    movies = [(plan.jobs[number].spec, done[number]) for number in sorted(done)]
    movies += [(spec, MovieReport(spec.title, "", "failed", error)) for spec, error in plan.broken]
    pages = [
        write_report(Path(out), [one for spec, one in movies if spec.out == out], events)
        for out in dict.fromkeys(spec.out for spec, _ in movies if spec.out)
    ]
    return BatchReport(tuple(one for _, one in movies), tuple(pages), tuple(events))
