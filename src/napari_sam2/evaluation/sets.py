"""The sets that networks are measured on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.evaluation.ground_truth import AnnotatedMovie, Truth, read_movie, read_stills

SetKind = Literal["movie", "stills", "stack", "synthetic"]

CHALLENGE_SETS = ("ctc_N2DH-SIM_01", "ctc_N2DH-GOWT1_01", "ctc_N2DL-HeLa_01")
STILLS = "dsb2018_nuclei"
EM_STACK = "em_fibsem_medulla_z000-149"
EMBRYO = "embryo3d_mouse_8_cell_stage"
DATA_SETS = (*CHALLENGE_SETS, STILLS, EM_STACK, EMBRYO)
"""Sets that are read from the folder of data."""

TITLES = {
    "ctc_N2DH-SIM_01": "SIM 01",
    "ctc_N2DH-GOWT1_01": "GOWT1 01",
    "ctc_N2DL-HeLa_01": "HeLa 01",
    STILLS: "stills kept back",
    EM_STACK: "EM slices kept back",
    EMBRYO: "embryo (trained on)",
}
"""Short names for tables."""

KEPT_BACK = (
    *(9, 49, 50, 51, 80, 105, 109, 125, 152, 179, 182, 198, 216, 238, 245, 251, 253, 264, 286),
    *(303, 322, 327, 329, 331, 342, 351, 354, 367, 377, 380, 399, 400, 425, 437, 463, 479, 517),
    *(525, 527, 529, 539, 545, 559, 562, 585, 587, 610, 635, 640),
)
"""Stills of dsb2018_nuclei that the bundled network was not trained on.

Recorded here, so that a later change of the split cannot turn training stills into a test.
"""

EM_SLICES = 20
"""Slices at the end of the electron-microscopy stack that the bundled network never saw."""
EM_BODY_VOXELS = 2000
"""Bodies of the whole stack below this are fragments, and are not asked for."""


@dataclass(frozen=True)
class EvaluationSet:
    """Movies or stills that are measured together: one row of the tables.

    Attributes
    ----------
    name : str
    kind : str
        Which protocols make sense: stills are not followed; stacks are followed a few slices;
        synthetic movies are short.
    movies : tuple of AnnotatedMovie
    """

    name: str
    kind: SetKind
    movies: tuple[AnnotatedMovie, ...]

    @property
    def title(self) -> str:
        """Name in tables."""
        return TITLES.get(self.name, self.name)


def open_set(folder: Path, truth: Truth = "labels") -> EvaluationSet:
    """Read a set from its folder; its name says how.

    Raises
    ------
    ValueError
        If the folder is not there, or holds no annotated movie.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is not there; give the folder that holds {folder.name} with --data, "
            "or in the variable NAPARI_SAM2_DATA"
        )
    if folder.name == STILLS:
        return EvaluationSet(STILLS, "stills", tuple(read_stills(folder, KEPT_BACK)))
    if folder.name == EM_STACK:
        return EvaluationSet(EM_STACK, "stack", (_read_em(folder),))
    if folder.name == EMBRYO:
        images, labels = _read_stack(folder)
        movie = AnnotatedMovie.of_stack(EMBRYO, images, labels, pieces=True)
        return EvaluationSet(EMBRYO, "stack", (replace(movie, is_stack=True),))
    if "labelled_frame_indices" not in _read_info(folder):
        images, labels = _read_stack(folder)
        movie = AnnotatedMovie.of_stack(folder.name, images, labels)
    else:
        movie = read_movie(folder, truth)
    return EvaluationSet(folder.name, "movie", (movie,))


def connected_bodies(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Give numbers to the parts of a stack (Z, Y, X) that hang together, each under one label only.

    A body that a slab cuts in two is two objects: nothing in the slab says that they are one.
    """
    out = np.zeros(labels.shape, dtype=np.int32)
    count = 0
    for value, where in enumerate(ndimage.find_objects(labels), start=1):
        if where is not None:
            parts, found = ndimage.label(labels[where] == value)
            out[where][parts > 0] = parts[parts > 0] + count
            count += found
    return out


def _read_em(folder: Path) -> AnnotatedMovie:
    """Read the slices that were kept back, with the large bodies as objects."""
    images, labels = _read_stack(folder)
    sizes = np.bincount(labels.ravel())
    large = np.flatnonzero(sizes > EM_BODY_VOXELS)
    slab = labels[-EM_SLICES:]
    bodies = connected_bodies(np.where(np.isin(slab, large[large > 0]), slab, 0))
    slices = images[-EM_SLICES:]
    movie = AnnotatedMovie.of_stack(folder.name, slices, bodies, pieces=True)
    return replace(movie, is_stack=True)


def _read_stack(folder: Path) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Read ``NAME_images.tif`` and ``NAME_labels.tif`` from the folder called NAME."""
    paths = [folder / f"{folder.name}_{what}.tif" for what in ("images", "labels")]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is missing; the folder of a set holds images and labels")
    images, labels = (tifffile.imread(path) for path in paths)
    return images, labels


def _read_info(folder: Path) -> dict[str, object]:
    """Read what ``info.json`` says, nothing where there is none."""
    path = folder / "info.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
