"""GEFF graphs of any tool: tracks, divisions, and the masks that the graph points to, if any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam2.io.calibration import Calibration
from napari_sam2.io.extras import needs
from napari_sam2.io.read_planes import PlaneMovie, read_planes
from napari_sam2.io.read_zarr import has_metadata
from napari_sam2.io.relabelled import Relabelled
from napari_sam2.io.tracked_objects import LabelMasks
from napari_sam2.tracking.lineage import Lineage

__all__ = ["GeffTracks", "is_geff", "read_geff"]

_PIXELS = (None, "", "pixel", "pixels", "frame", "frames")


@dataclass(frozen=True)
class GeffTracks:
    """What a GEFF says.

    Attributes
    ----------
    object_ids, times : ndarray of int64, (N,)
        Object and frame of each node.
    centres : ndarray of float64, (N, 3)
        z, y, x in pixels; z is 0 where the graph has none.
    lineage : Lineage
    masks : LabelMasks or None
        Under the ids of the objects; None if the graph points to no labels.
    labels : PlaneMovie or None
        The labels as they are stored.
    names : dict of int to str
    accepted : frozenset of int
    notes : tuple of str
        What could not be taken over.
    """

    object_ids: NDArray[np.int64]
    times: NDArray[np.int64]
    centres: NDArray[np.float64]
    lineage: Lineage
    masks: LabelMasks | None = None
    labels: PlaneMovie | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    accepted: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def is_geff(path: Path) -> bool:
    """Whether a folder is a GEFF."""
    if not path.is_dir() or not has_metadata(path):
        return False
    node = zarr.open(str(path), mode="r")
    return isinstance(node, zarr.Group) and "geff" in node.attrs


def read_geff(path: str | Path, calibration: Calibration | None = None) -> GeffTracks:
    """Read a GEFF.

    Parameters
    ----------
    path : str or Path
    calibration : Calibration, optional
        Of the movie, for graphs whose positions are in units.

    Raises
    ------
    ValueError
        If it is no valid GEFF, has no positions, or these are in units and the movie's are not
        known.
    """
    needs("geff", "GEFF")
    from geff.core_io import read_to_memory

    where = Path(path).expanduser()
    if not is_geff(where):
        raise ValueError(f"{where} is no GEFF: choose the folder NAME.geff")
    graph = read_to_memory(str(where))
    about, props = graph["metadata"], graph["node_props"]
    known = calibration or Calibration()
    times, centres = _positions(about, props, known, where)
    edges = np.asarray(graph["edge_ids"], dtype=np.int64).reshape(-1, 2)
    node_ids = np.asarray(graph["node_ids"], dtype=np.int64)
    rows = {int(node): row for row, node in enumerate(node_ids)}
    links = np.array([[rows[int(a)], rows[int(b)]] for a, b in edges], dtype=np.int64).reshape(
        -1, 2
    )
    # Undirected graphs may name the later node first.
    turned = times[links[:, 0]] > times[links[:, 1]]
    links[turned] = links[turned][:, ::-1]
    ours = about.extra.get("napari-sam2")
    object_ids, notes = _objects(about, props, links, is_ours=ours is not None)
    lineage, doubts = _lineage(object_ids, links)
    labels, masks = _masks(where, about, props, node_ids, times, object_ids)
    accepted: frozenset[int] = frozenset()
    if ours is not None and "accepted" in props:
        accepted = frozenset(object_ids[props["accepted"]["values"].astype(bool)].tolist())
    names = {int(i): str(name) for i, name in (ours or {}).get("names", {}).items()}
    return GeffTracks(
        object_ids, times, centres, lineage, masks, labels, names, accepted, (*notes, *doubts)
    )


def _positions(
    about: Any, props: Any, known: Calibration, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return frames, (N,), and places in pixels, (N, 3)."""
    axes = {axis.name: axis for axis in about.axes or ()}
    in_time = [name for name, axis in axes.items() if axis.type == "time"]
    in_space = [name for name, axis in axes.items() if axis.type == "space"]
    times = in_time or [name for name in ("t", "time", "frame") if name in props]
    places = in_space or [name for name in "zyx" if name in props]
    if not times or len(places) not in (2, 3):
        raise ValueError(f"{path} does not say where its nodes are: it needs axes t, (z,) y, x")
    pixel = dict(zip(("z", "y", "x")[-len(places) :], known.pixel[-len(places) :], strict=True))
    columns = []
    for name, size in zip(places, pixel.values(), strict=True):
        unit = axes[name].unit if name in axes else None
        step = _step(unit, size, known.space_unit, path, "--pixel-size")
        columns.append(np.asarray(props[name]["values"], dtype=np.float64) / step)
    unit = axes[times[0]].unit if times[0] in axes else None
    step = _step(unit, known.interval, known.time_unit, path, "--interval")
    frames = np.rint(np.asarray(props[times[0]]["values"], dtype=np.float64) / step)
    if len(columns) == 2:
        columns.insert(0, np.zeros_like(columns[0]))
    return frames.astype(np.int64), np.stack(columns, axis=1)


