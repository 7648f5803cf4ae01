"""A folder of results as the Cell Tracking Challenge wants it: ``maskNNN.tif``, ``res_track.txt``.

A track of the challenge has its label on every frame from its first to its last. An object that was
hidden for a while becomes several tracks, each the parent of the next, as the challenge's rules
describe it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2.io.label_painter import LabelPainter
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_folder
from napari_sam2.masklets import MaskletSet

__all__ = ["is_ctc_file", "write_ctc"]

_MOST = np.iinfo(np.uint16).max
_LISTED = 5


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the life of an object without a gap."""

    object_id: int
    begin: int
    end: int


def is_ctc_file(name: str) -> bool:
    """Whether a file of this name belongs to a folder of results."""
    return name == "res_track.txt" or re.fullmatch(r"mask\d+\.tif", name) is not None


def write_ctc(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write objects as a folder of results of the Cell Tracking Challenge.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
    path : str or Path
        The folder, by custom ``01_RES``.
    overwrite : bool
        Whether to replace older results; a folder with anything else in it is refused.
    watch : callable
        Called with frames done and frames in all.

    Returns
    -------
    list of str
        What the format could not hold.

    Raises
    ------
    FileExistsError
        If there is something that may not be replaced.
    ValueError
        If there are more than 65535 tracks.
    OSError
        If the disk is full.
    """
    objects = TrackedObjects.of(objects)
    total = 2 * objects.num_times
    finder = LabelPainter(objects)
    seen = _times_seen(finder, objects.num_times, lambda done: watch(done, total))
    stretches = [
        one for object_id in sorted(seen) for one in _stretches(object_id, seen[object_id])
    ]
    labels, notes = _label(stretches)
    rows, doubts = _rows(objects, stretches, labels)
    with writing_folder(Path(path), is_ctc_file, overwrite=overwrite) as folder:
        _write_masks(objects, folder, labels, lambda done: watch(objects.num_times + done, total))
        lines = (" ".join(map(str, row)) for row in sorted(rows))
        (folder / "res_track.txt").write_text("".join(f"{line}\n" for line in lines))
    lost = sorted(set(objects.masks.object_ids()) - seen.keys())
    if lost:
        doubts.append(f"{_named(lost)} left out: covered by smaller objects everywhere")
    return [*finder.notes(), *notes, *doubts]


def _times_seen(
    finder: LabelPainter, num_times: int, watch: Callable[[int], None]
) -> dict[int, list[int]]:
    """Return at which times each object has a pixel that no other covers."""
    seen: dict[int, list[int]] = {}
    for time in range(num_times):
        for object_id in np.unique(finder.paint(time)).tolist():
            seen.setdefault(object_id, []).append(time)
        watch(time + 1)
    seen.pop(0, None)
    return seen


def _write_masks(
    objects: TrackedObjects,
    folder: Path,
    labels: dict[_Stretch, int],
    watch: Callable[[int], None],
) -> None:
    """Write one picture a time, each stretch with its label."""
    digits = max(3, len(str(objects.num_times - 1)))
    painter = LabelPainter(objects, np.dtype(np.uint16))
    for time in range(objects.num_times):
        here = {one.object_id: n for one, n in labels.items() if one.begin <= time <= one.end}
        name, painted = folder / f"mask{time:0{digits}d}.tif", painter.paint(time, here)
        tifffile.imwrite(name, painted, compression="zlib", photometric="minisblack")
        watch(time + 1)


def _stretches(object_id: int, times: list[int]) -> Iterable[_Stretch]:
    """Cut the frames on which an object is seen at its gaps."""
    begin = times[0]
    for time, following in pairwise([*times, times[-1] + 2]):
        if following > time + 1:
            yield _Stretch(object_id, begin, time)
            begin = following


def _label(stretches: list[_Stretch]) -> tuple[dict[_Stretch, int], list[str]]:
    """Give the first stretch of an object its id and the others free labels of 16 bits."""
    if len(stretches) > _MOST:
        raise ValueError(
            f"there are {len(stretches)} tracks and the challenge's 16-bit labels hold {_MOST}: "
            "export a part of the movie, or another format"
        )
    labels: dict[_Stretch, int] = {}
    taken = {one.object_id for one in stretches}
    after = max((i for i in taken if i <= _MOST), default=0)
    candidates = chain(range(after + 1, _MOST + 1), range(1, after))
    free = (label for label in candidates if label not in taken)
    known: set[int] = set()
    changed: list[str] = []
    for one in stretches:
        is_first = one.object_id not in known
        known.add(one.object_id)
        if is_first and one.object_id <= _MOST:
            labels[one] = one.object_id
            continue
        labels[one] = next(free)
        if is_first:
            changed.append(f"{one.object_id} is {labels[one]}")
    notes = []
    if changed:
        more = " ..." * (len(changed) > _LISTED)
        notes.append(
            f"labels have 16 bits, so objects above {_MOST} have others: "
            f"{', '.join(changed[:_LISTED])}{more}"
        )
    if count := len(stretches) - len(known):
        notes.append(
            f"{count} track{'s' * (count != 1)} more than objects: each part of a life after a gap "
            "is a track of its own, with the part before it as parent"
        )
    return labels, notes


def _rows(
    objects: TrackedObjects, stretches: list[_Stretch], labels: dict[_Stretch, int]
) -> tuple[list[tuple[int, int, int, int]], list[str]]:
    """Return label, begin, end and parent of every track, and which parents do not fit in time."""
    last = {one.object_id: one for one in stretches}
    rows: list[tuple[int, int, int, int]] = []
    unfit: list[int] = []
    before: _Stretch | None = None
    for one in stretches:
        parent: _Stretch | None = before
        if before is None or before.object_id != one.object_id:
            mother = objects.lineage.mother_of(one.object_id)
            parent = None if mother is None else last.get(mother)
            if mother is not None and (parent is None or parent.end >= one.begin):
                unfit.append(one.object_id)
                parent = None
        rows.append((labels[one], one.begin, one.end, 0 if parent is None else labels[parent]))
        before = one
    notes = []
    if unfit:
        notes.append(
            f"{_named(unfit)} without parent: the mother is still seen when the daughter begins, "
            "or never; cut the mother there"
        )
    return rows, notes


def _named(ids: list[int]) -> str:
    listed = ", ".join(map(str, ids[:_LISTED])) + " ..." * (len(ids) > _LISTED)
    return f"object{'s' * (len(ids) != 1)} {listed}"
