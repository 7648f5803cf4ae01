"""What is exported: the masks of objects, their family tree, their places in the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from napari_sam2.io.axes import MovieArray
from napari_sam2.io.calibration import Calibration
from napari_sam2.io.spilled_masks import SpilledMasks
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.lineage import Lineage
from napari_sam2.tracking.regions import Region

__all__ = ["LabelMasks", "MaskSource", "MaskletMasks", "SpilledPlanes", "TrackedObjects"]


class MaskSource(Protocol):
    """Masks, plane by plane."""

    has_scores: bool
    """Whether the records say what a network thought of them."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, height and width."""
        ...

    def object_ids(self) -> tuple[int, ...]:
        """Objects with a mask, ascending."""
        ...

    def on(self, plane: int) -> Mapping[int, MaskRecord]:
        """Return the visible masks of a plane by object."""
        ...


class MaskletMasks:
    """The masks of some objects of a set, as they are when this is made.

    Parameters
    ----------
    masklets : MaskletSet
        May be changed afterwards.
    without : set of int
        Objects that are left out.
    """

    has_scores = True

    def __init__(self, masklets: MaskletSet, without: frozenset[int] = frozenset()) -> None:
        self.shape = masklets.shape
        self._planes: dict[int, dict[int, MaskRecord]] = {}
        seen = set()
        for masklet in masklets:
            if masklet.object_id in without:
                continue
            for plane, record in list(masklet.records.items()):
                if record.visible:
                    self._planes.setdefault(plane, {})[masklet.object_id] = record
                    seen.add(masklet.object_id)
        self._object_ids = tuple(sorted(seen))

    def object_ids(self) -> tuple[int, ...]:
        """Objects with a mask, ascending."""
        return self._object_ids

    def on(self, plane: int) -> Mapping[int, MaskRecord]:
        """Return the visible masks of a plane by object."""
        return self._planes.get(plane, {})


class SpilledPlanes:
    """The masks of a session on disk; a plane is read when it is asked for.

    Parameters
    ----------
    masks : SpilledMasks
    without : set of int
        Objects that are left out.
    """

    has_scores = True

    def __init__(self, masks: SpilledMasks, without: frozenset[int] = frozenset()) -> None:
        self._masks = masks
        self._without = without
        self.shape = masks.shape

    def object_ids(self) -> tuple[int, ...]:
        """Objects with a mask, ascending."""
        return tuple(i for i in self._masks.seen() if i not in self._without)

    def on(self, plane: int) -> Mapping[int, MaskRecord]:
        """Return the visible masks of a plane by object."""
        return {
            i: one
            for i, one in self._masks.on(plane).items()
            if one.visible and i not in self._without
        }


class LabelMasks:
    """The objects of a label stack; a plane is read when it is asked for.

    Parameters
    ----------
    labels : array-like of int, shape (P, H, W)
        Numpy, zarr, dask or a `PlaneMovie`.
    """

    has_scores = False

    def __init__(self, labels: MovieArray) -> None:
        self._labels = labels
        self._object_ids: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, height and width."""
        planes, height, width = self._labels.shape
        return int(planes), int(height), int(width)

    def object_ids(self) -> tuple[int, ...]:
        """Objects with a mask, ascending; reads every plane, the first time."""
        if self._object_ids is None:
            found: set[int] = set()
            for plane in range(self.shape[0]):
                found.update(np.unique(np.asarray(self._labels[plane])).tolist())
            self._object_ids = tuple(sorted(found - {0}))
        return self._object_ids

    def on(self, plane: int) -> Mapping[int, MaskRecord]:
        """Return the masks of a plane by object."""
        one = MaskletSet.from_labels(np.asarray(self._labels[plane]).astype(np.int64)[None])
        return {masklet.object_id: masklet.records[0] for masklet in one}


@dataclass(frozen=True)
class TrackedObjects:
    """The objects of a movie.

    Parameters
    ----------
    masks : MaskSource
        Where they are.
    lineage : Lineage
        Who divided into whom.
    grid : PlaneGrid, optional
        Times and slices of the planes; by default each plane is a time.
    calibration : Calibration
    movie : array-like, optional
        Plane by plane (H, W) or (H, W, C); for intensities, and to lie beside the labels.
    name : str
        What the movie is called.
    names : dict of int to str
        What objects are called, of those that have a name.
    accepted : frozenset of int
        Objects that a person has accepted.
    notes : tuple of str
        What had to be left out so far.

    Raises
    ------
    ValueError
        If masks, grid and movie are of different sizes.
    """

    masks: MaskSource
    lineage: Lineage = field(default_factory=Lineage)
    grid: PlaneGrid | None = None
    calibration: Calibration = field(default_factory=Calibration)
    movie: MovieArray | None = field(default=None, repr=False)
    name: str = "movie"
    names: Mapping[int, str] = field(default_factory=dict)
    accepted: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.masks.shape
        if self.grid is not None and len(self.grid) != shape[0]:
            raise ValueError(
                f"the masks have {shape[0]} planes and the movie {self.grid.times} times of "
                f"{self.grid.slices} slices: give the movie that they were made on"
            )
        if self.movie is not None and tuple(self.movie.shape[:3]) != shape:
            raise ValueError(
                f"the masks are of a movie of {shape} (frames, height, width) and this one has "
                f"{tuple(self.movie.shape[:3])}: give the movie that they were made on"
            )

    @classmethod
    def of(cls, objects: TrackedObjects | MaskletSet) -> TrackedObjects:
        """Take masks for objects of which nothing else is known."""
        return objects if isinstance(objects, TrackedObjects) else cls(MaskletMasks(objects))

    @property
    def planes(self) -> PlaneGrid:
        """Times and slices of the planes."""
        return PlaneGrid(self.masks.shape[0]) if self.grid is None else self.grid

    @property
    def num_times(self) -> int:
        """Number of times."""
        return self.planes.times

    @property
    def is_deep(self) -> bool:
        """Whether there is more than one slice at a time."""
        return self.planes.slices > 1

    @property
    def axes(self) -> str:
        """Letters of the axes of labels: TYX or TZYX."""
        return "TZYX" if self.is_deep else "TYX"

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of the labels of one time, (H, W) or (Z, H, W)."""
        return (self.planes.slices,) * self.is_deep + self.masks.shape[1:]

    def at(self, time: int) -> list[Region]:
        """Return what is seen at a time, by object id."""
        found: dict[int, dict[int, MaskRecord]] = {}
        for plane in self.planes.along_z(time):
            z = self.planes.place(plane)[1]
            for object_id, record in self.masks.on(plane).items():
                found.setdefault(object_id, {})[z] = record
        regions = (Region.of(object_id, time, masks) for object_id, masks in sorted(found.items()))
        return [region for region in regions if region is not None]

    def everywhere(self) -> Iterator[list[Region]]:
        """Yield what is seen at each time."""
        return (self.at(time) for time in range(self.num_times))

    def image(self, time: int) -> np.ndarray | None:
        """Return the movie at a time, (Z, H, W, C), None without a movie."""
        if self.movie is None:
            return None
        planes = [np.asarray(self.movie[plane]) for plane in self.planes.along_z(time)]
        return np.stack([plane if plane.ndim == 3 else plane[..., None] for plane in planes])

    def noting(self, *notes: str) -> TrackedObjects:
        """Return the same with more to say about what was left out."""
        return replace(self, notes=(*self.notes, *notes))
