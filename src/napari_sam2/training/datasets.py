"""Readers of the annotated image sets that the bundled network is trained on.

Only the three sets marked for training are known here; the Cell Tracking Challenge sequences
measure the result and are never read by anything in this package's training code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.io import imread

Split = Literal["train", "validation"]

#: Share of the stills that is kept back for validation.
VALIDATION_SHARE = 0.1
#: Bodies of the electron-microscopy stack below this many voxels are fragments, never objects.
EM_BODY_VOXELS = 2000
#: Slices at the end of the electron-microscopy stack that are kept back for validation.
EM_VALIDATION_SLICES = 20


@dataclass(frozen=True, slots=True)
class ObjectTable:
    """The objects of one frame: ``ids`` (N,), ``boxes`` (N, 4) y0 x0 y1 x1 half open, ``areas``."""

    ids: NDArray[np.int64]
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]


@dataclass(slots=True)
class LabelledMovie:
    """Images with instance labels.

    Attributes
    ----------
    name : str
        For messages and for keeping account of sources.
    images : numpy.ndarray
        (T, Y, X) or (T, Y, X, 3), uint8 or uint16; a still has T = 1.
    labels : numpy.ndarray
        (T, Y, X) integers; 0 is background or unannotated.
    eligible : frozenset of int, optional
        Ids that may be chosen as objects; None means all.  Other ids are left unannotated: they
        are neither objects nor used as hard neighbours.
    traced : bool
        One id may be several separate profiles in a frame (a body cut by a section): an object is
        then followed from one connected profile to those that overlap it.
    max_stride : int
        Frames may be skipped up to this stride.
    kind : str
        What the images show, to balance unlike stills.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[Any]
    eligible: frozenset[int] | None = None
    traced: bool = False
    max_stride: int = 2
    kind: str = ""
    _tables: dict[int, ObjectTable] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def objects(self, frame: int) -> ObjectTable:
        """Eligible objects of a frame; kept after the first call."""
        if frame not in self._tables:
            self._tables[frame] = _tabulate(np.asarray(self.labels[frame]), self.eligible)
        return self._tables[frame]


def dsb2018_split(folder: Path) -> dict[Split, list[int]]:
    """Numbers of the stills for training and for validation.

    Many stills are crops of the same plate or slide, so whole groups (same kind, size and level of
    the background and of the bright parts) are kept back.  Groups are taken in the order of a hash
    of their description until a tenth of the stills of each kind is reached; no randomness.

    Parameters
    ----------
    folder : pathlib.Path
        The ``dsb2018_nuclei`` folder.

    Returns
    -------
    dict
        ``{"train": [...], "validation": [...]}``, sorted, disjoint, complete.
    """
    entries = json.loads((folder / "info.json").read_text())
    groups: dict[str, dict[str, list[int]]] = {}
    for entry in entries:
        image = imread(folder / f"{entry['index']:03d}_image.png")
        group = _group_of(entry["kind"], image)
        groups.setdefault(entry["kind"], {}).setdefault(group, []).append(entry["index"])
    split: dict[Split, list[int]] = {"train": [], "validation": []}
    for members in groups.values():
        wanted = VALIDATION_SHARE * sum(map(len, members.values()))
        kept = 0
        for group in sorted(members, key=_digest):
            fits = kept < wanted and kept + len(members[group]) <= 1.5 * wanted + 1
            kept += len(members[group]) if fits else 0
            split["validation" if fits else "train"] += members[group]
    return {name: sorted(numbers) for name, numbers in split.items()}


def read_dsb2018(root: Path, split: Split) -> list[LabelledMovie]:
    """Stills of nuclei (fluorescence, stained tissue, brightfield) as one-frame movies.

    Raises
    ------
    FileNotFoundError
        If the set is not below ``root``.
    """
    folder = _folder(root, "dsb2018_nuclei")
    kinds = {e["index"]: e["kind"] for e in json.loads((folder / "info.json").read_text())}
    return [_read_still(folder, number, kinds[number]) for number in dsb2018_split(folder)[split]]


