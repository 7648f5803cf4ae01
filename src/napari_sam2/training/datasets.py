"""Readers of the annotated image sets that the bundled network is trained on.

Only the three sets marked for training are known here; the Cell Tracking Challenge sequences
measure the result and are never read by anything in this package's training code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from skimage.io import imread
from skimage.measure import label as label_parts

Split = Literal["train", "validation"]

#: Share of the stills that is kept back for validation.
VALIDATION_SHARE = 0.1
#: Correlation above which two borders of equal length are taken to be neighbours in one picture.
SAME_BORDER = 0.95
#: Bodies of the electron-microscopy stack below this many voxels are fragments, never objects.
EM_BODY_VOXELS = 2000
#: Slices at the end of the electron-microscopy stack that are kept back for validation.
EM_VALIDATION_SLICES = 20


@dataclass(frozen=True, slots=True)
class ObjectTable:
    """The objects of one frame.

    Attributes
    ----------
    ids : numpy.ndarray
        (N,) int64 labels.
    boxes : numpy.ndarray
        (N, 4) int64 y0, x0, y1, x1, half open.
    areas : numpy.ndarray
        (N,) int64 pixels.
    parts, part_map : numpy.ndarray, optional
        Where an id may be several profiles, each is an object of its own: ``part_map`` (Y, X)
        numbers the profiles and ``parts`` (N,) are the numbers of the rows.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]
    parts: NDArray[np.int64] | None = None
    part_map: NDArray[np.int64] | None = None

    def pick(self, rows: NDArray[Any]) -> ObjectTable:
        """Return the table of some rows, by index or by bool."""
        parts = None if self.parts is None else self.parts[rows]
        return ObjectTable(self.ids[rows], self.boxes[rows], self.areas[rows], parts, self.part_map)


_NO_OBJECTS = ObjectTable(np.zeros(0, np.int64), np.zeros((0, 4), np.int64), np.zeros(0, np.int64))


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
    annotated : frozenset of int, optional
        Frames on which ``labels`` says anything; None means all.  Others hold images only: no
        object is ever found on them, and that is not to say that there is none.
    lifetimes : mapping of int to (int, int), optional
        First and last frame of each object.  Where it is given, an object without a mask on an
        annotated frame of its lifetime was left out by the annotation; otherwise it is not there.
    lead : int
        That many frames at the beginning taught already: objects may be prompted there, so that
        they can be followed into the frames that measure, but nothing is measured there.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[Any]
    eligible: frozenset[int] | None = None
    traced: bool = False
    max_stride: int = 2
    kind: str = ""
    annotated: frozenset[int] | None = None
    lifetimes: Mapping[int, tuple[int, int]] | None = None
    lead: int = 0
    _tables: dict[int, ObjectTable] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def is_annotated(self, frame: int) -> bool:
        """Tell whether the labels of a frame say anything."""
        return self.annotated is None or frame in self.annotated

    def is_known(self, object_id: int, frame: int) -> bool:
        """Tell whether an annotated frame says where an object is, or that it is not there."""
        if not self.is_annotated(frame):
            return False
        if self.lifetimes is None or object_id not in self.lifetimes:
            return True
        first, last = self.lifetimes[object_id]
        return not first <= frame <= last or object_id in self.objects(frame).ids

    def objects(self, frame: int) -> ObjectTable:
        """Return the eligible objects of a frame, none of one without annotation; kept."""
        if not self.is_annotated(frame):
            return _NO_OBJECTS
        if frame not in self._tables:
            make = _tabulate_parts if self.traced else _tabulate
            self._tables[frame] = make(np.asarray(self.labels[frame]), self.eligible)
        return self._tables[frame]


