"""Masklets of a whole movie without a click: find, follow, look again, keep what is consistent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.automatic import ObjectFinder, covered_part, without_duplicates
from napari_sam2.predictor.automatic_masks import end_mother, leave_frames, nearest_piece
from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
from napari_sam2.predictor.automatic_state import SearchState
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.diameter import estimate_diameter
from napari_sam2.predictor.options import CorrectOptions, PropagateOptions
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking.proposals import divisions_of_newcomers
from napari_sam2.tracking.quality import quality_of

__all__ = ["AutomaticMasklets"]


@dataclass
class AutomaticMasklets:
    """Seeds a movie on key frames and follows what it finds.

    On each key frame, objects that nothing running covers are new: they get a mask prompt, are
    followed backward to the key frame before, as far as no other object is there, and forward
    with all others. Masklets that are short or unsure are dropped at the end.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
        Objects that are there already are followed too, and never dropped.
    find : FindOptions
    options : AutomaticOptions

    Attributes
    ----------
    state : SearchState
        How far it is; with it and the session a run goes on in another process.

    Raises
    ------
    ValueError
        If the predictor takes daughters on: a search finds them as it finds every newcomer.
    """

    predictor: VideoPredictor
    session: VideoSession
    find: FindOptions = field(default_factory=FindOptions)
    options: AutomaticOptions = field(default_factory=AutomaticOptions)
    state: SearchState = field(default_factory=SearchState)
    _finder: ObjectFinder | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a predictor that would take daughters on a second time."""
        if self.predictor.options.divided == "daughters":
            raise ValueError(
                'a search finds daughters by itself: leave divided="daughters" out of the options'
            )

    @property
    def key_frames(self) -> tuple[int, ...]:
        """Frames that are searched, ascending."""
        start, stop = self._range()
        return tuple(range(start, stop + 1, self.options.every))

    def most_results(self) -> int:
        """Return how many results a run from the beginning yields at most."""
        start, stop = self._range()
        return len(self.key_frames) + 2 * (stop - start + 1)

    def run(self) -> Iterator[FrameResult]:
        """Find, follow and drop what is short or unsure.

        Yields
        ------
        FrameResult
            As `follow` does. Masklets are dropped after the last one: whoever writes or shows
            labels reads all frames again then.

        Raises
        ------
        ValueError
            If the movie is one of stacks, or the range is not in it.
        """
        yield from self.follow()
        for _ in self.conclude():
            pass

    def follow(self) -> Iterator[FrameResult]:
        """Find and follow.

        Yields
        ------
        FrameResult
            As `VideoPredictor.propagate` does: each is a commit point. Closing the generator
            leaves a valid session, and calling it again goes on there. A result without objects
            is a frame on which nothing was found, or a mask was taken away.

        Raises
        ------
        ValueError
            If the movie is one of stacks, or the range is not in it.
        """
        yield from (result for result in self.steps() if result is not None)

    def steps(self) -> Iterator[FrameResult | None]:
        """Find and follow in smaller steps: None is a breath while a key frame is searched.

        What a search has found by then is lost if the generator is closed there, and found again.
        """
        if not grid_of(self.session.frames).is_line:
            raise ValueError("objects of stacks are not found automatically; choose one slice")
        _, stop = self._range()
        for key in self.key_frames if self.state.dropped is None else ():
            if key not in self.state.searched:
                yield from self._seed(key)
            if key not in self.state.joined:
                yield from self._backward(key)
            if self.session.prompts.object_ids():
                until = min(key + self.options.every, stop)
                yield from self._follow(1, (key, until), key)

    def conclude(self) -> Iterator[FrameResult]:
        """Remove what is short or unsure, and end mothers where their daughters begin.

        May be called again, also in a process that goes on: what is done is decided once.

        Yields
        ------
        FrameResult
            One a frame on which a daughter is followed anew. It is done when the last was taken.
        """
        if self.state.dropped is None:
            self.decide()
        for object_id in self.state.dropped or ():
            self.session.remove_object(object_id)
            self.state.seeded.pop(object_id, None)
        for mother, frame, new in self.state.cuts:
            end_mother(self.session, mother, frame, new)
            self.predictor.restore(self.session, [mother])
            yield from self._renew(new, frame)
            for sister, seed in self.state.seeded.items():
                if self.state.mothers.get(sister) == mother:
                    yield from self._renew(sister, seed)

    def _renew(self, daughter: int, seed: int) -> Iterator[FrameResult]:
        """Follow a daughter anew from her prompt: her mother had pixels of both."""
        self.predictor.restore(self.session, [daughter], {(daughter, seed)})
        # To the end: whether masks agree with older ones must not decide what a rerun finds.
        options = CorrectOptions((daughter,), settled_frames=self.session.num_frames)
        for result in self.predictor.correct(self.session, options):
            found = [self._whole(one, 1) for one in result.objects]
            yield replace(result, objects=tuple(found))

    def decide(self) -> None:
        """Choose what is dropped and who is whose daughter; nothing is found after that."""
        masklets = self.session.masklets
        start, stop = self._range()
        least = min(self.options.least_frames, stop - start + 1)
        dropped = set()
        for object_id in self.state.seeded:
            quality = quality_of(masklets, object_id)
            seen = int((quality.area > 0).sum())
            if seen < least or (quality.confidence or 0.0) < self.options.least_confidence:
                dropped.add(object_id)
        kept = [m for m in masklets if m.object_id in self.state.seeded.keys() - dropped]
        number = max(masklets.object_ids(), default=0)
        for proposal in divisions_of_newcomers(kept):
            daughters = list(proposal.daughters)
            if len(daughters) == 1:
                number += 1
                self.state.cuts.append((proposal.mother, proposal.frame, number))
                daughters.append(number)
            self.state.mothers |= dict.fromkeys(daughters, proposal.mother)
        self.state.dropped = dropped

    def _range(self) -> tuple[int, int]:
        last = self.session.num_frames - 1
        start = 0 if self.options.start is None else self.options.start
        stop = last if self.options.stop is None else self.options.stop
        if not 0 <= start <= stop <= last:
            raise ValueError(f"frames {start} to {stop} are no range: the movie has 0 to {last}")
        return start, stop

    def _seed(self, key: int) -> Iterator[FrameResult | None]:
        """Give a mask prompt to every object of a key frame that nothing covers."""
        started = perf_counter()
        taken = self._taken(key)
        proposed: list[MaskRecord] = []
        for some in self._finds().look(self.session, key, taken):
            proposed += some
            yield None
        size = self.session.shape[1:]
        known = {*self.session.prompts.object_ids(), *self.session.masklets.object_ids()}
        number = max({*known, *self.state.seeded}, default=0)
        for record in without_duplicates(proposed, self.find.most_overlap):
            if covered_part(record, taken) > self.find.most_overlap:
                continue
            y0, x0, y1, x1 = record.bbox
            mask = np.zeros(size, bool)
            mask[y0:y1, x0:x1] = record.crop() & ~taken[y0:y1, x0:x1]
            number += 1
            self.session.add(MaskPrompt(number, key, mask))
            self.state.seeded[number] = key
        self.predictor.commit(self.session)
        self.state.searched.add(key)
        records = {i: self.session.masklets.record(i, key) for i in self.state.seeded}
        objects = [ObjectResult(i, key, r) for i, r in records.items() if r is not None]
        elapsed = perf_counter() - started
        yield FrameResult(key, tuple(objects), self.session.generation, elapsed)

    def _finds(self) -> ObjectFinder:
        """Return what searches frames, with one diameter for the whole movie."""
        if self._finder is None:
            find, session = self.find, self.session
            if find.diameter is None:
                first = session.mapping.apply(session.read(self.key_frames[0]))
                find = replace(find, diameter=estimate_diameter(first))
            self._finder = ObjectFinder(self.predictor.model, self.predictor.runtime, find)
        return self._finder

    def _backward(self, key: int) -> Iterator[FrameResult]:
        """Follow newcomers of a key frame back to the one before, and end them where others are."""
        first = max(key - self.options.every + 1, self.key_frames[0])
        newcomers = tuple(i for i, seed in self.state.seeded.items() if seed == key)
        emptied: set[int] = set()
        if newcomers and first < key:
            yield from self._follow(-1, (first, key), key, newcomers)
            for object_id in newcomers:
                emptied |= self._end(object_id, first, key)
        # Before the first result: a run that is ended there does not follow them once more.
        self.state.joined.add(key)
        for frame in sorted(emptied):
            yield FrameResult(frame, (), self.session.generation, 0.0)

    def _end(self, object_id: int, first: int, key: int) -> set[int]:
        """Let a newcomer begin where no other object is; return the frames it was taken from."""
        masklets = self.session.masklets
        for frame in range(key - 1, first - 1, -1):
            record = masklets.record(object_id, frame)
            others = self._taken(frame, object_id)
            if record is None or covered_part(record, others) > self.find.most_overlap:
                gone = {one for one in masklets.frames(object_id) if first <= one <= frame}
                # Memories of frames without the object would mislead it on later ones.
                leave_frames(self.session, object_id, gone)
                return gone
        return set()

    def _follow(
        self, step: int, frames: tuple[int, int], key: int, objects: tuple[int, ...] | None = None
    ) -> Iterator[FrameResult]:
        options = PropagateOptions(
            objects=objects,
            direction="forward" if step == 1 else "backward",
            start=frames[0],
            stop=frames[1],
            resume=True,
        )
        begun = (step,) if self.state.passing == (key, step) else ()
        for result in self.predictor.propagate(self.session, options, begun):
            self.state.passing = key, step
            found = [self._whole(one, step) for one in result.objects]
            yield replace(result, objects=tuple(found))

    def _whole(self, one: ObjectResult, step: int) -> ObjectResult:
        """Keep one piece of an object that was found: another may be somebody who has just come."""
        if one.object_id not in self.state.object_ids or one.record.prompted:
            return one
        before = self.session.masklets.record(one.object_id, one.frame - step)
        record = nearest_piece(one.record, before)
        if record is one.record:
            return one
        self.session.masklets.write(one.object_id, one.frame, record)
        return replace(one, record=record)

    def _taken(self, frame: int, but: int = 0) -> NDArray[np.bool_]:
        """Return the pixels (H, W) that objects other than one hold on a frame."""
        taken = np.zeros(self.session.shape[1:], bool)
        for masklet in self.session.masklets:
            record = masklet.records.get(frame)
            if record is not None and record.visible and masklet.object_id != but:
                y0, x0, y1, x1 = record.bbox
                taken[y0:y1, x0:x1] |= record.crop()
        return taken
