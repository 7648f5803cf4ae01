"""``napari-sam2 run``: a session that was begun in napari, finished without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.cli.job_run import run_and_report
from napari_sam2.cli.opening import load_predictor
from napari_sam2.cli.options import Device, Out, Overwrite, Precision

if TYPE_CHECKING:
    from napari_sam2.io.session_file import SessionRecord
    from napari_sam2.predictor.session import VideoSession

__all__ = ["run"]


def run(
    session: Annotated[Path, typer.Argument(help="Folder NAME.sam2 that the dock has saved.")],
    out: Out,
    movie: Annotated[
        str | None,
        typer.Option(help="Another movie of the same size: prompts are used, masks are not."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Another network than the one that the session used.")
    ] = None,
    device: Device = None,
    dtype: Precision = None,
    overwrite: Overwrite = False,
) -> None:
    """Finish a session: track what is not tracked yet, write labels and tracks.

    Masks that are there stay. Accepted objects are not tracked, rejected ones are left out.
    """
    from napari_sam2.batch.job import Job, ResultFolder
    from napari_sam2.io.session_file import read_session
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.tracking.lineage import Lineage

    record = read_session(session)
    opened = _open(record, movie)
    results = ResultFolder(out)
    results.prepare(overwrite=overwrite)
    network = model or record.settings.get("model") or "bundled"
    predictor, about = load_predictor(network, device, dtype)
    predictor.restore(opened)
    about = {"session": str(session.absolute()), "movie": movie or record.movie.path, **about}
    lineage = Lineage.from_mothers(record.document.lineage) if movie is None else None
    way = record.settings.get("route") or {}
    options = PropagateOptions(resume=True, along=way.get("along", "both"))
    job = Job(opened, predictor, results, options, overwrite, about, lineage)
    run_and_report(job)


def _open(record: SessionRecord, other: str | None) -> VideoSession:
    """Open the movie with the session's contrast, prompts, locks and, if it is the same, masks."""
    from napari_sam2.io.session_movie import open_session_movie
    from napari_sam2.predictor.frames import IntensityMapping
    from napari_sam2.predictor.session import VideoSession

    path = other or record.movie.path
    if path is None:
        raise ValueError("the session's movie was in memory only: name its file with --movie")
    array, axes = open_session_movie(record, other)
    shown = record.settings.get("intensities")
    mapping = None
    if shown is not None and other is None:
        mapping = IntensityMapping(
            tuple(shown["low"]),
            tuple(shown["high"]),
            tuple(shown["channels"]),
            tuple(shown.get("gamma", ())),
        )
    session = VideoSession.open(array, mapping, axes)
    if mapping is not None and len(mapping.low) != session.frames.num_channels:
        raise ValueError(
            f"the session shows {len(mapping.low)} channels and {path} has "
            f"{session.frames.num_channels}: those of other layers are known to napari only, "
            "finish it there"
        )
    if session.shape != record.movie.shape:
        raise ValueError(
            f"{path} has {session.shape} (frames, height, width) and the session is of a movie of "
            f"{record.movie.shape}: name the movie with --movie"
        )
    document = record.document
    wanted = [i for i in document.object_ids if document.info(i).state != "rejected"]
    for prompt in document.prompts.all():
        if prompt.object_id in wanted:
            session.add(prompt)
    if other is None:
        _take_masks(session, record, wanted)
    return session


def _take_masks(session: VideoSession, record: SessionRecord, wanted: list[int]) -> None:
    document = record.document
    for masklet in document.masklets:
        if masklet.object_id in wanted:
            for frame, one in masklet.records.items():
                session.masklets.write(masklet.object_id, frame, one)
    for object_id in wanted:
        info = document.info(object_id)
        session.locks.add(object_id, info.locked)
        session.locks.limit(object_id, info.first, info.last)
        if info.is_fixed:
            session.locks.add(object_id)
