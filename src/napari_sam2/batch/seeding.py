"""Where the objects of a job come from: prompts that were given, or a search of the movie."""

from __future__ import annotations

from collections.abc import Sequence

from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.io.prompts_file import prompts_from_labels, read_prompts
from napari_sam2.io.read_planes import read_planes
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.automatic_masklets import AutomaticMasklets
from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
from napari_sam2.predictor.automatic_state import SearchState
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import Prompt

__all__ = ["check_search", "prompts_of", "search_of"]


def prompts_of(job: JobSpec, grid: PlaneGrid) -> Sequence[Prompt]:
    """Return the prompts of a job that is begun without a session; none of an automatic one.

    Parameters
    ----------
    job : JobSpec
    grid : PlaneGrid
        Times and slices of its movie. Where there are slices, each object of a label stack is
        prompted at the first time that has it, in the slice on which it is largest.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is not there, or cannot be read.
    """
    path = job.prompts or job.labels
    if path is None:
        return ()
    if job.prompts or grid.slices == 1:
        return read_prompts(path)
    labels = read_planes(path)
    if len(labels.shape) != 3 or labels.dtype.kind not in "uib":
        raise ValueError(f"{path} holds no labels: give integers, one id an object")
    times, rest = divmod(len(labels.grid), grid.slices)
    if rest:
        raise ValueError(
            f"{path} has {len(labels.grid)} planes and the movie {grid.slices} slices at a time: "
            "give labels of whole stacks"
        )
    return prompts_from_labels(labels, PlaneGrid(times, grid.slices))


def search_of(
    job: JobSpec, predictor: VideoPredictor, session: VideoSession, state: SearchState | None
) -> AutomaticMasklets | None:
    """Return the search for objects that a job asks for, None if it has prompts.

    Parameters
    ----------
    job : JobSpec
    predictor : VideoPredictor
    session : VideoSession
    state : SearchState or None
        How far an earlier run of the same job came.
    """
    if not job.automatic:
        return None
    return AutomaticMasklets(predictor, session, *_options(job), state or SearchState())


def check_search(job: JobSpec) -> None:
    """Refuse a search that cannot be made.

    Raises
    ------
    ValueError
        If an option is out of its bounds or of no use.
    """
    _options(job)
    if not job.automatic and (job.diameter is not None or job.every is not None):
        raise ValueError("`diameter` and `every` are for jobs with `automatic`")
    if job.automatic and job.divided == "daughters":
        raise ValueError("an automatic job finds daughters by itself: leave `divided` out")
    if job.automatic and job.direction != "both":
        raise ValueError("an automatic job goes both ways: leave `direction` out")


def _options(job: JobSpec) -> tuple[FindOptions, AutomaticOptions]:
    find = FindOptions(diameter=job.diameter)
    every = AutomaticOptions().every if job.every is None else job.every
    return find, AutomaticOptions(every=every, start=job.first, stop=job.last)
