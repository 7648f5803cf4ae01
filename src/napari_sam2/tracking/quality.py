"""How far the masks of an object can be trusted, frame by frame, and where a person should look.

Five measures speak for themselves, and each gives a doubt between 0 and 1 that grows linearly from
the first value of its range to the second:

=================  ==========================================================  ============
measure            what it is                                                  doubt 0 to 1
=================  ==========================================================  ============
``predicted_iou``  overlap with the truth that the network expects             0.85 to 0.45
``presence``       how sure it is that the object is there (1) or not (0);     0.9 to 0 of
                   doubt is in between, so its range is of ``|2 p - 1|``       certainty
``area_jump``      change of the area since the frame before, in octaves: 1    0.2 to 0.8
                   is twice or half as large, `LOST` is seen before and not
                   now, or the other way round, away from the edge
``centroid_jump``  how far the centre moved since the frame before, in radii   0.25 to 1.25
                   of the object, above what is usual for it (the median)
``overlap``        share of the pixels that other objects claim too            0.05 to 0.35
=================  ==========================================================  ============

The doubt of a frame is the largest of them, and 0 where a person prompted it. A jump between a
prompted frame and another is the other one's, whichever comes first. From `DOUBTFUL` on a frame is
doubtful; of neighbouring doubtful frames the first is where a person should look.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.measures import MeasureName, MeasureTable

__all__ = ["DOUBTFUL", "LOST", "CurveName", "ObjectQuality", "quality_from", "quality_of"]

DOUBTFUL = 0.5
"""Doubt from which on a frame is worth a look."""
LOST = 3.0
"""Octaves that an area jumps by when the object vanishes or comes up in the middle of a frame."""

CurveName = Literal["predicted_iou", "presence", "area_jump", "centroid_jump", "overlap"]
CURVES: tuple[CurveName, ...] = get_args(CurveName)
_RANGES: dict[CurveName, tuple[float, float]] = {
    "predicted_iou": (0.85, 0.45),
    "presence": (0.9, 0.0),
    "area_jump": (0.2, 0.8),
    "centroid_jump": (0.25, 1.25),
    "overlap": (0.05, 0.35),
}

Curve = NDArray[np.float32]
Measures = dict[MeasureName, NDArray[np.float32]]


@dataclass(frozen=True)
class ObjectQuality:
    """The measures of one object over the movie.

    Attributes
    ----------
    curves : dict of str to ndarray of float32, (T,)
        By the names of the module's table; NaN where there is nothing to measure.
    prompted : ndarray of bool, (T,)
        Where a person prompted the object.
    area : ndarray of float32, (T,)
        Pixels; 0 where the object is hidden, NaN without a record.
    """

    curves: dict[CurveName, Curve]
    prompted: NDArray[np.bool_]
    area: Curve

    @cached_property
    def doubts(self) -> dict[CurveName, Curve]:
        """The doubt of each measure, (T,), 0 to 1; 0 where there is nothing to measure."""
        return {name: self._doubt(name) for name in CURVES}

    @cached_property
    def doubt(self) -> Curve:
        """The doubt of each frame, (T,), 0 to 1."""
        largest: Curve = np.stack(list(self.doubts.values())).max(axis=0)
        return largest

    @cached_property
    def doubtful(self) -> tuple[int, ...]:
        """Frames that are doubtful, ascending."""
        return tuple(map(int, np.flatnonzero(self.doubt >= DOUBTFUL)))

    @cached_property
    def stops(self) -> tuple[int, ...]:
        """Of every row of neighbouring doubtful frames the first: where to look."""
        known = set(self.doubtful)
        return tuple(frame for frame in self.doubtful if frame - 1 not in known)

    @cached_property
    def span(self) -> tuple[int, int] | None:
        """First and last frame on which the object is seen, None if there is none."""
        seen = np.flatnonzero(self.area > 0)
        return (int(seen[0]), int(seen[-1])) if seen.size else None

    @cached_property
    def confidence(self) -> float | None:
        """How sure the network is of the object, 0 to 1; None without a mask.

        The mean over its frames: expected IoU times presence where it is seen, one minus presence
        where it is hidden. A person's prompt stands for presence.
        """
        presence = np.nan_to_num(self.curves["presence"], nan=1.0)
        presence[self.prompted] = 1.0
        seen = self.curves["predicted_iou"] * presence
        sure = np.where(self.area > 0, seen, np.where(self.prompted, 1.0, 1.0 - presence))
        recorded = ~np.isnan(self.area)
        return float(sure[recorded].mean()) if recorded.any() else None

    def reason(self, frame: int) -> str:
        """Say what is most doubtful about a frame, in a few words."""
        name = max(CURVES, key=lambda one: self.doubts[one][frame])
        value = float(self.curves[name][frame])
        match name:
            case "predicted_iou":
                return f"expected IoU {value:.2f}"
            case "presence":
                return f"perhaps not there (presence {value:.2f})"
            case "area_jump" if value >= LOST:
                return "seen on one of two frames only"
            case "area_jump":
                return f"area changes by a factor of {2**value:.1f}"
            case "centroid_jump":
                return f"moves by {value:.1f} radii more than usual"
            case _:
                return f"{100 * value:.0f} % also claimed by others"

    def _doubt(self, name: CurveName) -> Curve:
        none, full = _RANGES[name]
        values = self.curves[name]
        certainty = np.abs(2 * values - 1) if name == "presence" else values
        doubt = np.clip((certainty - none) / (full - none), 0, 1)
        return np.where(self.prompted, 0, np.nan_to_num(doubt)).astype(np.float32)


def quality_of(masklets: MaskletSet, object_id: int) -> ObjectQuality:
    """Measure one object of a movie.

    Parameters
    ----------
    masklets : MaskletSet
        Every frame is measured; where this is asked often, keep a `MeasureTable`.
    object_id : int

    Returns
    -------
    ObjectQuality
    """
    table = MeasureTable(masklets)
    table.measure_all()
    return quality_from(table.of(object_id))


def quality_from(measures: Measures) -> ObjectQuality:
    """Return what the measures of an object say; see `MeasureTable.of`."""
    area, score = measures["area"], measures["object_score"]
    prompted = measures["prompted"] == 1
    # A score of exactly 0 is that of masks that no network has judged.
    presence = np.where(score == 0, np.nan, 1 / (1 + np.exp(-score.clip(-80, 80))))
    curves: dict[CurveName, Curve] = {
        "predicted_iou": np.where(area > 0, measures["predicted_iou"], np.nan),
        "presence": presence.astype(np.float32),
        "area_jump": _attributed(_area_jumps(measures), prompted),
        "centroid_jump": _attributed(_centroid_jumps(measures), prompted),
        "overlap": measures["overlap"],
    }
    return ObjectQuality(curves, prompted, area)


def _area_jumps(measures: Measures) -> Curve:
    """Change of area from each frame to the next, in octaves, (T - 1,); NaN without a record."""
    area = measures["area"]
    before, after = area[:-1], area[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        jumps = np.abs(np.log2(after / before))
    is_edge = np.where(before > 0, measures["at_edge"][:-1], measures["at_edge"][1:]) == 1
    has_both = ~(np.isnan(before) | np.isnan(after))
    is_lost = has_both & ((before > 0) != (after > 0))
    jumps = np.where(is_lost, np.where(is_edge, 0.0, LOST), np.minimum(jumps, LOST))
    return np.where(has_both & (before == 0) & (after == 0), 0.0, jumps).astype(np.float32)


def _centroid_jumps(measures: Measures) -> Curve:
    """Move from each frame to the next beyond the usual, in radii, (T - 1,); NaN where hidden."""
    moves = np.hypot(np.diff(measures["y"]), np.diff(measures["x"]))
    radius = np.sqrt((measures["area"][:-1] + measures["area"][1:]) / (2 * np.pi))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = moves / radius
    known = steps[~np.isnan(steps)]
    usual = float(np.median(known)) if known.size else 0.0
    jumps: Curve = np.maximum(steps - usual, 0).astype(np.float32)
    return jumps


def _attributed(jumps: Curve, prompted: NDArray[np.bool_]) -> Curve:
    """Give each jump between two frames to one of them, (T,): the later, if no person was there."""
    out = np.full(len(prompted), np.nan, np.float32)
    to_later = ~prompted[1:]
    to_earlier = prompted[1:] & ~prompted[:-1]
    out[1:][to_later] = jumps[to_later]
    out[:-1][to_earlier] = np.fmax(out[:-1], jumps)[to_earlier]
    return out
