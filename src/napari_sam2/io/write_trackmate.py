"""Tracks as a TrackMate file for Fiji: spots with outlines, and tracks with divisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import numpy as np

from napari_sam2.io.calibration import Calibration
from napari_sam2.io.track_graph import TrackGraph, track_graph
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_text
from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.regions import Region

__all__ = ["write_trackmate"]

_VERSION = "7.11.1"
"""The TrackMate whose files these are like; those of 7 read outlines."""

_SPOT_FEATURES = (
    ("QUALITY", "Quality", "QUALITY", False), ("POSITION_X", "X", "POSITION", False),
    ("POSITION_Y", "Y", "POSITION", False), ("POSITION_Z", "Z", "POSITION", False),
    ("POSITION_T", "T", "TIME", False), ("FRAME", "Frame", "NONE", True),
    ("RADIUS", "Radius", "LENGTH", False), ("VISIBILITY", "Visibility", "NONE", True),
    ("AREA", "Area", "AREA", False), ("OBJECT_ID", "Object", "NONE", True),
)  # fmt: skip
_EDGE_FEATURES = (
    ("SPOT_SOURCE_ID", "Source", "NONE", True), ("SPOT_TARGET_ID", "Target", "NONE", True),
    ("LINK_COST", "Cost", "COST", False), ("EDGE_TIME", "Edge time", "TIME", False),
    ("DISPLACEMENT", "Displacement", "LENGTH", False),
)  # fmt: skip
_TRACK_FEATURES = (
    ("TRACK_INDEX", "Track index", "NONE", True), ("TRACK_ID", "Track", "NONE", True),
    ("NUMBER_SPOTS", "Number of spots", "NONE", True),
    ("TRACK_START", "Track start", "TIME", False), ("TRACK_STOP", "Track stop", "TIME", False),
)  # fmt: skip


def write_trackmate(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write tracks as TrackMate XML.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
        A family is one track of TrackMate; a spot's name is that of its object.
    path : str or Path
        The XML file; it is written as it grows.
    overwrite : bool
        Whether to replace an older file.
    watch : callable
        Called with frames done and frames in all.

    Returns
    -------
    list of str
        What the format could not hold.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    OSError
        If the disk is full.
    """
    objects = TrackedObjects.of(objects)
    total = 2 * objects.num_times
    graph, notes = track_graph(objects, lambda done, _: watch(done, total))
    known = objects.calibration
    with writing_text(path, overwrite=overwrite) as file:
        xml = _Xml(file)
        xml.begin("TrackMate", {"version": _VERSION})
        units = {"spatialunits": known.space_symbol, "timeunits": known.time_symbol}
        xml.begin("Model", {name: _fiji(unit) for name, unit in units.items()})
        _declare(xml)
        xml.begin("AllSpots", {"nspots": len(graph.nodes)})
        simplified = _spots(xml, objects, lambda done: watch(objects.num_times + done, total))
        xml.end()
        _tracks(xml, objects, graph)
        xml.end()
        _settings(xml, objects)
        xml.end()
    if objects.is_deep:
        notes.append("no outlines: TrackMate's are flat; its spots are balls of the same volume")
    elif simplified:
        notes.append(
            f"{simplified} masks have holes or several parts: outlines are of the largest part"
        )
    return notes


class _Xml:
    """Elements with their attributes, written one after the other."""

    def __init__(self, file: TextIOWrapper) -> None:
        self._writer = XMLGenerator(file, "UTF-8", short_empty_elements=True)
        self._open: list[str] = []
        self._writer.startDocument()

    def begin(self, name: str, about: Mapping[str, object] | None = None) -> None:
        """Open an element with attributes."""
        self._writer.characters("\n" + "  " * len(self._open))
        attributes = {key: _text(value) for key, value in (about or {}).items()}
        self._writer.startElement(name, AttributesImpl(attributes))
        self._open.append(name)

    def end(self, text: str = "") -> None:
        """Close the element that was opened last, with text in it."""
        self._writer.characters(text)
        self._writer.endElement(self._open.pop())

    def leaf(self, name: str, about: Mapping[str, object] | None = None, text: str = "") -> None:
        """Write an element without others in it."""
        self.begin(name, about)
        self.end(text)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _fiji(symbol: str) -> str:
    """Return a unit as Fiji writes it."""
    return {"um": "µm", "s": "sec"}.get(symbol, symbol)


def _declare(xml: _Xml) -> None:
    xml.begin("FeatureDeclarations")
    kinds = {"Spot": _SPOT_FEATURES, "Edge": _EDGE_FEATURES, "Track": _TRACK_FEATURES}
    for kind, features in kinds.items():
        xml.begin(f"{kind}Features")
        for feature, name, dimension, is_whole in features:
            about = {"feature": feature, "name": name, "shortname": name}
            xml.leaf("Feature", {**about, "dimension": dimension, "isint": is_whole})
        xml.end()
    xml.end()


def _spots(xml: _Xml, objects: TrackedObjects, watch: Callable[[int], None]) -> int:
    """Write the spots of every frame; return of how many the outline leaves something out."""
    numbers = count(1)
    simplified = 0
    for time, regions in enumerate(objects.everywhere()):
        if regions:
            xml.begin("SpotsInFrame", {"frame": time})
            for region in regions:
                simplified += _spot(xml, objects, region, next(numbers))
            xml.end()
        watch(time + 1)
    return simplified


