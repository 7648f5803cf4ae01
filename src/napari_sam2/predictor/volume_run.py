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
from napari_sam2.prompts import MaskPrompt

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
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        session: VideoSession,
        object_id: int,
        keeps_others: bool = False,
    ) -> None:
        self._predictor = predictor
        self._session = session
        self._object_id = object_id
        self._keeps_others = keeps_others
        self._grid = grid_of(session.frames)
        self._line = session.on_line(self._grid.along_time(0))

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
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        session: VideoSession,
        objects: Sequence[int],
        options: PropagateOptions,
    ) -> None:
        self._predictor = predictor
        self._session = session
        self._objects = objects
        self._options = options
        self._grid = grid_of(session.frames)
        self._passes = replace(options, direction="both", start=None, stop=None)
        self._chains = {i: HandOver(predictor, session, i) for i in objects}

    def track(self) -> Iterator[FrameResult]:
        """Yield one result a plane, and before it one for each slice of hand-over."""
        first, last = times_of(self._grid, self._options)
        direction = self._options.direction
        if direction != "backward":
            yield from self._sweep(range(first, last + 1), 1, is_second=False)
        if direction != "forward":
            yield from self._sweep(range(last, first - 1, -1), -1, is_second=direction == "both")

    def _sweep(self, times: range, step: int, is_second: bool) -> Iterator[FrameResult]:
        """Go through times in one direction; a second sweep leaves out where the first began."""
        is_last = step == -1 and not is_second
        anchors = {i: (max if is_last else min)(self._times(i)) for i in self._objects}
        slices: dict[int, int] = {}
        for time in times:
            active = [i for i in self._objects if (time - anchors[i]) * step >= 0]
            if is_second:
                for object_id in [i for i in active if time == anchors[i]]:
                    self._remember(object_id, time, slices)
                active = [i for i in active if time != anchors[i]]
            if active:
                yield from self._visit(time, step, active, slices)

    def _visit(
        self, time: int, step: int, active: list[int], slices: dict[int, int]
    ) -> Iterator[FrameResult]:
        """Hand objects over to a time and follow them through its depth."""
        planes = self._grid.along_z(time)
        waiting = [i for i in active if not self._is_done(i, time)]
        line = PlaneLine(self._session, planes, waiting)
        prompted = set(line.objects)
        for object_id in waiting:
            if object_id not in prompted and object_id in slices:
                plane, record = self._chains[object_id].step(time, step, slices[object_id])
                if not self._session.locks.holds(object_id, plane):
                    self._session.masklets.write(object_id, plane, record)
                result = ObjectResult(object_id, plane, record)
                yield FrameResult(plane, (result,), self._session.generation, 0.0)
                if not line.seed(object_id, plane):
                    yield from self._emptied(object_id, planes)
        yield from line.track(self._predictor, self._passes)
        for object_id in active:
            # From a prompt, and from masks that a run with resume leaves, memory begins anew.
            if object_id in prompted or object_id not in waiting:
                self._remember(object_id, time, slices)
            elif (plane_now := self._chains[object_id].middle(time)) is not None:
                slices[object_id] = self._grid.place(plane_now)[1]

    def _remember(self, object_id: int, time: int, slices: dict[int, int]) -> None:
        chain = self._chains[object_id]
        plane = chain.middle(time)
        if plane is not None and chain.begin(time):
            slices[object_id] = self._grid.place(plane)[1]

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

    def _times(self, object_id: int) -> list[int]:
        """Return the times at which an object has prompts, ascending; it has some."""
        frames = self._session.prompts.frames(object_id)
        return sorted({self._grid.place(frame)[0] for frame in frames})


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
