"""Labels that exist already as prompts: which label is which object, and the change that seeds.

Reading labels may take long and is done first (`read_seeds`); the change is made from what was
read in no time (`seed`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_sam2.editing.change import Change, Place
from napari_sam2.editing.document import Document
from napari_sam2.masklets import MaskletSet, MaskRecord, records_of
from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import MaskPrompt, Prompt

__all__ = ["LARGEST_ID", "Seeded", "Seeds", "assign_labels", "check_labels", "read_seeds", "seed"]

LARGEST_ID = 65535
"""Largest label that becomes an object of the same number; masks are shown in 16 bits."""


@dataclass(slots=True)
class Seeds:
    """Labels as they were read.

    Attributes
    ----------
    masks : dict of (int, int) to MaskRecord
        By label and frame.
    overlaps : dict of (int, int) to (int, int)
        Pixels that a label and an object have in common, and pixels of either, summed over the
        frames that show both: what one of them does elsewhere says nothing about the other.
    """

    masks: dict[Place, MaskRecord] = field(default_factory=dict)
    overlaps: dict[Place, tuple[int, int]] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[int, ...]:
        """Every label, ascending."""
        return tuple(sorted({label for label, _ in self.masks}))


@dataclass(frozen=True, slots=True)
class Seeded:
    """What comes of labels.

    Attributes
    ----------
    change : Change
        Mask prompts and their masks; empty where nothing is left to do.
    new : tuple of int
        Objects that begin.
    matched : tuple of int
        Objects that were there already and overlapped with a label.
    kept : tuple of int
        Objects that overlapped, too, but are accepted or locked there, and stay as they are.
    frames : tuple of int
        Frames with labels that were taken, also where nothing had to change for them.
    """

    change: Change
    new: tuple[int, ...]
    matched: tuple[int, ...]
    kept: tuple[int, ...]
    frames: tuple[int, ...]


def read_seeds(
    masklets: MaskletSet,
    planes: Iterable[tuple[int, NDArray[np.integer]]],
    grid: PlaneGrid | None = None,
) -> Seeds:
    """Read labels, and count where they lie on objects.

    Parameters
    ----------
    masklets : MaskletSet
        The objects.
    planes : iterable of (int, ndarray of integer (H, W))
        Frames and their labels, 0 being background; each is let go before the next is taken.
    grid : PlaneGrid, optional
        How the frames are called where something is wrong; by their numbers if not given.

    Returns
    -------
    Seeds

    Raises
    ------
    ValueError
        If there is no label at all, or a plane is wrong; see `check_labels`.
    """
    seeds = Seeds()
    grid = grid or PlaneGrid(masklets.shape[0])
    frames = []
    for frame, plane in planes:
        frames.append(frame)
        check_labels(plane, masklets.shape[1:], f"the labels of {grid.name(frame)}")
        whole = plane.astype(np.uint8) if plane.dtype == bool else plane
        for label, record in records_of(whole):
            seeds.masks[label, frame] = record
        _count(masklets, frame, whole, seeds)
    if not seeds.masks:
        where = grid.listed(frames, 5)
        raise ValueError(f"there is no label {where}: choose other frames, or paint some")
    return seeds


def seed(document: Document, seeds: Seeds, least_iou: float | None = 0.5) -> Seeded:
    """Make every label an object with a mask prompt on each frame that was read.

    Parameters
    ----------
    document : Document
    seeds : Seeds
    least_iou : float or None
        A label that overlaps an object by this much or more is that object; None makes every
        label a new object.

    Returns
    -------
    Seeded
    """
    owners = assign_labels(document, seeds, least_iou)
    known = set(document.object_ids)
    size = document.masklets.shape[1:]
    masks: dict[Place, tuple[MaskRecord | None, MaskRecord | None]] = {}
    prompts: dict[Place, tuple[tuple[Prompt, ...], tuple[Prompt, ...]]] = {}
    kept: set[int] = set()
    for (label, frame), found in seeds.masks.items():
        place = owners[label], frame
        if document.info(place[0]).holds(frame):
            kept.add(place[0])
            continue
        prompt = MaskPrompt.packed(*place, size, found.bbox, found.bits)
        record = MaskRecord(found.bbox, found.bits, prompted=True)
        masks[place] = (document.masklets.record(*place), record)
        prompts[place] = (document.prompts.on(*place), (prompt,))
    title = "take labels as seeds"
    taken = {object_id for object_id, _ in masks}
    return Seeded(
        Change(title).then(Change(title, masks, prompts)),
        new=tuple(sorted(taken - known)),
        matched=tuple(sorted(taken & known)),
        kept=tuple(sorted(kept)),
        frames=tuple(sorted({frame for _, frame in masks})),
    )


def assign_labels(
    document: Document, seeds: Seeds, least_iou: float | None = 0.5
) -> dict[int, int]:
    """Decide which object each label is; no two labels are the same object.

    Parameters
    ----------
    document : Document
    seeds : Seeds
    least_iou : float or None
        Least overlap of a match, over all frames that show both; None matches nothing.

    Returns
    -------
    dict
        Label to object id: that of the object it overlaps, else its own number where that is
        free, else a fresh one.
    """
    matches = {} if least_iou is None else _matches(seeds, least_iou)
    taken = {*document.object_ids, *matches.values()}
    owners: dict[int, int] = {}
    for label in seeds.labels:
        owner = matches.get(label, label)
        if label not in matches and (owner in taken or owner > LARGEST_ID):
            owner = max((i for i in taken if i <= LARGEST_ID), default=0) + 1
        owners[label] = owner
        taken.add(owner)
    return owners


def check_labels(plane: NDArray[np.generic], size: tuple[int, int], name: str) -> None:
    """Refuse what cannot be the labels of a frame of this size.

    Raises
    ------
    ValueError
        If the values are no whole numbers, or the size is another.
    """
    if not (np.issubdtype(plane.dtype, np.integer) or plane.dtype == bool):
        raise ValueError(
            f"{name} are {plane.dtype}: labels are whole numbers; convert them, for example "
            "with numpy's astype(int)"
        )
    if plane.shape != size:
        raise ValueError(
            f"{name} are {' x '.join(map(str, plane.shape))} pixels and the movie's frames "
            f"{size[0]} x {size[1]}: choose labels of this movie"
        )


def _count(masklets: MaskletSet, frame: int, plane: NDArray[np.integer], seeds: Seeds) -> None:
    """Add what labels and objects share on a frame."""
    areas = {label: one.area for (label, at), one in seeds.masks.items() if at == frame}
    for masklet in masklets:
        record = masklet.records.get(frame)
        if record is None or not record.visible:
            continue
        y0, x0, y1, x1 = record.bbox
        inside = plane[y0:y1, x0:x1][record.crop()]
        values, counts = np.unique(inside[inside > 0], return_counts=True)
        common = dict(zip(values.tolist(), counts.tolist(), strict=True))
        for label, area in areas.items():
            pair, shared = (label, masklet.object_id), common.get(label, 0)
            before = seeds.overlaps.get(pair, (0, 0))
            union = area + record.area - shared
            seeds.overlaps[pair] = before[0] + shared, before[1] + union


def _matches(seeds: Seeds, least_iou: float) -> dict[int, int]:
    """Pair labels and objects so that the sum of their IoU is largest."""
    labels, objects = list(seeds.labels), sorted({owner for _, owner in seeds.overlaps})
    iou = np.zeros((len(labels), len(objects)))
    for (label, owner), (common, union) in seeds.overlaps.items():
        iou[labels.index(label), objects.index(owner)] = common / union
    pairs = zip(*linear_sum_assignment(iou, maximize=True), strict=True)
    return {labels[i]: objects[j] for i, j in pairs if iou[i, j] >= max(least_iou, 1e-9)}
