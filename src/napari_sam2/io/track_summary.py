"""What is published of a whole track: life span, path, speed; added up frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.tracking.regions import Region

__all__ = ["TrackSummaries", "summary_names"]

Place = tuple[float, float, float]


@dataclass(slots=True)
class _Track:
    """Sums over the frames of one object so far."""

    first: int
    start: Place
    last: int
    end: Place
    path: tuple[float, float] = (0.0, 0.0)
    frames: int = 0
    gaps: int = 0
    area: float = 0.0
    iou: float = 0.0
    least_iou: float = field(default=1.0)


def summary_names(objects: TrackedObjects) -> list[str]:
    """Return the columns of the table of tracks, in order."""
    space, time = objects.calibration.space_symbol, objects.calibration.time_symbol
    names = [
        "object_id", "name", "parent", "daughters", "root", "generation", "divides", "accepted",
        "first_t", "last_t", "frames_seen", "gaps", "life_span",
        "displacement", "path_length", "mean_speed", "mean_area",
    ]  # fmt: skip
    if objects.calibration.is_in_time:
        names.append(f"life_span_{time}")
    if objects.calibration.is_in_space:
        names += [f"displacement_{space}", f"path_length_{space}"]
    if objects.calibration.is_in_space or objects.calibration.is_in_time:
        names.append(f"mean_speed_{space}_per_{time}")
    if objects.masks.has_scores:
        names += ["mean_predicted_iou", "least_predicted_iou"]
    return names


class TrackSummaries:
    """Adds up tracks.

    Parameters
    ----------
    objects : TrackedObjects
        Say who they are; their masks are not read.
    """

    def __init__(self, objects: TrackedObjects) -> None:
        self._objects = objects
        self._tracks: dict[int, _Track] = {}

    def add(self, region: Region) -> None:
        """Add an object at a time later than those added before."""
        place = region.centre()
        track = self._tracks.setdefault(
            region.object_id, _Track(region.time, place, region.time, place)
        )
        steps = self._distances(track.end, place)
        track.path = track.path[0] + steps[0], track.path[1] + steps[1]
        track.gaps += region.time > track.last + 1
        track.last, track.end = region.time, place
        track.frames += 1
        track.area += region.area
        iou = region.scores()[0]
        track.iou += iou
        track.least_iou = min(track.least_iou, iou)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row an object, by id."""
        return [self._row(object_id, track) for object_id, track in sorted(self._tracks.items())]

    def _distances(self, one: Place, other: Place) -> tuple[float, float]:
        """Return a distance in pixels of the plane and in units."""
        steps = self._objects.calibration.pixel
        # Depth counts in widths of a pixel, so that a slice is as far as it is.
        even = (steps[0] / steps[2], steps[1] / steps[2], 1.0)
        pixels = math.dist(
            *(tuple(p * s for p, s in zip(x, even, strict=True)) for x in (one, other))
        )
        return pixels, pixels * steps[2]

    def _row(self, object_id: int, track: _Track) -> dict[str, Any]:
        objects, lineage = self._objects, self._objects.lineage
        calibration = objects.calibration
        ancestors = lineage.ancestors_of(object_id)
        daughters = lineage.daughters_of(object_id)
        lived = track.last - track.first
        away = self._distances(track.start, track.end)
        space, time = calibration.space_symbol, calibration.time_symbol
        values: dict[str, Any] = {
            "object_id": object_id,
            "name": objects.names.get(object_id, ""),
            "parent": lineage.mother_of(object_id),
            "daughters": ";".join(map(str, daughters)),
            "root": ancestors[-1] if ancestors else object_id,
            "generation": len(ancestors),
            "divides": len(daughters) > 1,
            "accepted": object_id in objects.accepted,
            "first_t": track.first,
            "last_t": track.last,
            "frames_seen": track.frames,
            "gaps": track.gaps,
            "life_span": lived + 1,
            "displacement": away[0],
            "path_length": track.path[0],
            "mean_speed": track.path[0] / lived if lived else math.nan,
            "mean_area": track.area / track.frames,
            f"life_span_{time}": (lived + 1) * calibration.interval,
            f"displacement_{space}": away[1],
            f"path_length_{space}": track.path[1],
            f"mean_speed_{space}_per_{time}": (
                track.path[1] / (lived * calibration.interval) if lived else math.nan
            ),
            "mean_predicted_iou": track.iou / track.frames,
            "least_predicted_iou": track.least_iou,
        }
        return {name: values[name] for name in summary_names(objects)}
