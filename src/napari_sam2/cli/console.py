"""What the commands say: progress, results, errors."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from napari_sam2.batch.job import Job, JobReport
    from napari_sam2.batch.movie_report import MovieReport
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.training.finetune import Progress as Lesson

__all__ = [
    "batch_progress",
    "counting",
    "downloading",
    "run_with_progress",
    "say",
    "say_error",
    "say_movie_as_line",
    "say_problems",
    "say_report",
    "telling_training",
    "watching_training",
]

# Paths and addresses are printed whole: a wrapped one cannot be copied.
_out = Console(soft_wrap=True, highlight=False, markup=False)
_err = Console(soft_wrap=True, highlight=False, markup=False, stderr=True)


def say(text: str) -> None:
    """Print a line for the user."""
    _out.print(text)


def say_error(error: BaseException) -> None:
    """Print an error as one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    path = getattr(error, "filename", None)
    if path is not None and str(path) not in text:
        text = f"{text}: {path}"
    _err.print("napari-sam2: error: " + " ".join(text.split()), style="red")


def say_movie_as_line(one: MovieReport) -> None:
    """Print how a movie of a batch ended, for another program."""
    told = {"movie": one.title, "outcome": one.outcome, "folder": one.folder, "error": one.error}
    say(json.dumps(told))


def say_problems(problems: Sequence[str]) -> None:
    """Print everything that is wrong, one a line."""
    count = len(problems)
    _err.print(f"napari-sam2: error: {count} problem{'s' * (count != 1)}, nothing was started:")
    for problem in problems:
        _err.print("  " + " ".join(problem.split()), style="red")


@contextmanager
def batch_progress(
    movies: int, *, as_lines: bool = False
) -> Iterator[Callable[[str, int, int], bool]]:
    """Show a bar for all movies and one for each in work; Ctrl-C stops after this frame.

    With `as_lines`, print a line of JSON for each frame to standard output instead.
    """
    with _stop_on_interrupt("frame") as stop:
        if as_lines:

            def say_line(title: str, done: int, total: int) -> bool:
                say(json.dumps({"movie": title, "done": done, "total": total}))
                return bool(stop)

            yield say_line
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        )  # fmt: skip
        with Progress(*columns, console=_err) as progress:
            overall = progress.add_task("movies", total=movies)
            tasks: dict[str, TaskID] = {}

            def watch(title: str, done: int, total: int) -> bool:
                if title not in tasks:
                    tasks[title] = progress.add_task(title, total=total)
                progress.update(tasks[title], completed=done, total=total)
                if done >= total:
                    progress.update(tasks[title], visible=False)
                    progress.update(overall, completed=sum(t.finished for t in progress.tasks[1:]))
                return bool(stop)

            yield watch


def run_with_progress(job: Job) -> JobReport:
    """Run a job with a progress bar on stderr.

    The first interrupt from the keyboard ends the run after the frame in flight, the second at
    once; either way what was done is written.
    """
    from napari_sam2.batch.job import run_job

    columns = (
        TextColumn("tracking"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frame {task.fields[frame]}  {task.fields[rate]:.1f} frames/s"),
        TimeRemainingColumn(compact=True),
    )
    total = job.count_results()
    with _stop_on_interrupt("frame") as stop, Progress(*columns, console=_err) as progress:
        task = progress.add_task("", total=total, frame="-", rate=0.0)

        def watch(result: FrameResult, count: int) -> bool:
            elapsed = progress.tasks[0].elapsed or 1e-9
            progress.update(task, completed=count, frame=result.frame, rate=count / elapsed)
            return bool(stop)

        return run_job(job, watch)


@contextmanager
def _stop_on_interrupt(unit: str) -> Iterator[list[int]]:
    """Collect the first interrupt in the list that is yielded; the next one acts as ever."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, usual)
        _err.print(f"stopping after this {unit}; press Ctrl-C again to stop at once")

    usual = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; what is yielded takes the steps done and the steps in all."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_err, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def downloading(name: str) -> Iterator[Progress]:
    """Show a bar while weights are fetched; nothing if they are there already."""
    columns = (
        TextColumn(f"fetching {name}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=_err) as progress:
        yield progress


@contextmanager
def watching_training(name: str) -> Iterator[Callable[[Lesson], bool]]:
    """Show a bar while a network learns, and a line for each validation; Ctrl-C stops it."""
    columns = (
        TextColumn(f"training {name}"),
        BarColumn(),
        TextColumn("step {task.fields[step]}  loss {task.fields[loss]:.2f}"),
        TimeRemainingColumn(compact=True),
    )
    with _stop_on_interrupt("step") as stop, Progress(*columns, console=_err) as progress:
        task = progress.add_task("", total=1.0, step=0, loss=float("nan"))

        def watch(lesson: Lesson) -> bool:
            progress.update(task, completed=lesson.done, step=lesson.step, loss=lesson.loss)
            if lesson.figures is not None:
                found = lesson.figures.describe().items()
                figures = ", ".join(f"{key} {value:.3f}" for key, value in found)
                say(f"step {lesson.step}, {lesson.elapsed / 60:.1f} min: {figures}")
            if lesson.note:
                _err.print(lesson.note, style="yellow")
            return bool(stop)

        yield watch


@contextmanager
def telling_training() -> Iterator[Callable[[Lesson], bool]]:
    """Print a line of JSON after every step, for a program that watches; an interrupt stops it."""
    with _stop_on_interrupt("step") as stop:

        def watch(lesson: Lesson) -> bool:
            told: dict[str, object] = {
                "done": round(lesson.done, 4),
                "step": lesson.step,
                "loss": None if math.isnan(lesson.loss) else round(lesson.loss, 4),
                "minutes": round(lesson.elapsed / 60, 3),
            }
            if lesson.figures is not None:
                told["figures"] = {k: round(v, 4) for k, v in lesson.figures.describe().items()}
            if lesson.note:
                told["note"] = lesson.note
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            return bool(stop)

        yield watch


def say_report(report: JobReport) -> None:
    """Say what a job did and where its results are."""
    results = report.results
    if not report.is_complete:
        say(f"stopped: the {report.num_results} frames that were tracked are kept")
    per_frame = report.seconds_per_frame
    rate = f", {1 / per_frame:.1f} frames/s" if per_frame else ""
    say(
        f"{len(report.tracks.track_ids)} objects, {report.num_results} frames in "
        f"{report.seconds:.1f} s ({1000 * per_frame:.0f} ms a frame{rate})"
    )
    for label, path in (
        ("labels", results.labels_tiff),
        ("labels", results.labels_zarr),
        ("tracks", results.tracks),
        ("prompts", results.prompts),
        ("run", results.run),
    ):
        say(f"{label:8} {path}")
