"""What a batch will do, and everything that is wrong with it, before any work starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_sam2.batch.job_spec import SEEDS, JobSpec
from napari_sam2.batch.movie_folder import ENDINGS, MovieFolder
from napari_sam2.batch.report import report_problem
from napari_sam2.batch.seeding import check_search, prompts_of
from napari_sam2.batch.sources import Sources
from napari_sam2.io.read_planes import PlaneMovie
from napari_sam2.model.checkpoint import REGISTRY, available_models
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.options import PropagateOptions

__all__ = ["BatchPlan", "PlanError", "PlannedJob", "plan_batch", "propagate_options"]

State = Literal["new", "begun", "finished"]


class PlanError(ValueError):
    """Everything that is wrong with a batch.

    Parameters
    ----------
    problems : sequence of str
        One a line, each with the job that it is about.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} problem{'s' * (count != 1)}, nothing was started:\n{listed}")

    def __reduce__(self) -> tuple[type[PlanError], tuple[tuple[str, ...]]]:
        return PlanError, (self.problems,)


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job that can be started.

    Attributes
    ----------
    spec : JobSpec
        Its movie is named, if only by its session.
    state : {"new", "begun", "finished"}
    grid : PlaneGrid
        Times and slices of its movie.
    """

    spec: JobSpec
    state: State
    grid: PlaneGrid

    @property
    def frames(self) -> int:
        """Length of its movie; of a movie of stacks the number of its planes."""
        return len(self.grid)

    @property
    def folder(self) -> MovieFolder:
        """Where the results are, or will be."""
        return MovieFolder(self.spec.folder)


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """A batch that can be started.

    Attributes
    ----------
    jobs : tuple of PlannedJob
        In the order of the list.
    broken : tuple of (JobSpec, str)
        Jobs that cannot be started and why, if the others are wanted all the same.
    """

    jobs: tuple[PlannedJob, ...]
    broken: tuple[tuple[JobSpec, str], ...] = ()

    @property
    def waiting(self) -> tuple[PlannedJob, ...]:
        """The jobs that are not finished."""
        return tuple(job for job in self.jobs if job.state != "finished")


def plan_batch(
    jobs: Sequence[JobSpec], *, overwrite: bool = False, keep_going: bool = False
) -> BatchPlan:
    """Check every movie, prompt and output of a batch.

    Parameters
    ----------
    jobs : sequence of JobSpec
    overwrite : bool
        Whether results of other jobs by the same names may be replaced.
    keep_going : bool
        Leave out jobs with a problem of their own instead of refusing the batch.

    Returns
    -------
    BatchPlan

    Raises
    ------
    PlanError
        With every problem at once.
    """
    planned, broken, problems = [], [], []
    for number, job in enumerate(jobs, start=1):
        try:
            planned.append(_planned(job, overwrite))
        except (ValueError, OSError, RuntimeError) as error:
            broken.append((job, _text(error)))
            problems.append(f"job {number} ({job.title or 'without a movie'}): {_text(error)}")
    twice = [
        f"{count} jobs would write {folder}: give them names of their own"
        for folder, count in Counter(job.folder for job in jobs).items()
        if count > 1
    ]
    places = dict.fromkeys(job.out for job in jobs if job.out)
    strange = [problem for out in places if (problem := report_problem(Path(out)))]
    if twice or strange or (problems and not keep_going):
        raise PlanError([*problems, *twice, *strange])
    return BatchPlan(tuple(planned), tuple(broken))


def propagate_options(job: JobSpec, *, resume: bool) -> PropagateOptions:
    """Return the options of the run of a job.

    Raises
    ------
    ValueError
        If one is none of its choices.
    """
    return PropagateOptions(
        direction=job.direction,  # type: ignore[arg-type]
        start=job.first,
        stop=job.last,
        along=job.along,  # type: ignore[arg-type]
        patience=job.patience,
        resume=resume,
    )


def _planned(job: JobSpec, overwrite: bool) -> PlannedJob:
    if len(job.seeds) != 1:
        given = " and ".join(job.seeds) or "none"
        raise ValueError(f"its prompts come from {given}: give one of {', '.join(SEEDS)}")
    check_search(job)
    if not job.out:
        raise ValueError("no folder for its results is given: give `out`")
    unknown = [name for name in job.outputs if name not in ENDINGS]
    if unknown:
        raise ValueError(f"there is no format {unknown[0]!r}: choose of {', '.join(ENDINGS)}")
    _check_network(job)
    grid = _grid_of(job)
    folder = MovieFolder(job.folder)
    problem = folder.problem(job, overwrite=overwrite)
    if problem is not None:
        raise FileExistsError(problem)
    state: State = "begun" if folder.is_begun else "new"
    if overwrite:
        state = "new"
    elif folder.is_finished:
        state = "finished"
    return PlannedJob(job, state, grid)


def _check_network(job: JobSpec) -> None:
    propagate_options(job, resume=False)
    _ = job.predictor_options  # refuses what is no choice
    if job.model is None or job.model in REGISTRY or job.model in available_models():
        return
    if not Path(job.model).expanduser().is_file():
        raise FileNotFoundError(
            f"there is no network {job.model!r}: give a name that `napari-sam2 models list` shows, "
            "or the path of a weights file"
        )


def _grid_of(job: JobSpec) -> PlaneGrid:
    """Open the movie and the prompts of a job; return the times and slices of the movie."""
    sources = Sources.of(job)
    if not sources.movie and sources.record is not None:
        raise ValueError("the session's movie was in memory only: name its file as `movie`")
    if not sources.movie:
        raise ValueError("no movie is given")
    movie = sources.open()
    if job.session is None and not job.automatic:
        _check_prompts(job, movie)
    if job.automatic and not movie.grid.is_line:
        raise ValueError("in stacks nothing is found without a click: give prompts or labels")
    name, count = _range_of(job, movie)
    for frame in (job.first, job.last):
        if frame is not None and not 0 <= frame < count:
            raise ValueError(f"{name} {frame} is outside the movie: it has 0 to {count - 1}")
    return movie.grid


def _range_of(job: JobSpec, movie: PlaneMovie) -> tuple[str, int]:
    """Return what the range of a job counts, and how many of them there are."""
    grid = movie.grid
    if grid.is_line:
        return "frame", len(grid)
    return ("slice", grid.slices) if job.along == "z" else ("time", grid.times)


def _check_prompts(job: JobSpec, movie: PlaneMovie) -> None:
    prompts = prompts_of(job, movie.grid)
    path, count = job.prompts or job.labels, len(movie.grid)
    if not prompts:
        raise ValueError(f"{path} holds no prompt: there is nothing to track")
    late = [prompt.frame for prompt in prompts if prompt.frame >= count]
    if late:
        raise ValueError(f"{path} prompts frame {late[0]} and the movie has {count} frames")


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)
