"""Rivals that take corrections: the watershed object under the clicks, carried to other frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from napari_sam2.evaluation.clicks import PointYX
from napari_sam2.evaluation.methods import StillPrompts
from napari_sam2.evaluation.metrics import BoolMask
from napari_sam2.evaluation.optical_flow import FlowFields, SoftMask, reach_of
from napari_sam2.evaluation.rivals import WatershedUnderClick
from napari_sam2.evaluation.tasks import MaskletTask
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.masklets import MaskRecord

Carry = Callable[[MaskletTask, SoftMask, int, int], SoftMask]
"""Takes a mask from one frame to a neighbouring one."""


def carry_unchanged(_task: MaskletTask, mask: SoftMask, _before: int, _now: int) -> SoftMask:
    """Copy the mask."""
    return mask


@dataclass
class CarryByFlow:
    """Warp the mask by optical flow, in either direction."""

    flows: FlowFields = field(default_factory=FlowFields)

    def __call__(self, task: MaskletTask, mask: SoftMask, before: int, now: int) -> SoftMask:
        """Return the mask on frame `now`."""
        flow = self.flows.between(task.movie, before, now)
        return mask.warped(flow, reach_of(flow))


@dataclass(frozen=True)
class CorrectedRival:
    """Every frame has the mask of the nearest corrected frame, carried there."""

    name: str
    carry: Carry
    watershed: Watershed = field(default_factory=lambda: Watershed("local"))

    def open(self, task: MaskletTask) -> RivalRun:
        """Begin without prompts."""
        return RivalRun(task, self.carry, WatershedUnderClick(self.watershed))


@dataclass
class RivalRun:
    """One stretch that a person corrects with clicks on watershed objects."""

    task: MaskletTask
    carry: Carry
    answering: WatershedUnderClick
    _clicks: dict[tuple[int, int], list[tuple[PointYX, bool]]] = field(default_factory=dict)
    _corrected: dict[int, dict[int, SoftMask]] = field(default_factory=dict)
    _records: dict[tuple[int, int], MaskRecord] = field(default_factory=dict)

    def click(self, object_id: int, frame: int, yx: PointYX, positive: bool) -> BoolMask:
        """Add a click and return the watershed objects under all clicks of this frame."""
        clicks = self._clicks.setdefault((object_id, frame), [])
        clicks.append((yx, positive))
        record = self.answering.answer(self.task.movie, frame, StillPrompts(tuple(clicks)))
        mask = record.mask(self.task.movie.frame_shape)
        self._corrected.setdefault(object_id, {})[frame] = SoftMask.of(mask)
        self._records[object_id, frame] = record
        return mask

    def mark_absent(self, object_id: int, frame: int) -> None:
        """Say that an object is not on a frame."""
        nothing = SoftMask.of(np.zeros(self.task.movie.frame_shape, bool))
        self._corrected.setdefault(object_id, {})[frame] = nothing
        self._records[object_id, frame] = MaskRecord.from_mask(nothing.mask())

    def propagate(self) -> None:
        """Carry every corrected mask both ways, as far as it is the nearest."""
        for object_id, corrected in self._corrected.items():
            places = sorted(corrected)
            for before, place, after in zip(
                [None, *places[:-1]], places, [*places[1:], None], strict=True
            ):
                # Half of the way to a neighbour; the frame in the middle belongs to the earlier.
                last = self.task.last if after is None else (place + after) // 2
                first = self.task.first if before is None else (before + place) // 2 + 1
                self._carry(object_id, corrected[place], range(place, last + 1))
                self._carry(object_id, corrected[place], range(place, first - 1, -1))

    def advance(self) -> Iterator[int]:
        """Carry masks forward, frame by frame."""
        for frame in range(self.task.first, self.task.last + 1):
            for object_id, corrected in self._corrected.items():
                if frame not in corrected and min(corrected) < frame:
                    corrected_before = max(place for place in corrected if place < frame)
                    way = range(corrected_before, frame + 1)
                    self._carry(object_id, corrected[corrected_before], way)
            yield frame

    def record(self, object_id: int, frame: int) -> MaskRecord:
        """Return the mask of an object as it stands."""
        return self._records[object_id, frame]

    def _carry(self, object_id: int, mask: SoftMask, way: range) -> None:
        """Take a mask along frames, the first of which is its own."""
        for before, now in pairwise(way):
            mask = self.carry(self.task, mask, before, now)
            self._records[object_id, now] = MaskRecord.from_mask(mask.mask())