@cache
def dsb2018_split(folder: Path) -> dict[Split, list[int]]:
    """Divide the stills into training and validation.

    Many stills are crops of one larger picture, so those whose borders continue one another are
    joined, and a whole mosaic is on one side of the split.  Mosaics are taken in the order of a
    hash of the number of their first still until `VALIDATION_SHARE` of the stills of each kind is
    reached; there is no randomness.

    Parameters
    ----------
    folder : pathlib.Path
        The ``dsb2018_nuclei`` folder.

    Returns
    -------
    dict
        ``{"train": [...], "validation": [...]}``, sorted, disjoint, complete.
    """
    by_kind: dict[str, dict[tuple[int, ...], list[tuple[int, NDArray[np.float32]]]]] = {}
    for entry in json.loads((folder / "info.json").read_text()):
        image = imread(folder / f"{entry['index']:03d}_image.png").astype(np.float32)
        grey = image[..., :3].mean(2) if image.ndim == 3 else image
        shapes = by_kind.setdefault(entry["kind"], {})
        shapes.setdefault(grey.shape, []).append((entry["index"], grey))
    split: dict[Split, list[int]] = {"train": [], "validation": []}
    for shapes in by_kind.values():
        mosaics = [mosaic for stills in shapes.values() for mosaic in _mosaics(stills)]
        wanted = VALIDATION_SHARE * sum(map(len, mosaics))
        kept = 0
        for mosaic in sorted(mosaics, key=lambda members: _digest(str(members[0]))):
            is_kept = kept < wanted
            kept += len(mosaic) if is_kept else 0
            split["validation" if is_kept else "train"] += mosaic
    return {name: sorted(numbers) for name, numbers in split.items()}


def read_dsb2018(root: Path, split: Split) -> list[LabelledMovie]:
    """Read stills of nuclei (fluorescence, stained tissue, brightfield) as one-frame movies.

    Raises
    ------
    FileNotFoundError
        If the set is not below ``root``.
    """
    folder = _folder(root, "dsb2018_nuclei")
    kinds = {e["index"]: e["kind"] for e in json.loads((folder / "info.json").read_text())}
    return [_read_still(folder, number, kinds[number]) for number in dsb2018_split(folder)[split]]


def read_em_fibsem(root: Path, split: Split) -> list[LabelledMovie]:
    """Read the electron-microscopy stack, for training along each of its three (equal) axes.

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
    """Read the fluorescent embryo as a z-stack; eight nuclei, all for training."""
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


def _mosaics(stills: list[tuple[int, NDArray[np.float32]]]) -> list[list[int]]:
    """Numbers of the stills (all of one shape) that continue one another at their borders."""
    pixels = np.stack([grey for _, grey in stills])
    below = _correlation(pixels[:, -1], pixels[:, 0])
    beside = _correlation(pixels[:, :, -1], pixels[:, :, 0])
    joined = np.maximum(below, beside) > SAME_BORDER
    np.fill_diagonal(joined, False)
    count, member_of = connected_components(joined, directed=False)
    numbers = np.array([number for number, _ in stills])
    return [numbers[member_of == mosaic].tolist() for mosaic in range(count)]


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = []
    for rows in (first, second):
        centred = rows - rows.mean(1, keepdims=True)
        unit.append(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6))
    return np.asarray(unit[0] @ unit[1].T, np.float32)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tabulate(labels: NDArray[Any], eligible: frozenset[int] | None) -> ObjectTable:
    found = ndimage.find_objects(labels)
    areas = np.bincount(labels.ravel(), minlength=len(found) + 1)
    ids = np.array([i for i, where in enumerate(found, start=1) if where is not None], np.int64)
    if eligible is not None:
        ids = ids[np.isin(ids, list(eligible))]
    boxes = [[w.start for w in found[i - 1]] + [w.stop for w in found[i - 1]] for i in ids]
    return ObjectTable(ids, np.array(boxes, np.int64).reshape(-1, 4), areas[ids].astype(np.int64))


def _tabulate_parts(labels: NDArray[Any], eligible: frozenset[int] | None) -> ObjectTable:
    part_map = np.asarray(label_parts(labels, background=0, connectivity=1), np.int64)
    table = _tabulate(part_map, None)
    owner = np.zeros(int(part_map.max()) + 1, np.int64)
    owner[part_map.ravel()] = labels.ravel()
    table = ObjectTable(owner[table.ids], table.boxes, table.areas, table.ids, part_map)
    return table if eligible is None else table.pick(np.isin(table.ids, list(eligible)))
