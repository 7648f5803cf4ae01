"""One id through depth and time: stack after stack, handed over in the middle slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.masklets import MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.composed_frames import LineFrames, grid_of
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.plane_line import EMPTY, PlaneLine, largest_on
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.stack_state import StackState
from napari_sam2.prompts import MaskPrompt, say_absent

if TYPE_CHECKING:
    from napari_sam2.predictor.video import VideoPredictor


class HandOver:
    """Follows one object through time in the slice where it is largest.

    The slice may be another one at each time, so an object that drifts in depth is not lost.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
        The movie of stacks.
    object_id : int
    keeps_others : bool
        Whether the masks of all others are certain: nothing is taken from them.
    line : VideoSession, optional
        The line through time along which it was handed over before.
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        session: VideoSession,
        object_id: int,
        keeps_others: bool = False,
        line: VideoSession | None = None,
    ) -> None:
        self._predictor = predictor
        self._session = session
        self._object_id = object_id
        self._keeps_others = keeps_others
        self._grid = grid_of(session.frames)
        self._line = line or session.on_line(self._grid.along_time(0))

    @property
    def line(self) -> VideoSession:
        """The line through time; on which slice it is at each is decided on the way."""
        return self._line

    def begin(self, time: int) -> bool:
        """Go on from the largest mask of a time; whether there is one."""
        plane = self.middle(time)
        record = None if plane is None else self._session.masklets.record(self._object_id, plane)
        if plane is None or record is None:
            return False
        self._go_to(time, plane)
        mask = record.mask(self._session.shape[1:])
        prompt = MaskPrompt(self._object_id, time, mask)
        self._line.prompts.replace(self._object_id, time, [prompt])
        return True

    def middle(self, time: int) -> int | None:
        """Return the plane of a time on which the object is largest."""
        return largest_on(self._session, self._object_id, self._grid.along_z(time))

    def step(self, time: int, step: int, z: int) -> tuple[int, MaskRecord]:
        """Find the object at a time, coming from its neighbour; return plane and mask."""
        plane = self._grid.plane(time, z)
        self._go_to(time, plane)
        if self._keeps_others:
            self._keep_others(time, plane)
        options = PropagateOptions(
            (self._object_id,), "forward" if step == 1 else "backward", time, time
        )
        record = EMPTY
        for result in self._predictor.propagate(self._line, options):
            record = result.objects[0].record
        return plane, record

    def _keep_others(self, time: int, plane: int) -> None:
        for other in self._session.masklets.object_ids():
            record = self._session.masklets.record(other, plane)
            if other != self._object_id and record is not None:
                self._line.masklets.write(other, time, record)
                self._line.locks.add(other)

    def _go_to(self, time: int, plane: int) -> None:
        frames = self._line.frames
        assert isinstance(frames, LineFrames)
        frames.planes[time] = plane


