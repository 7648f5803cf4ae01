"""Objects of Cell Tracking Challenge folders: results (``01_RES``) and truth (``01_GT``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.io.challenge import (
    ChallengeFolder,
    find_challenge_folder,
    read_challenge,
    read_track_table,
)
from napari_sam2.io.relabelled import Relabelled
from napari_sam2.io.tracked_objects import LabelMasks, TrackedObjects
from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.lineage import Lineage

__all__ = ["objects_of_tracks", "read_ctc", "with_tracks_beside"]

_TABLES = ("res_track.txt", "man_track.txt")


def read_ctc(path: str | Path) -> TrackedObjects:
    """Open a folder of the challenge as objects; an image is read when it is asked for.

    Parameters
    ----------
    path : str or Path
        What `read_challenge` reads. Of truth, the markers of ``TRA`` are replaced by the masks of
        ``SEG`` on the frames that have some.

    Returns
    -------
    TrackedObjects
        A track that is the only child of another and begins after a gap is the same object.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_challenge`.
    """
    found = read_challenge(Path(path).expanduser())
    table = find_challenge_folder(Path(path).expanduser())
    whole = {} if table is None or table.parent.name != "TRA" else _whole_masks(table.parent)
    stack = _Planes(found, whole)
    ids, lineage, notes = objects_of_tracks(found.spans, found.parents)
    masks = Relabelled(stack, lambda _: _Otherwise(ids))
    return TrackedObjects(
        LabelMasks(masks), lineage, stack.grid, name=found.name, notes=tuple(notes)
    )


def with_tracks_beside(objects: TrackedObjects, path: Path) -> TrackedObjects:
    """Add the parents that a table of tracks beside a label stack names, if there is one."""
    table = next((path.parent / name for name in _TABLES if (path.parent / name).is_file()), None)
    if table is None:
        return objects
    _, lineage, notes = objects_of_tracks(*read_track_table(table), with_gaps=False)
    return replace(objects, lineage=lineage).noting(f"parents are from {table}", *notes)


def objects_of_tracks(
    spans: Mapping[int, tuple[int, int]], parents: Mapping[int, int], *, with_gaps: bool = True
) -> tuple[dict[int, int], Lineage, list[str]]:
    """Return the object of each track, the divisions, and what does not fit.

    Notes
    -----
    A parent with one child is a cell that was lost and found where there are frames between them,
    and a division of which one daughter was not seen where there are none.
    """
    children = Counter(parents.values())
    ids: dict[int, int] = {}
    mothers: dict[int, int] = {}
    orphans: list[int] = []
    for label, (begin, _) in sorted(spans.items(), key=lambda item: (item[1][0], item[0])):
        ids[label] = label
        parent = parents.get(label)
        if parent is None:
            continue
        if parent not in ids or spans[parent][1] >= begin:
            orphans.append(label)
        elif with_gaps and children[parent] == 1 and begin > spans[parent][1] + 1:
            ids[label] = ids[parent]
        else:
            mothers[label] = ids[parent]
    notes = []
    if orphans:
        listed = ", ".join(map(str, orphans[:5])) + " ..." * (len(orphans) > 5)
        notes.append(f"no parent for {listed}: it is not there, or ends after they begin")
    return ids, Lineage.from_mothers(mothers), notes


class _Otherwise(dict[int, int]):
    """Labels that no table names keep their numbers."""

    def get(self, label: int, default: Any = None) -> int:
        return super().get(label, label)


class _Planes:
    """Label images as a stack of planes; the one read last is kept for its other slices."""

    def __init__(self, found: ChallengeFolder, whole: Mapping[int, list[Path]]) -> None:
        times, *slices, height, width = found.labels.shape
        self.grid = PlaneGrid(times, slices[0] if slices else 1)
        self.shape = (len(self.grid), height, width)
        self.dtype = np.dtype(found.labels.dtype)
        self._labels = found.labels
        self._whole = whole
        self._last: tuple[int, NDArray[Any]] | None = None

    def __getitem__(self, plane: int) -> NDArray[Any]:
        time, z = self.grid.place(plane)
        if self._last is None or self._last[0] != time:
            self._last = time, self._read(time)
        labels: NDArray[Any] = self._last[1][z]
        return labels

    def _read(self, time: int) -> NDArray[Any]:
        """Return the labels of a time, (Z, H, W)."""
        labels = np.asarray(self._labels[time]).reshape(self.grid.slices, *self.shape[1:])
        for path in self._whole.get(time, ()):
            slice_of = re.fullmatch(r"man_seg_\d+_(\d+)", path.stem)
            z = slice(None) if slice_of is None else slice(int(slice_of[1]), int(slice_of[1]) + 1)
            masks = np.asarray(tifffile.imread(path))
            labels = _with_masks(labels, masks if masks.ndim == 3 else masks[None], z)
        return labels


def _whole_masks(markers: Path) -> dict[int, list[Path]]:
    """Return the files of whole masks by the place of their frame among the markers."""
    numbers = sorted(int(re.sub(r"\D", "", p.stem)) for p in markers.glob("man_track*.tif*"))
    found: dict[int, list[Path]] = {}
    for path in sorted(markers.with_name("SEG").glob("man_seg*.tif*")):
        match = re.match(r"man_seg_?(\d+)", path.stem)
        if match is not None and int(match[1]) in numbers:
            found.setdefault(numbers.index(int(match[1])), []).append(path)
    return found


def _with_masks(markers: NDArray[Any], masks: NDArray[Any], where: slice) -> NDArray[Any]:
    """Replace markers by the masks that cover more than half of them, as the challenge matches."""
    out = markers.copy()
    here = markers[where]
    for mask in np.unique(masks[masks > 0]):
        inside = masks == mask
        labels, counts = np.unique(here[inside & (here > 0)], return_counts=True)
        if labels.size:
            label = labels[counts.argmax()]
            if 2 * counts.max() > np.count_nonzero(here == label):
                window = out[where]
                window[window == label] = 0
                window[inside] = label
    return out