def _step(unit: str | None, step: float, known: str, path: Path, option: str) -> float:
    """Return how many units of an axis a pixel or a frame is."""
    if unit in _PIXELS:
        return 1.0
    if unit != known:
        raise ValueError(
            f"{path} has positions in {unit} and the movie is in {known}: say with {option} how "
            f"large a step is in {unit}"
        )
    return step


def _objects(
    about: Any, props: Any, links: NDArray[np.int64], *, is_ours: bool
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the object of each node: as the graph numbers them, or by its unbranched paths."""
    named = "object_id" if is_ours else (about.track_node_props or {}).get("tracklet")
    prop = props.get(named) if named else None
    if prop is not None and (prop["missing"] is None or not np.any(prop["missing"])):
        ids = np.asarray(prop["values"]).astype(np.int64)
        if ids.size and ids.min() < 1:
            shift = 1 - int(ids.min())
            return ids + shift, [f"object ids are those of the graph plus {shift}: ids begin at 1"]
        return ids, []
    count = len(next(iter(props.values()))["values"]) if props else 0
    following, before = Counter(links[:, 0].tolist()), Counter(links[:, 1].tolist())
    goes_on = {int(b): int(a) for a, b in links if following[int(a)] == 1 == before[int(b)]}
    ids = np.zeros(count, dtype=np.int64)
    fresh = 0
    for row in range(count):
        path = [row]
        while ids[path[-1]] == 0 and path[-1] in goes_on:
            path.append(goes_on[path[-1]])
        if ids[path[-1]] == 0:
            fresh += 1
            ids[path[-1]] = fresh
        ids[path] = ids[path[-1]]
    return ids, []


def _lineage(object_ids: NDArray[np.int64], links: NDArray[np.int64]) -> tuple[Lineage, list[str]]:
    """Return who divided into whom; of several mothers the first is kept."""
    mothers: dict[int, int] = {}
    merged: list[int] = []
    for mother, daughter in object_ids[links].tolist():
        if mother == daughter:
            continue
        if mothers.setdefault(daughter, mother) != mother:
            merged.append(daughter)
    notes = []
    if merged:
        listed = ", ".join(map(str, merged[:5])) + " ..." * (len(merged) > 5)
        notes.append(f"{listed} come from several tracks; an object has one parent here: the first")
    return Lineage.from_mothers(mothers), notes


def _masks(
    path: Path,
    about: Any,
    props: Any,
    node_ids: NDArray[np.int64],
    times: NDArray[np.int64],
    object_ids: NDArray[np.int64],
) -> tuple[PlaneMovie | None, LabelMasks | None]:
    """Return the labels that the graph points to, and the same under the ids of the objects."""
    related = [one for one in about.related_objects or () if one.type == "labels"]
    places = [(one, (path / one.path).resolve()) for one in related]
    there = [(one, place) for one, place in places if place.exists()]
    if not there:
        return None, None
    about_labels, place = there[0]
    labels = read_planes(place)
    named = about_labels.node_prop or about_labels.model_dump().get("label_prop")
    values = node_ids if named is None else np.asarray(props[named]["values"]).astype(np.int64)
    by_time: dict[int, dict[int, int]] = {}
    for time, label, object_id in zip(
        times.tolist(), values.tolist(), object_ids.tolist(), strict=True
    ):
        by_time.setdefault(time, {})[label] = object_id
    grid = labels.grid
    return labels, LabelMasks(
        Relabelled(labels, lambda plane: by_time.get(grid.place(plane)[0], {}))
    )
