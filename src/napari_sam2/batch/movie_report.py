"""What there is to say of one movie: how sure, where to look, how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskletSet
from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.lineage import find_divisions
from napari_sam2.tracking.measures import MeasureTable
from napari_sam2.tracking.quality import ObjectQuality, quality_from
from napari_sam2.tracking.stack_quality import stack_quality

__all__ = ["MovieReport", "Outcome", "describe_objects", "divisions_of", "qualities_of"]

Outcome = Literal["done", "was done", "failed", "stopped"]
_MOST_STOPS = 200
"""Doubtful places that are listed; the number of all is said."""


@dataclass(frozen=True, slots=True)
class MovieReport:
    """One movie of a batch.

    Attributes
    ----------
    title, folder : str
        Name, and where the results are.
    outcome : str
        ``"done"``, ``"was done"`` (by an earlier run), ``"failed"`` or ``"stopped"``.
    error : str
        What went wrong; empty if nothing did.
    frames, slices, objects : int
        Planes in all, slices of a time, objects.
    confidence : float or None
        Mean over the objects, 0 to 1.
    doubtful : int
        Pairs of object and frame that are doubtful.
    stops : tuple of (int, int, str)
        Frame, object and reason of the places to look at, by frame.
    lost, found : int
        How often objects vanish, and come up again.
    seconds : float
        Tracking, reading and writing.
    peak_mb : float
        Largest resident size of the process while it tracked, in MiB.
    starts : int
        How often the run was begun: more than once after it was interrupted.
    blocks : int
        Tasks that it was divided into.
    worker : str
        Host and process that finished it.
    notes : tuple of str
        What formats could not hold.
    """

    title: str
    folder: str
    outcome: Outcome
    error: str = ""
    frames: int = 0
    slices: int = 1
    objects: int = 0
    confidence: float | None = None
    doubtful: int = 0
    stops: tuple[tuple[int, int, str], ...] = ()
    lost: int = 0
    found: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    starts: int = 0
    blocks: int = 1
    worker: str = ""
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON writes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MovieReport:
        """Return what `as_json` wrote."""
        known = {one.name for one in fields(cls)}
        read = {key: value for key, value in values.items() if key in known}
        read["stops"] = tuple((int(t), int(i), str(why)) for t, i, why in read.get("stops", ()))
        read["notes"] = tuple(read.get("notes", ()))
        return cls(**read)


def qualities_of(masklets: MaskletSet, grid: PlaneGrid) -> dict[int, ObjectQuality]:
    """Measure every object, a plane at a time; where there is depth, times are compared."""
    table = MeasureTable(masklets)
    table.measure_all()
    measures = {i: table.of(i) for i in masklets.object_ids()}
    if grid.slices == 1:
        return {i: quality_from(one) for i, one in measures.items()}
    return {i: stack_quality(one, grid) for i, one in measures.items()}


def describe_objects(qualities: Mapping[int, ObjectQuality], grid: PlaneGrid) -> dict[str, Any]:
    """Return the fields of `MovieReport` that are about objects."""
    sure = [one.confidence for one in qualities.values() if one.confidence is not None]
    stops = sorted(
        (frame, object_id, one.reason(frame))
        for object_id, one in qualities.items()
        for frame in one.stops
    )
    moves = [_lost_and_found(one.area, grid) for one in qualities.values()]
    return {
        "objects": len(qualities),
        "confidence": round(float(np.mean(sure)), 4) if sure else None,
        "doubtful": sum(len(one.doubtful) for one in qualities.values()),
        "stops": tuple(stops[:_MOST_STOPS]),
        "lost": sum(lost for lost, _ in moves),
        "found": sum(found for _, found in moves),
    }


def divisions_of(masklets: MaskletSet, qualities: Mapping[int, ObjectQuality]) -> dict[int, int]:
    """Propose mothers from where tracks end and begin; daughter to mother."""
    # A proposal looks at the first and the last mask of each object only.
    ends = MaskletSet(masklets.shape)
    for object_id, one in qualities.items():
        for frame in one.span or ():
            record = masklets.record(object_id, frame)
            if record is not None:
                ends.write(object_id, frame, record)
    found = find_divisions(ends).graph()
    return {daughter: mothers[0] for daughter, mothers in found.items()}


def _lost_and_found(area: NDArray[np.float32], grid: PlaneGrid) -> tuple[int, int]:
    """Count how often an object goes from one time to the next, and how often it comes."""
    at_times = area.reshape(grid.times, grid.slices)
    known = np.flatnonzero(~np.isnan(at_times).all(axis=1))
    seen = np.any(at_times[known] > 0, axis=1)
    return int((seen[:-1] & ~seen[1:]).sum()), int((~seen[:-1] & seen[1:]).sum())
