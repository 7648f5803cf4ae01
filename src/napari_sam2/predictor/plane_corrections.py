"""Corrections in movies of stacks: one object, outwards along the way that the last run went.

Along time or along z the masks of one line change, until they agree with those that were there.
Through both, the depth of the corrected time comes first; then the object is handed over to the
neighbouring times, and goes through depth again where its mask there is another one now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from napari_sam2.masklets import MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.correction import agreement
from napari_sam2.predictor.followed import HalfDone, Sources
from napari_sam2.predictor.options import Along, CorrectOptions
from napari_sam2.predictor.plane_line import EMPTY, at_frame
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.volume_run import HandOver
from napari_sam2.prompts import MaskPrompt

if TYPE_CHECKING:
    from napari_sam2.predictor.video import VideoPredictor

__all__ = ["correct_planes", "is_tracked"]


def is_tracked(session: VideoSession, object_id: int, plane: int) -> bool:
    """Whether a run has been where a prompt is, so that it corrects what is around it.

    Parameters
    ----------
    session : VideoSession
        A movie of stacks.
    object_id, plane : int
    """
    grid, along = grid_of(session.frames), session.followed.along
    line = list(_line(grid, along, plane))
    if along == "time":
        place = line.index(plane)
        line = line[max(place - 1, 0) : place + 2]
    records = [session.masklets.record(object_id, one) for one in line if one != plane]
    return any(record is not None and not record.prompted for record in records)


def correct_planes(
    predictor: VideoPredictor, session: VideoSession, options: CorrectOptions
) -> Iterator[FrameResult]:
    """Draw the consequences of corrections in a movie of stacks; see `VideoPredictor.correct`."""
    for object_id in session.prompts.object_ids():
        is_asked = options.objects is None or object_id in options.objects
        if not is_asked or object_id in session.locks.whole:
            continue
        for sources in _waiting(session, object_id):
            begun = session.followed.begun(object_id, sources)
            yield from PlaneCorrection(predictor, session, object_id, options).follow(begun)
            session.followed.mark(object_id, sources)


class PlaneCorrection:
    """Follows one object from its corrections on one line.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
        The movie of stacks.
    object_id : int
    options : CorrectOptions
        When a mask counts as unchanged.
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        session: VideoSession,
        object_id: int,
        options: CorrectOptions,
    ) -> None:
        self._predictor = predictor
        self._session = session
        self._object_id = object_id
        self._options = options
        self._grid = grid_of(session.frames)

    def follow(self, begun: HalfDone) -> Iterator[FrameResult]:
        """Yield each plane that was computed, its mask already in the movie's masklets."""
        along = self._session.followed.along
        corrected = [plane for plane, _ in begun.sources]
        yield from self._spread(_line(self._grid, along, corrected[0]), corrected, begun.planes)
        if along == "both":
            time = self._grid.place(corrected[0])[0]
            for step in (1, -1):
                yield from self._hand_over(time, step, begun.times)

    def _spread(
        self, planes: Sequence[int], corrected: Sequence[int], done: set[int]
    ) -> Iterator[FrameResult]:
        """Go outwards along a line from the masks that the object has on these planes."""
        line = self._copied(planes, corrected)
        self._predictor.restore(line, [self._object_id])
        state = line.objects[self._object_id]
        if self._session.followed.along != "time":
            # Where a run through depth left nothing it has been, too.
            for place in range(len(planes)):
                state.tracked.setdefault(place, state.revision)
        state.revision += 1
        places = {place for place, plane in enumerate(planes) if plane in corrected}
        state.corrected |= places
        up_to_date = places | {place for place, plane in enumerate(planes) if plane in done}
        state.tracked.update(dict.fromkeys(up_to_date, state.revision))
        for result in self._predictor.correct(line, replace(self._options, objects=None)):
            plane = planes[result.frame]
            done.add(plane)
            yield self._written(plane, result.objects[0].record, result.seconds)

    def _hand_over(self, time: int, step: int, gone: dict[int, bool]) -> Iterator[FrameResult]:
        """Take the object from a time to its neighbours until its masks there have settled."""
        chain = HandOver(self._predictor, self._session, self._object_id, keeps_others=True)
        middle, agreeing = chain.middle(time), 0
        if middle is None or not chain.begin(time):
            return
        while agreeing < self._options.settled_frames and self._is_ahead(time + step):
            time += step
            started = perf_counter()
            plane = self._grid.plane(time, self._grid.place(middle)[1])
            before = self._session.masklets.record(self._object_id, plane)
            _, record = chain.step(time, step, self._grid.place(plane)[1])
            if time not in gone:
                is_held = self._session.locks.holds(self._object_id, plane)
                has_agreed = is_held or agreement(before, record) >= self._options.agreement
                if not is_held:
                    yield self._written(plane, record, perf_counter() - started)
                if not has_agreed:
                    yield from self._go_through(plane, record)
                gone[time] = has_agreed
            agreeing = agreeing + 1 if gone[time] else 0
            found = chain.middle(time)
            middle = plane if found is None else found

    def _go_through(self, plane: int, record: MaskRecord) -> Iterator[FrameResult]:
        """Follow an object through the depth of a time to which it was handed over."""
        planes = self._grid.along_z(self._grid.place(plane)[0])
        if record.visible:
            yield from self._spread(planes, [plane], set())
            return
        for other in planes:
            known = self._session.masklets.record(self._object_id, other)
            is_left = known is not None and known.visible
            if is_left and not self._session.locks.holds(self._object_id, other):
                yield self._written(other, EMPTY, 0.0)

    def _is_ahead(self, time: int) -> bool:
        """Whether a run handed the object over to a time: there are masks, and no prompts."""
        if not 0 <= time < self._grid.times:
            return False
        planes = set(self._grid.along_z(time))
        known = planes.intersection(self._session.masklets.frames(self._object_id))
        return bool(known) and not planes.intersection(
            self._session.prompts.frames(self._object_id)
        )

    def _copied(self, planes: Sequence[int], corrected: Sequence[int]) -> VideoSession:
        """Return a line as a movie of its own; where no prompt is, the mask stands in for one."""
        session, own = self._session, self._object_id
        line = session.on_line(planes)
        for place, plane in enumerate(planes):
            for object_id in session.masklets.object_ids():
                record = session.masklets.record(object_id, plane)
                if record is not None:
                    line.masklets.write(object_id, place, record)
            if session.locks.holds(own, plane):
                line.locks.add(own, [place])
            prompts = [at_frame(one, place) for one in session.prompts.on(own, plane)]
            if plane in corrected and not prompts:
                prompts = [MaskPrompt(own, place, line.masklets.mask(own, place))]
            line.prompts.replace(own, place, prompts)
        return line

    def _written(self, plane: int, record: MaskRecord, seconds: float) -> FrameResult:
        self._session.masklets.write(self._object_id, plane, record)
        found = (ObjectResult(self._object_id, plane, record),)
        return FrameResult(plane, found, self._session.generation, seconds)


def _line(grid: PlaneGrid, along: Along, plane: int) -> range:
    """Return the planes over which a correction spreads first."""
    time, z = grid.place(plane)
    return grid.along_time(z) if along == "time" else grid.along_z(time)


def _waiting(session: VideoSession, object_id: int) -> list[Sources]:
    """Return the corrections of an object that have not been followed, those of a line together."""
    grid, followed = grid_of(session.frames), session.followed
    lines: dict[int, list[int]] = {}
    for plane in session.prompts.frames(object_id):
        is_open = followed.is_open(object_id, plane, session.prompts.on(object_id, plane))
        if is_open and session.masklets.record(object_id, plane) is not None:
            lines.setdefault(_line(grid, followed.along, plane).start, []).append(plane)
    return [
        tuple((plane, session.prompts.on(object_id, plane)) for plane in planes)
        for _, planes in sorted(lines.items())
        if any(is_tracked(session, object_id, plane) for plane in planes)
    ]
