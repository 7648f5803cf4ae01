"""One line of planes through a movie of stacks, tracked as a movie of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.stack_state import StackState
from napari_sam2.prompts import MaskPrompt, Prompt

if TYPE_CHECKING:
    from napari_sam2.predictor.video import VideoPredictor


class PlaneLine:
    """Planes in the order in which objects are followed through them.

    Prompts, masks and locks are taken from the movie, and masks are written back to it. What the
    user prompts during a run counts for the planes still to come.

    Parameters
    ----------
    session : VideoSession
        The movie of stacks.
    planes : sequence of int
        Its frames, neighbours next to each other.
    objects : sequence of int
        Who is followed.
    """

    def __init__(
        self, session: VideoSession, planes: Sequence[int], objects: Sequence[int]
    ) -> None:
        self._session = session
        self._planes = planes
        self._objects = tuple(objects)
        self.line = session.on_line(planes)
        self._seeds: dict[int, int] = {}
        self._generation = -1
        self._take_prompts()

    @property
    def objects(self) -> tuple[int, ...]:
        """The objects that have something to start from here."""
        return tuple(i for i in self._objects if self.line.prompts.shown_on(i))

    def seed(self, object_id: int, plane: int) -> bool:
        """Let an object start from the mask that it has on a plane; whether it has one."""
        record = self._session.masklets.record(object_id, plane)
        if record is None or not record.visible:
            return False
        place = self._planes.index(plane)
        mask = record.mask(self._session.shape[1:])
        self.line.prompts.replace(object_id, place, [MaskPrompt(object_id, place, mask)])
        self._seeds[object_id] = place
        return True

    def seed_from_largest(self, object_id: int) -> bool:
        """Let an object without prompts here start from its largest mask here."""
        plane = largest_on(self._session, object_id, self._planes)
        return plane is not None and self.seed(object_id, plane)

    def track(
        self, predictor: VideoPredictor, options: PropagateOptions, state: StackState
    ) -> Iterator[FrameResult]:
        """Follow the objects along the line.

        Parameters
        ----------
        predictor : VideoPredictor
        options : PropagateOptions
            The range counts planes of the line.
        state : StackState
            If it knows a line in work, that was this one, and is gone on with.

        Yields
        ------
        FrameResult
            With the plane's number in the movie; the masks are in the movie's masklets.

        Notes
        -----
        Where an object was given up, older masks of it that nobody drew or locked are emptied.
        """
        objects = self.objects
        if not objects:
            return
        self._take_masks(objects, options.resume)
        begun = state.line
        if begun is None:
            # What stays has to count as tracked.
            locked = self.line.locks.frames
            predictor.restore(self.line, [i for i in objects if options.resume or locked.get(i)])
        else:
            self._go_on(begun)
        state.line = self.line
        passes = {1: (1,), -1: (1, -1)}.get(state.passing, ())
        self._let_go(state)
        seen: set[tuple[int, int]] = set()
        for result in predictor.propagate(self.line, replace(options, objects=objects), passes):
            found = self._written(result)
            seen.update((one.object_id, one.frame) for one in found.objects)
            state.passing = result.step
            yield found
            self._let_go(state)
            self._take_prompts()
        if not options.resume:
            yield from self._emptied(objects, seen, options)

    def _take_prompts(self) -> None:
        """Copy the prompts of the movie that lie on the line, where they have changed."""
        if self._generation == self._session.generation:
            return
        self._generation = self._session.generation
        for object_id in self._objects:
            for place, plane in enumerate(self._planes):
                group = self._session.prompts.on(object_id, plane)
                if group or self._seeds.get(object_id) != place:
                    moved = [at_frame(prompt, place) for prompt in group]
                    self.line.prompts.replace(object_id, place, moved)

    def _go_on(self, begun: VideoSession) -> None:
        """Take over what the engine knew along this line."""
        for object_id, known in begun.objects.items():
            self.line.objects[object_id] = known
            for place in begun.masklets.frames(object_id):
                record = begun.masklets.record(object_id, place)
                if record is not None:
                    self.line.masklets.write(object_id, place, record)
            for place in known.bank.prompted:
                known.bank.sources[place] = self.line.prompts.on(object_id, place)

    def _let_go(self, state: StackState) -> None:
        if state.forgets:
            self._session.features.clear()

    def _take_masks(self, objects: Iterable[int], is_resuming: bool) -> None:
        """Copy masks and locks, so that what is locked or not followed keeps its pixels."""
        whole = self._session.locks.whole
        self.line.locks.whole |= whole
        for object_id in self._session.masklets.object_ids():
            for place, plane in enumerate(self._planes):
                record = self._session.masklets.record(object_id, plane)
                is_locked = self._session.locks.holds(object_id, plane)
                if is_locked and object_id not in whole:
                    self.line.locks.add(object_id, [place])
                if record is None:
                    continue
                if object_id not in objects or is_locked or is_resuming:
                    self.line.masklets.write(object_id, place, record)

    def _written(self, result: FrameResult) -> FrameResult:
        """Write what was found on a plane of the line to the movie."""
        plane = self._planes[result.frame]
        found = []
        for one in result.objects:
            record = one.record
            if self._seeds.get(one.object_id) == result.frame:
                known = self._session.masklets.record(one.object_id, plane)
                record = record if known is None else known  # a seed is no prompt
            self._session.masklets.write(one.object_id, plane, record)
            found.append(ObjectResult(one.object_id, plane, record))
            if prompts := self._session.prompts.on(one.object_id, plane):
                self._session.followed.mark(one.object_id, ((plane, prompts),))
        return FrameResult(plane, tuple(found), self._session.generation, result.seconds)

    def _emptied(
        self, objects: Iterable[int], seen: set[tuple[int, int]], options: PropagateOptions
    ) -> Iterator[FrameResult]:
        """Empty older masks beyond the planes where their objects were given up."""
        stop = len(self._planes) - 1 if options.stop is None else options.stop
        reach = self._reach(objects, options)
        for place in range(options.start or 0, stop + 1):
            plane = self._planes[place]
            gone = [
                i
                for i in objects
                if reach[i][0] <= place <= reach[i][1] and (i, plane) not in seen
                if self._is_outdated(i, plane)
            ]
            for object_id in gone:
                self._session.masklets.write(object_id, plane, EMPTY)
            if gone:
                results = tuple(ObjectResult(i, plane, EMPTY) for i in gone)
                yield FrameResult(plane, results, self._session.generation, 0.0)

    def _reach(
        self, objects: Iterable[int], options: PropagateOptions
    ) -> dict[int, tuple[int, int]]:
        """Return the places that the directions of a run cover, by object."""
        last = len(self._planes) - 1
        frames = {i: self.line.prompts.frames(i) for i in objects}
        if options.direction == "forward":
            return {i: (min(places, default=0), last) for i, places in frames.items()}
        if options.direction == "backward":
            return {i: (0, max(places, default=last)) for i, places in frames.items()}
        return dict.fromkeys(frames, (0, last))

    def _is_outdated(self, object_id: int, plane: int) -> bool:
        record = self._session.masklets.record(object_id, plane)
        return (
            record is not None
            and record.visible
            and not record.prompted
            and not self._session.locks.holds(object_id, plane)
        )


EMPTY = MaskRecord((0, 0, 0, 0), b"", 0.0, -1.0)
"""Says that an object is not on a plane."""


def at_frame(prompt: Prompt, frame: int) -> Prompt:
    """Return the same prompt on another frame."""
    if isinstance(prompt, MaskPrompt):
        return MaskPrompt(prompt.object_id, frame, prompt.mask)
    return replace(prompt, frame=frame)


def largest_on(session: VideoSession, object_id: int, planes: Iterable[int]) -> int | None:
    """Return the plane on which an object is largest, None if it is on none."""
    records = {plane: session.masklets.record(object_id, plane) for plane in planes}
    areas = {plane: one.area for plane, one in records.items() if one is not None and one.visible}
    return max(areas, key=lambda plane: areas[plane], default=None)
