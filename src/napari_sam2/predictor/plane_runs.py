"""Runs through a movie of stacks: along time, along z, or both with one id.

The network follows an object from frame to frame. Here a frame is a plane, and a run is made of
lines of planes that are neighbours: one slice through time, or one time through depth. For both, an
object goes through depth at the time of its prompt; from the slice on which it is largest it is
handed over to the next time, and goes through depth there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.plane_line import PlaneLine
from napari_sam2.predictor.results import FrameResult
from napari_sam2.predictor.run_plan import plan_runs
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.stack_state import StackState
from napari_sam2.predictor.volume_run import VolumeRun, most_results

if TYPE_CHECKING:
    from napari_sam2.predictor.video import VideoPredictor

__all__ = ["count_results", "propagate_planes"]

PATIENCE = 3
"""Slices in a row without an object after which it has ended, unless the options say otherwise."""


def propagate_planes(
    predictor: VideoPredictor,
    session: VideoSession,
    options: PropagateOptions,
    state: StackState | None = None,
) -> Iterator[FrameResult]:
    """Follow objects through a movie of stacks; see `VideoPredictor.propagate`.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
        The engine has adopted it.
    options : PropagateOptions
    state : StackState, optional
        Where an ended run with these options was: this one goes on there.
    """
    state = StackState() if state is None else state
    objects = _objects(session, options)
    grid = grid_of(session.frames)
    session.followed.along = options.along
    if options.along == "both":
        passes = replace(options, patience=options.patience or PATIENCE)
        yield from VolumeRun(predictor, session, objects, passes, state).track()
        return
    if options.along == "z":
        options = replace(options, patience=options.patience or PATIENCE)
    begun = state.place
    for number, planes in enumerate(_lines(session, grid, objects, options)):
        if begun is not None and number < begun:
            continue
        if number != begun:
            state.enter(number)
        line = PlaneLine(session, planes, objects)
        if options.at is not None:
            for object_id in set(objects) - set(line.objects):
                line.seed_from_largest(object_id)
        yield from line.track(predictor, options, state)


def count_results(session: VideoSession, options: PropagateOptions) -> int:
    """Return how many frames a run answers at most, each direction counted.

    Raises
    ------
    ValueError
        If there is nothing to propagate or the range is not in the movie.
    """
    grid = grid_of(session.frames)
    if grid.is_line:
        return sum(len(run.frames) for run in plan_runs(session, options))
    objects = _objects(session, options)
    if options.along == "both":
        return most_results(session, objects, options)
    total = 0
    for planes in _lines(session, grid, objects, options):
        line = PlaneLine(session, planes, objects)
        found = line.objects
        if found:
            runs = plan_runs(line.line, replace(options, objects=found, resume=False))
            total += sum(len(run.frames) for run in runs)
        else:
            total += len(planes)
    return total


def _objects(session: VideoSession, options: PropagateOptions) -> tuple[int, ...]:
    """Return the objects of a run.

    Raises
    ------
    ValueError
        If there are none, or one has nothing to start from.
    """
    known = session.prompts.object_ids()
    if options.at is not None and options.along != "both":
        known = tuple(sorted({*known, *session.masklets.object_ids()}))
    if not known:
        raise ValueError("nothing to propagate: no object has a prompt; add a click, box or mask")
    chosen = known if options.objects is None else tuple(sorted(set(options.objects)))
    missing = [i for i in chosen if i not in known]
    if missing:
        raise ValueError(
            f"object {missing[0]} has no prompts; add one, or choose among "
            f"{', '.join(map(str, known))}"
        )
    return tuple(i for i in chosen if i not in session.locks.whole)


def _lines(
    session: VideoSession, grid: PlaneGrid, objects: Sequence[int], options: PropagateOptions
) -> list[range]:
    """Return the lines of a run along time or along z.

    Raises
    ------
    ValueError
        If the only line asked for is not in the movie, or holds none of the objects.
    """
    is_time = options.along == "time"
    lines = [grid.along_time(z) for z in range(grid.slices)] if is_time else [
        grid.along_z(t) for t in range(grid.times)
    ]  # fmt: skip
    if options.at is None:
        prompted = {frame for i in objects for frame in session.prompts.frames(i)}
        return [line for line in lines if prompted.intersection(line)]
    what, length = ("slice", "slices") if is_time else ("time", "times")
    if options.at >= len(lines):
        raise ValueError(
            f"{what} {options.at} is outside the movie: it has {length} 0 to {len(lines) - 1}"
        )
    line = lines[options.at]
    known = [i for i in objects if set(line) & {*session.prompts.frames(i), *_seen(session, i)}]
    if not known:
        raise ValueError(
            f"no object has a prompt or a mask at {what} {options.at}: click one there first"
        )
    return [line]


def _seen(session: VideoSession, object_id: int) -> tuple[int, ...]:
    return session.masklets.frames(object_id)
