"""Which frames a run visits, and which objects it tracks on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.session import VideoSession


@dataclass(frozen=True, slots=True)
class Run:
    """One pass through the movie in one direction.

    Attributes
    ----------
    step : {1, -1}
        Forward or backward.
    frames : tuple of int
        Frames in the order of travel.
    anchors : mapping of int to int
        Object id to the prompted frame that its pass starts from.
    skipped : mapping of int to frozenset of int
        Object id to frames that are left out: their masks are up to date or locked, and stay, or
        the other pass reaches them.
    """

    step: int
    frames: tuple[int, ...]
    anchors: Mapping[int, int]
    skipped: Mapping[int, frozenset[int]]

    def objects_on(self, frame: int) -> tuple[int, ...]:
        """Objects that the run visits on a frame, ascending."""
        return tuple(
            object_id
            for object_id, anchor in sorted(self.anchors.items())
            if (frame - anchor) * self.step >= 0
            and frame not in self.skipped.get(object_id, frozenset())
        )


def plan_runs(session: VideoSession, options: PropagateOptions) -> tuple[Run, ...]:
    """Plan the passes that the options ask for.

    Parameters
    ----------
    session : VideoSession
        Its prompts are committed.
    options : PropagateOptions

    Returns
    -------
    tuple of Run
        Forward before backward; passes without a frame are left out.

    Raises
    ------
    ValueError
        If nothing has a prompt, an object asked for has none, or the range is empty or outside
        the movie.

    Notes
    -----
    A run both ways reaches each frame from the prompted frame that is nearest, the earlier one of
    two, and no frame twice: what a person said of an object holds before the frame as well as
    after it. A run one way goes from an object's first prompted frame on, or from the last one
    back; prompted frames in between are met on the way.
    """
    first, last = _range(session, options)
    objects = [i for i in _objects(session, options) if i not in session.locks.whole]
    steps = {"forward": (1,), "backward": (-1,), "both": (1, -1)}[options.direction]
    runs = []
    starts = {i: session.prompts.starts(i) for i in objects}
    back: dict[int, frozenset[int]] = {}
    if options.direction == "both":
        starts = {i: _within_reach(frames, last) for i, frames in starts.items()}
        back = {i: _nearer_to_the_next(starts[i], first, last) for i in objects}
    for step in steps:
        anchors = {i: frames[0 if step == 1 else -1] for i, frames in starts.items()}
        skipped = {i: _kept(session, i, options.resume) for i in objects}
        order = range(first, last + 1) if step == 1 else range(last, first - 1, -1)
        for i, reached in back.items():
            skipped[i] |= reached if step == 1 else frozenset(order) - reached
        run = Run(step, tuple(order), anchors, skipped)
        if frames := tuple(f for f in order if run.objects_on(f)):
            runs.append(replace(run, frames=frames))
    return tuple(runs)


def _within_reach(starts: Sequence[int], last: int) -> tuple[int, ...]:
    """Return the starts up to the end of a range, or else the first one behind it."""
    return (starts[0], *(frame for frame in starts[1:] if frame <= last))


def _nearer_to_the_next(starts: Sequence[int], first: int, last: int) -> frozenset[int]:
    """Return the frames of a range that are reached backward, each from the start behind it."""
    found = set(range(first, min(starts[0], last + 1)))
    for before, after in pairwise(starts):
        found.update(range(max((before + after) // 2 + 1, first), after))
    return frozenset(found)


def _kept(session: VideoSession, object_id: int, is_resuming: bool) -> frozenset[int]:
    """Frames whose masks stay: locked ones and, where a run goes on, those up to date."""
    frames = range(session.num_frames)
    kept = {frame for frame in frames if session.locks.holds(object_id, frame)}
    state = session.objects.get(object_id)
    if state is not None and is_resuming:
        kept |= {f for f, revision in state.tracked.items() if revision == state.revision}
    return frozenset(kept)


def _range(session: VideoSession, options: PropagateOptions) -> tuple[int, int]:
    last = session.num_frames - 1
    start = 0 if options.start is None else options.start
    stop = last if options.stop is None else options.stop
    if not 0 <= start <= stop <= last:
        raise ValueError(
            f"frames {start} to {stop} are no range of this movie: it has frames 0 to {last}, "
            "and the first may not lie behind the last"
        )
    return start, stop


def _objects(session: VideoSession, options: PropagateOptions) -> tuple[int, ...]:
    prompted = session.prompts.object_ids()
    if not prompted:
        raise ValueError("nothing to propagate: no object has a prompt; add a click, box or mask")
    if options.objects is None:
        return prompted
    missing = [i for i in options.objects if i not in prompted]
    if missing:
        raise ValueError(
            f"object {missing[0]} has no prompts; add one, or choose among "
            f"{', '.join(map(str, prompted))}"
        )
    return tuple(sorted(set(options.objects)))
