"""Masklets of a whole movie without a click: find, follow, look again, keep what is consistent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.automatic import ObjectFinder, covered_part
from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking.quality import quality_of

__all__ = ["AutomaticMasklets", "nearest_piece"]

_LEAST_PIECE = 0.25
"""Area of a piece, as a part of the largest one, from which on it may be the object."""


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
    seeded : dict of int to int
        Object that was found to the key frame it was found on.
    searched : set of int
        Key frames that have been searched.
    """

    predictor: VideoPredictor
    session: VideoSession
    find: FindOptions = field(default_factory=FindOptions)
    options: AutomaticOptions = field(default_factory=AutomaticOptions)
    seeded: dict[int, int] = field(default_factory=dict)
    searched: set[int] = field(default_factory=set)

    @property
    def key_frames(self) -> tuple[int, ...]:
        """Frames that are searched, ascending."""
        start, stop = self._range()
        return tuple(range(start, stop + 1, self.options.every))

    def run(self) -> Iterator[FrameResult]:
        """Find and follow.

        Yields
        ------
        FrameResult
            As `VideoPredictor.propagate` does: each is a commit point. Closing the generator
            leaves a valid session, and calling `run` again goes on there. A result without
            objects is a frame on which a mask was taken away. Masklets are dropped after the
            last one: whoever writes or shows labels reads all frames again then.

        Raises
        ------
        ValueError
            If the movie is one of stacks, or the range is not in it.
        """
        if not grid_of(self.session.frames).is_line:
            raise ValueError("objects of stacks are not found automatically; choose one slice")
        _, stop = self._range()
        for key in self.key_frames:
            if key not in self.searched:
                yield self._seed(key)
            yield from self._backward(key)
            if self.session.prompts.object_ids():
                until = min(key + self.options.every, stop)
                yield from self._follow("forward", key, until)
        self._drop_inconsistent()

    def _range(self) -> tuple[int, int]:
        last = self.session.num_frames - 1
        start = 0 if self.options.start is None else self.options.start
        stop = last if self.options.stop is None else self.options.stop
        if not 0 <= start <= stop <= last:
            raise ValueError(f"frames {start} to {stop} are no range: the movie has 0 to {last}")
        return start, stop

    def _seed(self, key: int) -> FrameResult:
        """Give a mask prompt to every object of a key frame that nothing covers."""
        started = perf_counter()
        finder = ObjectFinder(self.predictor.model, self.predictor.runtime, self.find)
        found = finder.find(self.session, key)
        taken = self._taken(key)
        size = self.session.shape[1:]
        known = {*self.session.prompts.object_ids(), *self.session.masklets.object_ids()}
        number = max({*known, *self.seeded}, default=0)
        for record in found:
            if covered_part(record, taken) > self.find.most_overlap:
                continue
            y0, x0, y1, x1 = record.bbox
            mask = np.zeros(size, bool)
            mask[y0:y1, x0:x1] = record.crop() & ~taken[y0:y1, x0:x1]
            number += 1
            self.session.add(MaskPrompt(number, key, mask))
            self.seeded[number] = key
        self.predictor.commit(self.session)
        self.searched.add(key)
        records = {i: self.session.masklets.record(i, key) for i in self.seeded}
        objects = [ObjectResult(i, key, r) for i, r in records.items() if r is not None]
        elapsed = perf_counter() - started
        return FrameResult(key, tuple(objects), self.session.generation, elapsed)

    def _backward(self, key: int) -> Iterator[FrameResult]:
        """Follow newcomers of a key frame back to the one before, and end them where others are."""
        first = max(key - self.options.every + 1, self.key_frames[0])
        newcomers = tuple(i for i, seed in self.seeded.items() if seed == key)
        if not newcomers or first >= key:
            return
        yield from self._follow("backward", first, key, newcomers)
        for object_id in newcomers:
            for frame in range(key - 1, first - 1, -1):
                record = self.session.masklets.record(object_id, frame)
                others = self._taken(frame, object_id)
                if record is None or covered_part(record, others) > self.find.most_overlap:
                    held = self.session.masklets.frames(object_id)
                    gone = [one for one in held if first <= one <= frame]
                    self.session.masklets.remove(object_id, gone)
                    for lost in gone:
                        yield FrameResult(lost, (), self.session.generation, 0.0)
                    break

    def _follow(
        self, direction: str, start: int, stop: int, objects: tuple[int, ...] | None = None
    ) -> Iterator[FrameResult]:
        options = PropagateOptions(
            objects=objects,
            direction="forward" if direction == "forward" else "backward",
            start=start,
            stop=stop,
            resume=True,
        )
        step = 1 if direction == "forward" else -1
        for result in self.predictor.propagate(self.session, options):
            found = [self._whole(one, step) for one in result.objects]
            yield replace(result, objects=tuple(found))

    def _whole(self, one: ObjectResult, step: int) -> ObjectResult:
        """Keep one piece of an object that was found: another may be somebody who has just come."""
        if one.object_id not in self.seeded or one.record.prompted:
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

    def _drop_inconsistent(self) -> None:
        start, stop = self._range()
        least = min(self.options.least_frames, stop - start + 1)
        for object_id in list(self.seeded):
            quality = quality_of(self.session.masklets, object_id)
            seen = int((quality.area > 0).sum())
            is_sure = (quality.confidence or 0.0) >= self.options.least_confidence
            if seen < least or not is_sure:
                self.session.remove_object(object_id)
                del self.seeded[object_id]


def nearest_piece(record: MaskRecord, before: MaskRecord | None) -> MaskRecord:
    """Return a mask reduced to one piece: of the large ones that nearest to the mask before.

    Parameters
    ----------
    record : MaskRecord
    before : MaskRecord or None
        Of the neighbouring frame; without one, the largest piece is taken.

    Returns
    -------
    MaskRecord
        The same where the mask is in one piece already.
    """
    pieces, count = ndimage.label(record.crop(), np.ones((3, 3), bool))
    if count < 2:
        return record
    areas = np.bincount(pieces.ravel())[1:]
    chosen = int(areas.argmax())
    if before is not None and before.visible:
        large = np.flatnonzero(areas >= _LEAST_PIECE * areas.max())
        centres = ndimage.center_of_mass(pieces > 0, pieces, large + 1)
        away = np.subtract(np.add(centres, record.bbox[:2]), before.centroid())
        chosen = int(large[np.hypot(*away.T).argmin()])
    return MaskRecord.from_mask(
        pieces == chosen + 1,
        predicted_iou=record.predicted_iou,
        object_score=record.object_score,
        prompted=record.prompted,
        origin=(record.bbox[0], record.bbox[1]),
    )