def _spot(xml: _Xml, objects: TrackedObjects, region: Region, number: int) -> bool:
    """Write a spot; whether its outline leaves something out."""
    known = objects.calibration
    z, y, x = (place * step for place, step in zip(region.centre(), known.pixel, strict=True))
    size = region.area * math.prod(known.pixel if objects.is_deep else known.pixel[1:])
    radius = math.cbrt(0.75 * size / math.pi) if objects.is_deep else math.sqrt(size / math.pi)
    object_id = region.object_id
    about: dict[str, object] = {
        "ID": number, "name": objects.names.get(object_id) or str(object_id),
        "QUALITY": region.scores()[0] if objects.masks.has_scores else 1.0,
        "POSITION_X": x, "POSITION_Y": y, "POSITION_Z": z,
        "POSITION_T": region.time * known.interval, "FRAME": region.time, "RADIUS": radius,
        "VISIBILITY": 1, "AREA": size, "OBJECT_ID": object_id,
    }  # fmt: skip
    if objects.is_deep:
        xml.leaf("Spot", about)
        return False
    outline, is_simplified = _outline(region)
    steps = np.array(known.pixel[:0:-1])
    corners = (outline[:, ::-1] - region.centre()[:0:-1]) * steps
    text = " ".join(f"{value:.4f}" for value in corners.ravel())
    xml.leaf("Spot", {**about, "ROI_N_POINTS": len(corners)}, text)
    return is_simplified


def _outline(region: Region) -> tuple[np.ndarray, bool]:
    """Return the longest outline of a mask, (N, 2) of y, x in the frame; whether there are more."""
    from skimage.measure import find_contours

    padded = np.pad(region.crop()[0], 1).astype(np.float32)
    found = sorted(find_contours(padded, 0.5), key=len)
    _, y0, x0, *_ = region.box
    corner = np.array([y0 - 1, x0 - 1])
    return found[-1][:-1] + corner, len(found) > 1


def _tracks(xml: _Xml, objects: TrackedObjects, graph: TrackGraph) -> None:
    """Write one track a family; a spot that is alone has none, as in TrackMate."""
    edges, families = graph.edges, graph.roots()
    family_of_edge = families[edges[:, 0] - 1]
    order = np.argsort(family_of_edge, kind="stable")
    cuts = np.flatnonzero(np.diff(family_of_edge[order])) + 1
    groups = [part for part in np.split(order, cuts) if part.size]
    known = objects.calibration
    xml.begin("AllTracks")
    for index, part in enumerate(groups):
        family = int(family_of_edge[part[0]])
        times = graph.times[families == family] * known.interval
        name = objects.names.get(family) or f"Track_{family}"
        xml.begin("Track", {
            "name": name, "TRACK_ID": family, "TRACK_INDEX": index, "NUMBER_SPOTS": len(times),
            "TRACK_START": float(times.min()), "TRACK_STOP": float(times.max()),
        })  # fmt: skip
        for about in _edges(graph, part, known):
            xml.leaf("Edge", about)
        xml.end()
    xml.end()
    xml.begin("FilteredTracks")
    for part in groups:
        xml.leaf("TrackID", {"TRACK_ID": int(family_of_edge[part[0]])})
    xml.end()


def _edges(graph: TrackGraph, part: np.ndarray, known: Calibration) -> Iterator[dict[str, object]]:
    for source, target in graph.edges[part].tolist():
        ends = graph.centres[[source - 1, target - 1]] * known.pixel
        times = graph.times[[source - 1, target - 1]]
        yield {
            "SPOT_SOURCE_ID": source, "SPOT_TARGET_ID": target, "LINK_COST": 0.0,
            "EDGE_TIME": float(times.mean()) * known.interval,
            "DISPLACEMENT": float(np.linalg.norm(ends[1] - ends[0])),
        }  # fmt: skip


def _settings(xml: _Xml, objects: TrackedObjects) -> None:
    """Write what the movie is, and empty filters: TrackMate asks for them."""
    _, height, width = objects.masks.shape
    depth, pixel_height, pixel_width = objects.calibration.pixel
    planes = objects.planes
    xml.begin("Settings")
    xml.leaf("ImageData", {
        "filename": objects.name, "folder": "", "width": width, "height": height,
        "nslices": planes.slices, "nframes": planes.times, "pixelwidth": pixel_width,
        "pixelheight": pixel_height, "voxeldepth": depth,
        "timeinterval": objects.calibration.interval,
    })  # fmt: skip
    xml.leaf("BasicSettings", {
        "xstart": 0, "xend": width - 1, "ystart": 0, "yend": height - 1, "zstart": 0,
        "zend": planes.slices - 1, "tstart": 0, "tend": planes.times - 1,
    })  # fmt: skip
    xml.leaf("InitialSpotFilter", {"feature": "QUALITY", "value": 0.0, "isabove": True})
    for name in ("SpotFilterCollection", "TrackFilterCollection"):
        xml.leaf(name)
    xml.begin("AnalyzerCollection")
    for name in ("SpotAnalyzers", "EdgeAnalyzers", "TrackAnalyzers"):
        xml.leaf(name)
    xml.end()
    xml.end()
    xml.leaf("GUIState", {"state": "ConfigureViews"})