class VolumeRun:
    """A run of several objects through time and depth.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
        The movie of stacks.
    objects : sequence of int
    options : PropagateOptions
        The range counts times.
    state : StackState
        Where it begins, and where it is.
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        session: VideoSession,
        objects: Sequence[int],
        options: PropagateOptions,
        state: StackState,
    ) -> None:
        self._predictor = predictor
        self._session = session
        self._objects = objects
        self._options = options
        self._grid = grid_of(session.frames)
        self._passes = replace(options, direction="both", start=None, stop=None)
        self._state = state
        self._chains = {
            i: HandOver(predictor, session, i, line=state.chains.get(i)) for i in objects
        }
        state.chains = {i: chain.line for i, chain in self._chains.items()}

    def track(self) -> Iterator[FrameResult]:
        """Yield one result a plane, and before it one for each slice of hand-over."""
        first, last = times_of(self._grid, self._options)
        ways = {"forward": (1,), "backward": (-1,), "both": (1, -1)}[self._options.direction]
        for number, step in enumerate(ways):
            if number >= self._state.sweep:
                yield from self._sweep(range(first, last + 1)[::step], step, number == 1)
                self._state.turn()

    def _sweep(self, times: range, step: int, is_second: bool) -> Iterator[FrameResult]:
        """Go through times in one direction; a second sweep leaves out where the first began."""
        is_last = step == -1 and not is_second
        choose = max if is_last else min
        anchors = {i: choose(_prompted_times(self._session, i)) for i in self._objects}
        begun = self._state.place
        for time in times if begun is None else times[times.index(begun) :]:
            active = [i for i in self._objects if (time - anchors[i]) * step >= 0]
            if is_second:
                if time != begun:
                    for object_id in [i for i in active if time == anchors[i]]:
                        self._remember(object_id, time)
                active = [i for i in active if time != anchors[i]]
            if active:
                if time != begun:
                    waiting = tuple(i for i in active if not self._is_done(i, time))
                    self._state.enter(time, waiting)
                yield from self._visit(time, step, active)

    def _visit(self, time: int, step: int, active: list[int]) -> Iterator[FrameResult]:
        """Hand objects over to a time and follow them through its depth."""
        state, planes = self._state, self._grid.along_z(time)
        line = PlaneLine(self._session, planes, state.waiting)
        prompted = set(line.objects)
        for object_id in state.waiting:
            if object_id in prompted or object_id not in state.slices:
                continue
            if object_id not in state.handed:
                yield self._handed_over(object_id, time, step)
            if not line.seed(object_id, state.handed[object_id]):
                yield from self._emptied(object_id, planes)
        yield from line.track(self._predictor, self._passes, state)
        for object_id in active:
            # From a prompt, and from masks that a run with resume leaves, memory begins anew.
            if object_id in prompted or object_id not in state.waiting:
                self._remember(object_id, time)
            elif (plane_now := self._chains[object_id].middle(time)) is not None:
                state.slices[object_id] = self._grid.place(plane_now)[1]

    def _handed_over(self, object_id: int, time: int, step: int) -> FrameResult:
        """Find an object at a time in the slice where it was before, or one beside it."""
        z = self._state.slices[object_id]
        plane, record = self._grid.plane(time, z), EMPTY
        prompts = self._session.prompts
        may_be = [p for p in self._grid.along_z(time) if not say_absent(prompts.on(object_id, p))]
        if may_be:
            nearest = min(may_be, key=lambda p: abs(self._grid.place(p)[1] - z))
            _, z = self._grid.place(nearest)
            plane, record = self._chains[object_id].step(time, step, z)
            if not self._session.locks.holds(object_id, plane):
                self._session.masklets.write(object_id, plane, record)
        self._state.handed[object_id] = plane
        result = ObjectResult(object_id, plane, record)
        return FrameResult(plane, (result,), self._session.generation, 0.0)

    def _remember(self, object_id: int, time: int) -> None:
        chain = self._chains[object_id]
        plane = chain.middle(time)
        if plane is not None and chain.begin(time):
            self._state.slices[object_id] = self._grid.place(plane)[1]

    def _emptied(self, object_id: int, planes: range) -> Iterator[FrameResult]:
        """Empty the masks of an earlier run at a time on which the object is gone."""
        for plane in planes:
            record = self._session.masklets.record(object_id, plane)
            is_kept = record is None or record.prompted or not record.visible
            if not is_kept and not self._session.locks.holds(object_id, plane):
                self._session.masklets.write(object_id, plane, EMPTY)
                result = ObjectResult(object_id, plane, EMPTY)
                yield FrameResult(plane, (result,), self._session.generation, 0.0)

    def _is_done(self, object_id: int, time: int) -> bool:
        """Whether a run with resume leaves an object alone at a time."""
        if not self._options.resume:
            return False
        return any(
            record is not None and not record.prompted and record.visible
            for plane in self._grid.along_z(time)
            if (record := self._session.masklets.record(object_id, plane))
        )


def most_results(session: VideoSession, objects: Sequence[int], options: PropagateOptions) -> int:
    """Return how many results a run along both yields at most; see `plane_runs.count_results`."""
    grid = grid_of(session.frames)
    first, last = times_of(grid, options)
    choose = max if options.direction == "backward" else min
    anchors = [choose(_prompted_times(session, i)) for i in objects]
    total = 0
    for time in range(first, last + 1):
        ahead = 0 if options.direction == "backward" else sum(time >= one for one in anchors)
        back = 0 if options.direction == "forward" else sum(time <= one for one in anchors)
        if options.direction == "both":
            back -= anchors.count(time)  # has been met on the way forward
        # Objects that are largest on different slices go through depth in two passes.
        total += sum(n + grid.slices * min(n, 2) for n in (ahead, back))
    return total


def times_of(grid: PlaneGrid, options: PropagateOptions) -> tuple[int, int]:
    """Return the first and last time of a run along both.

    Raises
    ------
    ValueError
        If they are not in the movie.
    """
    last = grid.times - 1
    start = 0 if options.start is None else options.start
    stop = last if options.stop is None else options.stop
    if not 0 <= start <= stop <= last:
        raise ValueError(
            f"times {start} to {stop} are no range of this movie: it has times 0 to {last}, and "
            "the first may not lie behind the last"
        )
    return start, stop


def _prompted_times(session: VideoSession, object_id: int) -> list[int]:
    """Return the times at which prompts show an object, ascending; some say where it is not."""
    grid = grid_of(session.frames)
    return sorted({grid.place(frame)[0] for frame in session.prompts.starts(object_id)})
