"""Annotated movies: images, the objects that are truly there, and where that is known.

A frame that is not listed as annotated has no truth: its zeros are not background. Whoever
scores asks `AnnotatedMovie.mask`, which refuses such a frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.io import imread

from napari_sam2.evaluation.metrics import BoolMask, LabelImage
from napari_sam2.masklets import MaskletSet, MaskRecord

Truth = Literal["labels", "gold"]

_NOTHING = MaskRecord.from_mask(np.zeros((1, 1), dtype=bool))


@dataclass(frozen=True)
class AnnotatedMovie:
    """A movie, its label images, and which frames of them are true.

    Attributes
    ----------
    name : str
        For tables.
    images : array, (T, H, W) or (T, H, W, C)
        Raw intensities.
    labels : integer array, (T, H, W)
        One id an object over all frames; 0 is background.
    annotated : tuple of int
        Frames on which `labels` is truth.
    lifetimes : dict of int to (int, int)
        First and last frame of each object, where a table of tracks says so.
    mothers : dict of int to int
        Daughter to mother, where the table says so.
    gold : dict of int to integer array (H, W)
        Frames on which people drew some of the objects, with the same ids; SEG is measured there.
    complete : bool
        Whether an object that is missing on an annotated frame is really not there; otherwise
        the annotation may have left it out, and it is not scored.
    pieces : bool
        Whether objects may be several separate profiles on a frame, as bodies cut by a section
        are; a prompt is then only asked for where there is one.
    is_stack : bool
        Whether the frames are slices, not times.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[np.integer]
    annotated: tuple[int, ...]
    lifetimes: dict[int, tuple[int, int]] = field(default_factory=dict)
    mothers: dict[int, int] = field(default_factory=dict)
    gold: dict[int, LabelImage] = field(default_factory=dict)
    complete: bool = False
    pieces: bool = False
    is_stack: bool = False

    @classmethod
    def of_stack(
        cls,
        name: str,
        images: NDArray[Any],
        labels: NDArray[np.integer],
        mothers: Mapping[int, int] | None = None,
        pieces: bool = False,
    ) -> AnnotatedMovie:
        """Take a stack in which every frame is annotated and every object is drawn.

        Raises
        ------
        ValueError
            If the shapes of images and labels differ, or there is no object at all.
        """
        if images.shape[:3] != labels.shape:
            raise ValueError(
                f"{name}: images are {images.shape} and labels {labels.shape}; both must have the "
                "same frames, height and width"
            )
        seen: dict[int, list[int]] = {}
        for frame, image in enumerate(labels):
            for value in np.unique(image[image > 0]):
                seen.setdefault(int(value), []).append(frame)
        if not seen:
            raise ValueError(f"{name}: the labels hold no object; nothing can be measured")
        lifetimes = {value: (frames[0], frames[-1]) for value, frames in seen.items()}
        kept = {d: m for d, m in (mothers or {}).items() if d in seen and m in seen}
        frames = tuple(range(len(labels)))
        return cls(name, images, labels, frames, lifetimes, kept, {}, True, pieces)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.labels.shape[1]), int(self.labels.shape[2])

    @cached_property
    def truth(self) -> MaskletSet:
        """The true masks of the annotated frames, packed."""
        known = np.zeros(len(self.labels), dtype=bool)
        known[list(self.annotated)] = True
        return MaskletSet.from_labels(np.where(known[:, None, None], self.labels, 0))

    def record(self, object_id: int, frame: int) -> MaskRecord:
        """Return the true mask, packed and perhaps empty; ValueError off the annotated frames."""
        self._require(frame)
        return self.truth.record(object_id, frame) or _NOTHING

    def mask(self, object_id: int, frame: int) -> BoolMask:
        """Return the true mask (H, W) of one object; ValueError off the annotated frames."""
        self._require(frame)
        return np.asarray(self.labels[frame] == object_id)

    def objects_on(self, frame: int, min_area: int = 1) -> tuple[int, ...]:
        """Return the ids with at least `min_area` pixels on an annotated frame, sorted."""
        self._require(frame)
        areas = np.bincount(self.labels[frame].ravel())
        areas[0] = 0
        return tuple(int(value) for value in np.flatnonzero(areas >= max(1, min_area)))

    def lives_until(self, object_id: int, frame: int) -> bool:
        """Tell whether the object is still there on `frame`, as far as the track table knows."""
        return object_id not in self.lifetimes or self.lifetimes[object_id][1] >= frame

    def is_scored(self, object_id: int, frame: int) -> bool:
        """Tell whether there is truth: a mask on an annotated frame, or the end of the track."""
        if self.complete or self.record(object_id, frame).visible:
            return True
        return not self.lives_until(object_id, frame)

    def _require(self, frame: int) -> None:
        if frame not in self.annotated:
            raise ValueError(f"frame {frame} of {self.name} is not annotated; choose another")


