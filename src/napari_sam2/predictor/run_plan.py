"""Which frames a run visits, and which objects it tracks on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
        Object id to frames whose masks are up to date or locked, and stay.
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
    Each object has its own passes: forward from its first prompted frame, and backward from
    there too, so that no frame is visited twice; prompted frames in between are met on the way.
    A run that only goes backward starts from the last prompted frame instead.
    """
    first, last = _range(session, options)
    objects = [i for i in _objects(session, options) if i not in session.locks.whole]
    steps = {"forward": (1,), "backward": (-1,), "both": (1, -1)}[options.direction]
    runs = []
    for step in steps:
        choose = max if options.direction == "backward" else min
        anchors = {i: choose(session.prompts.frames(i)) for i in objects}
        skipped = {i: _kept(session, i, options.resume) for i in objects}
        if options.direction == "both" and step == -1:
            # The forward pass has been at the frames that both start from.
            skipped = {i: frames | {anchors[i]} for i, frames in skipped.items()}
        order = range(first, last + 1) if step == 1 else range(last, first - 1, -1)
        run = Run(step, tuple(order), anchors, skipped)
        if frames := tuple(f for f in order if run.objects_on(f)):
            runs.append(replace(run, frames=frames))
    return tuple(runs)


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
