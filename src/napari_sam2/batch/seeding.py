"""Where the prompts of a job come from."""

from __future__ import annotations

from collections.abc import Iterable

from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.io.prompts_file import read_prompts
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import Prompt

__all__ = ["check_automatic", "prompts_of"]


def prompts_of(job: JobSpec, session: VideoSession, predictor: VideoPredictor) -> Iterable[Prompt]:
    """Return the prompts of a job that is begun without a session.

    Parameters
    ----------
    job : JobSpec
    session : VideoSession
        Its movie, without a prompt.
    predictor : VideoPredictor

    Raises
    ------
    ValueError
        If there is nothing to track.
    """
    path = job.prompts or job.labels
    if path is not None:
        return read_prompts(path)
    check_automatic()
    return ()


def check_automatic() -> None:
    """Refuse jobs without a click where nothing finds objects by itself.

    Raises
    ------
    ValueError
        Always, in this version.
    """
    raise ValueError("automatic prompts are not available in this version: give prompts or labels")
