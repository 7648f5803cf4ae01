"""One job: a movie, prompts and options in; a folder of results out, frame by frame."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_sam2 import __version__
from napari_sam2.io.label_stack import LabelStackWriter
from napari_sam2.io.prompts_file import write_prompts
from napari_sam2.io.tracks import write_tracks
from napari_sam2.io.writing import refuse_overwrite, writing_whole
from napari_sam2.predictor.automatic_masklets import AutomaticMasklets
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.plane_runs import count_results
from napari_sam2.predictor.results import FrameResult
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.tracking.lineage import Lineage, find_divisions
from napari_sam2.tracking.tracks import Tracks, tracks_from_masklets

__all__ = ["Job", "JobReport", "ResultFolder", "run_job"]

Watch = Callable[[FrameResult, int], bool | None]


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """Where a job writes; each path is a file that other programs read."""

    root: Path

    @property
    def labels_zarr(self) -> Path:
        """Labels that fill while the job runs."""
        return self.root / "labels.zarr"

    @property
    def labels_tiff(self) -> Path:
        """The same labels, when the job has ended."""
        return self.root / "labels.tif"

    @property
    def tracks(self) -> Path:
        """Centres and parents of the objects."""
        return self.root / "tracks.csv"

    @property
    def prompts(self) -> Path:
        """The prompts, ready to be given again."""
        return self.root / "prompts.json"

    @property
    def run(self) -> Path:
        """How the results came about."""
        return self.root / "run.json"

    def prepare(self, *, overwrite: bool) -> None:
        """Make the folder, and refuse one with results before anything is computed.

        Raises
        ------
        FileExistsError
            If one of the results is there and `overwrite` is off, or the folder is a file.
        """
        if self.root.exists() and not self.root.is_dir():
            raise FileExistsError(f"{self.root} is a file: choose a folder for the results")
        for path in (self.labels_zarr, self.labels_tiff, self.tracks, self.prompts, self.run):
            refuse_overwrite(path, overwrite=overwrite)
        self.root.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Job:
    """What to track and where to put it.

    Parameters
    ----------
    session : VideoSession
        The movie with its prompts.
    predictor : VideoPredictor
        The engine.
    results : ResultFolder
        Prepared.
    options : PropagateOptions
        Objects, direction and range.
    overwrite : bool
        Whether older results may be replaced.
    about : dict
        What else to note in ``run.json``: movie, model, hash ...
    lineage : Lineage, optional
        Known divisions; found in the masks by default.
    search : AutomaticMasklets, optional
        Finds objects of the session by itself; `options` are of no meaning then.
    """

    session: VideoSession
    predictor: VideoPredictor
    results: ResultFolder
    options: PropagateOptions = field(default_factory=PropagateOptions)
    overwrite: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    lineage: Lineage | None = None
    search: AutomaticMasklets | None = None

    def count_results(self) -> int:
        """Return how many frames the run will answer, at most, both directions counted.

        Raises
        ------
        ValueError
            If there is nothing to track or the range is not in the movie.
        """
        if self.search is not None:
            return self.search.most_results()
        return count_results(self.session, self.options)


@dataclass(frozen=True, slots=True)
class JobReport:
    """What a job did.

    Parameters
    ----------
    results : ResultFolder
        Where it is.
    tracks : Tracks
        Centres and lineage.
    num_results : int
        Frames answered, both directions counted.
    seconds : float
        Time for them, reading and writing included.
    is_complete : bool
        False if the job was stopped before its end.
    """

    results: ResultFolder
    tracks: Tracks
    num_results: int
    seconds: float
    is_complete: bool

    @property
    def seconds_per_frame(self) -> float:
        """Mean time for a frame of one direction; 0 if none was answered."""
        return self.seconds / self.num_results if self.num_results else 0.0


def run_job(job: Job, watch: Watch | None = None) -> JobReport:
    """Track, writing each frame as it comes; then write labels, tracks and a note of the run.

    Parameters
    ----------
    job : Job
    watch : callable, optional
        Called with each result and the number of results so far; True stops the run there.

    Returns
    -------
    JobReport
        Also after a stop or an interrupt from the keyboard: what was done is written.

    Raises
    ------
    ValueError
        If there is nothing to track.
    OSError
        If the disk is full; the frames written before stay in ``labels.zarr``.
    """
    session, results = job.session, job.results
    if job.search is None:
        write_prompts(results.prompts, session.prompts.all(), overwrite=job.overwrite)
    labels = LabelStackWriter(
        results.labels_zarr, _label_shape(session), _label_type(session), overwrite=job.overwrite
    )
    started = time.perf_counter()
    count, is_complete = 0, False
    try:
        for result in _track(job, labels):
            count += 1
            if watch is not None and watch(result, count):
                break
        else:
            is_complete = True
    except KeyboardInterrupt:
        # Every frame that was answered is in the masklets; what follows writes it out.
        pass
    seconds = time.perf_counter() - started
    tracks = _finish(job, labels)
    report = JobReport(results, tracks, count, seconds, is_complete)
    _note(job, report)
    return report


def _label_shape(session: VideoSession) -> tuple[int, ...]:
    """Return (T, H, W), or (T, Z, H, W) of a movie of stacks."""
    grid = grid_of(session.frames)
    return session.shape if grid.is_line else (grid.times, grid.slices, *session.shape[1:])


def _label_type(session: VideoSession) -> str:
    """Return the label type that holds every object that has a prompt."""
    return "uint16" if max(session.prompts.object_ids(), default=0) < 2**16 else "uint32"


def _track(job: Job, labels: LabelStackWriter) -> Iterator[FrameResult]:
    """Yield the results of the run, each one on disk."""
    found = job.search.follow() if job.search else None
    for result in found or job.predictor.propagate(job.session, job.options):
        labels.write(result.frame, job.session.masklets.labels(result.frame))
        yield result


def _finish(job: Job, labels: LabelStackWriter) -> Tracks:
    """Write what the run did not pass (prompted frames outside its range), then TIFF and tracks."""
    masklets = job.session.masklets
    seen = {frame for masklet in masklets for frame in masklet.frames}
    missing = seen - set(labels.frames_written)
    if job.session.mothers:
        write_prompts(job.results.prompts, job.session.prompts.all(), overwrite=True)
    if job.search is not None:
        for _ in job.search.conclude():
            pass
        write_prompts(job.results.prompts, job.session.prompts.all(), overwrite=job.overwrite)
        # Objects that are dropped were on any of the frames.
        missing = seen
    for frame in sorted(missing):
        labels.write(frame, masklets.labels(frame))
    labels.save_tiff(job.results.labels_tiff, overwrite=job.overwrite)
    grid = grid_of(job.session.frames)
    lineage = job.lineage
    if job.search is not None:
        lineage = Lineage.from_mothers(job.search.state.mothers)
    if lineage is None:
        # In stacks the planes of one time are no times of their own.
        found = find_divisions(masklets) if grid.is_line else Lineage()
        lineage = found.completing(job.session.mothers)
    tracks = tracks_from_masklets(masklets, lineage, grid)
    write_tracks(job.results.tracks, tracks, overwrite=job.overwrite)
    return tracks


def _note(job: Job, report: JobReport) -> None:
    """Write how the results came about."""
    mapping = job.session.mapping
    note = {
        "napari_sam2": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **job.about,
        "runtime": job.predictor.runtime.describe(),
        "shape": list(_label_shape(job.session)),
        "intensities": {
            "low": list(mapping.low),
            "high": list(mapping.high),
            "channels": list(mapping.channels),
            "gamma": list(mapping.gamma),
        },
        "propagate": asdict(job.options),
        "search": job.search and {**asdict(job.search.find), **asdict(job.search.options)},
        "predictor": asdict(job.predictor.options),
        "objects": len(job.session.prompts.object_ids()),
        "is_complete": report.is_complete,
        "results": report.num_results,
        "seconds": round(report.seconds, 3),
        "seconds_per_frame": round(report.seconds_per_frame, 5),
    }
    with writing_whole(job.results.run, overwrite=job.overwrite) as unfinished:
        unfinished.write_text(json.dumps(note, indent=2) + "\n")