def read_em_fibsem(root: Path, split: Split) -> list[LabelledMovie]:
    """The electron-microscopy stack, cut along its three axes (it is isotropic) for training.

    The last `EM_VALIDATION_SLICES` slices along z are the validation part.
    """
    folder = _folder(root, "em_fibsem_medulla_z000-149")
    images = tifffile.imread(folder / f"{folder.name}_images.tif")
    labels = tifffile.imread(folder / f"{folder.name}_labels.tif")
    sizes = np.bincount(labels.ravel())
    bodies = frozenset(int(i) for i in np.flatnonzero(sizes > EM_BODY_VOXELS) if i > 0)
    cut = len(images) - EM_VALIDATION_SLICES
    part = slice(0, cut) if split == "train" else slice(cut, None)
    orders = ((0, 1, 2), (1, 0, 2), (2, 0, 1)) if split == "train" else ((0, 1, 2),)
    return [
        LabelledMovie(
            name=f"em_fibsem axis {order[0]}",
            images=np.ascontiguousarray(images[part].transpose(order)),
            labels=np.ascontiguousarray(labels[part].transpose(order)),
            eligible=bodies,
            traced=True,
            max_stride=2,
            kind="em",
        )
        for order in orders
    ]


def read_embryo3d(root: Path) -> list[LabelledMovie]:
    """The fluorescent embryo as a z-stack; eight nuclei, all for training."""
    folder = _folder(root, "embryo3d_mouse_8_cell_stage")
    images = tifffile.imread(folder / f"{folder.name}_images.tif")
    labels = tifffile.imread(folder / f"{folder.name}_labels.tif")
    return [LabelledMovie("embryo3d", images, labels, max_stride=2, kind="fluo")]


def _folder(root: Path, name: str) -> Path:
    folder = Path(root) / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not there; point NAPARI_SAM2_DATA at the folder that holds {name}."
        )
    return folder


def _read_still(folder: Path, number: int, kind: str) -> LabelledMovie:
    image = np.asarray(imread(folder / f"{number:03d}_image.png"))
    labels = np.asarray(imread(folder / f"{number:03d}_labels.png"))
    if image.ndim == 3 and (image.shape[2] > 3 or _is_grey(image)):
        image = image[..., 0] if _is_grey(image) else image[..., :3]
    areas = np.bincount(labels.ravel())[1:]
    # Specks in the annotation of bright-field stills are no nuclei.
    smallest = max(25.0, 0.15 * float(np.median(areas[areas > 0])))
    eligible = frozenset(int(i) + 1 for i in np.flatnonzero(areas >= smallest))
    return LabelledMovie(
        f"dsb2018 {number:03d}", image[None], labels[None], eligible, kind=kind, max_stride=1
    )


def _is_grey(image: NDArray[Any]) -> bool:
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())


def _group_of(kind: str, image: NDArray[Any]) -> str:
    grey = image[..., :3].mean(2) if image.ndim == 3 else image
    low, high = np.percentile(grey[::2, ::2], (10, 99))
    levels = [int(round(2 * np.log2(level + 4))) for level in (low, high)]
    return f"{kind} {image.shape[0]}x{image.shape[1]} {levels}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tabulate(labels: NDArray[Any], eligible: frozenset[int] | None) -> ObjectTable:
    rows, columns = np.nonzero(labels)
    values = labels[rows, columns].astype(np.int64)
    size = int(values.max()) + 1 if len(values) else 1
    areas = np.bincount(values, minlength=size)
    boxes = np.full((size, 4), -1, np.int64)
    # Coordinates come in raster order, so a plain assignment keeps the last (largest) row.
    boxes[values[::-1], 0] = rows[::-1]
    boxes[values, 2] = rows + 1
    order = np.argsort(columns, kind="stable")
    boxes[values[order][::-1], 1] = columns[order][::-1]
    boxes[values[order], 3] = columns[order] + 1
    ids = np.flatnonzero(areas)
    if eligible is not None:
        ids = ids[np.isin(ids, list(eligible))]
    return ObjectTable(ids, boxes[ids], areas[ids])


def interleave(movies: Sequence[LabelledMovie]) -> dict[str, list[int]]:
    """Indices of ``movies`` by kind, so that a rare kind can be drawn as often as a common one."""
    kinds: dict[str, list[int]] = {}
    for index, movie in enumerate(movies):
        kinds.setdefault(movie.kind, []).append(index)
    return kinds