def read_movie(folder: Path, truth: Truth = "labels") -> AnnotatedMovie:
    """Read ``NAME_images.tif``, its labels and ``info.json`` from the folder called NAME.

    Parameters
    ----------
    folder : Path
        Folder of one movie.
    truth : {"labels", "gold"}
        Which masks are the truth: all that there are, or the sparse ones drawn by people.

    Raises
    ------
    ValueError
        If a file is missing or says nothing of its annotated frames.
    """
    name = folder.name
    paths = [folder / f"{name}_images.tif", folder / f"{name}_{truth}.tif", folder / "info.json"]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is missing; the folder of a movie holds {paths[1].name} too")
    info = json.loads(paths[2].read_text())
    key = "labelled_frame_indices" if truth == "labels" else "gold_frame_indices"
    if key not in info:
        raise ValueError(f"{paths[2]} has no {key!r}; without it no frame counts as annotated")
    images, labels = tifffile.imread(paths[0]), tifffile.imread(paths[1])
    numbers = info.get("frame_numbers", list(range(len(images))))
    tracks = folder / "man_track.txt"
    lifetimes = read_lifetimes(tracks, numbers)
    mothers = {d: m for d, m in read_mothers(tracks).items() if {d, m} <= set(lifetimes)}
    suffix = "" if truth == "labels" else " (human)"
    gold = _read_gold(folder, info.get("gold_frame_indices", ()))
    return AnnotatedMovie(name + suffix, images, labels, tuple(info[key]), lifetimes, mothers, gold)


def read_stills(folder: Path, indices: tuple[int, ...]) -> list[AnnotatedMovie]:
    """Read ``NNN_image.png`` with ``NNN_labels.png`` as movies of one frame each."""
    stills = []
    for index in indices:
        image = imread(folder / f"{index:03d}_image.png")
        labels = imread(folder / f"{index:03d}_labels.png")
        name = f"{folder.name}/{index:03d}"
        colours = image[..., :3] if image.ndim == 3 else image
        stills.append(AnnotatedMovie(name, colours[None], labels[None], (0,)))
    return stills


def read_lifetimes(path: Path, frame_numbers: list[int]) -> dict[int, tuple[int, int]]:
    """Read a table of tracks: label, begin, end, mother.

    Parameters
    ----------
    path : Path
        ``man_track.txt``; nothing is known without it.
    frame_numbers : list of int
        Original number of each frame that there is.

    Returns
    -------
    dict
        Label to its first and last frame, as indices into the frames that there are.
    """
    numbers = np.asarray(frame_numbers)
    lifetimes = {}
    for label, begin, end, _ in _read_table(path):
        inside = np.flatnonzero((numbers >= begin) & (numbers <= end))
        if inside.size:
            lifetimes[label] = (int(inside[0]), int(inside[-1]))
    return lifetimes


def read_mothers(path: Path) -> dict[int, int]:
    """Return daughter to mother of a table of tracks."""
    return {label: mother for label, _, _, mother in _read_table(path) if mother}


def _read_table(path: Path) -> list[list[int]]:
    """Read the rows of a table of tracks; a table without mothers has none."""
    if not path.is_file():
        return []
    rows = [[int(word) for word in line.split()] for line in path.read_text().splitlines()]
    return [[*row, 0][:4] for row in rows if row]


def _read_gold(folder: Path, frames: tuple[int, ...]) -> dict[int, LabelImage]:
    """Read the frames on which people drew objects; frames without any are left out."""
    path = folder / f"{folder.name}_gold.tif"
    if not path.is_file():
        return {}
    stack = tifffile.imread(path)
    return {int(frame): stack[frame] for frame in frames if stack[frame].any()}
