"""Synthetic microscopy movies with exact masks and lineage.

A kind draws a `Scene`: cells or other bodies as light, and their labels.  The camera takes
pictures of it.  The same seed gives the same movie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.brightfield import brightfield_scene
from napari_sam2.training.synthetic.camera import (
    Camera,
    Images,
    Light,
    film,
    random_camera,
    random_course,
    steady_course,
)
from napari_sam2.training.synthetic.cells import Recipe, cell_scene
from napari_sam2.training.synthetic.dic import dic_scene
from napari_sam2.training.synthetic.embryo import embryo_scene
from napari_sam2.training.synthetic.epithelium import membranes_scene, sheet_scene
from napari_sam2.training.synthetic.mitosis import PLATES
from napari_sam2.training.synthetic.nuclei import nuclei_scene
from napari_sam2.training.synthetic.painter import Optics
from napari_sam2.training.synthetic.phase import phase_scene
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.rods import rods_scene
from napari_sam2.training.synthetic.scene import Scene, number_from_one
from napari_sam2.training.synthetic.stacks import neurites_scene, organelles_scene
from napari_sam2.training.synthetic.whole import whole_scene

#: Changes whenever the same seed would give another movie: caches are keyed by it.
GENERATOR_VERSION = 13

SceneFunction = Callable[[np.random.Generator, int, tuple[int, int]], Scene]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: how its scene is drawn, its share of `random_movie`, what it is, its light.

    In a stack frames are slices.
    """

    scene: SceneFunction
    share: float
    title: str
    light: Light = "fluorescence"
    is_stack: bool = False


#: Every kind of movie by name.
KINDS: dict[str, Kind] = {
    "nuclei": Kind(nuclei_scene, 0.32, "fluorescent nuclei that divide, die, crowd and overlap"),
    "embryo": Kind(embryo_scene, 0.06, "stack of round nuclei, slice by slice", is_stack=True),
    "whole": Kind(whole_scene, 0.12, "fluorescent whole cells: spread, with processes, crawling"),
    "sheet": Kind(sheet_scene, 0.05, "confluent cells, cytoplasm and nucleus stained"),
    "membranes": Kind(membranes_scene, 0.07, "sheet of cells with bright outlines"),
    "phase": Kind(phase_scene, 0.10, "phase contrast: dark cells, bright halos", "transmitted"),
    "dic": Kind(dic_scene, 0.06, "interference contrast: shaded relief", "transmitted"),
    "brightfield": Kind(
        brightfield_scene, 0.06, "bright field: suspensions, yeast, eggs, stains", "transmitted"
    ),
    "rods": Kind(rods_scene, 0.06, "bacteria that grow, divide and push", "transmitted"),
    "neurites": Kind(
        neurites_scene, 0.05, "electron microscopy: packed neurites", "electrons", is_stack=True
    ),
    "organelles": Kind(
        organelles_scene,
        0.05,
        "stacks: mitochondria under electrons, glowing balls",
        "electrons",
        is_stack=True,
    ),
}


@dataclass(frozen=True, slots=True)
class SyntheticMovie:
    """A movie with its truth.

    Attributes
    ----------
    images : numpy.ndarray
        (T, Y, X) uint8 or uint16.
    labels : numpy.ndarray
        (T, Y, X) uint16; 0 is background, a cell keeps its id over time.
    lineage : dict of int to int
        Daughter id to mother id.  A division ends the mother's id.
    kind : str
        One of `KINDS`.
    """

    images: Images
    labels: NDArray[np.uint16]
    lineage: dict[int, int]
    kind: str


def dividing_cells(
    frames: int = 30,
    shape: tuple[int, int] = (256, 256),
    seed: int = 0,
    dtype: type[np.uint8] | type[np.uint16] = np.uint16,
) -> SyntheticMovie:
    """Make a calm movie of fluorescent nuclei, some of which divide.

    Parameters
    ----------
    frames : int
        Number of frames, at least 1.
    shape : tuple of int
        Height and width in pixels, each at least 32.
    seed : int
        The same seed gives the same movie.
    dtype : type
        ``numpy.uint8`` or ``numpy.uint16`` (12-bit camera counts).

    Returns
    -------
    SyntheticMovie
        Images, labels and lineage.

    Raises
    ------
    ValueError
        If ``frames`` or ``shape`` is too small.
    """
    _check_size(frames, shape)
    habit = Habit(
        diameter=34, size_spread=0.1, elongation=(1.0, 1.5), roughness=0.03, speed=0.03, fill=0.16,
        clustering=0.0, overlap=0.0, division_rate=0.0, death_rate=0.0, defocus_rate=0.0,
        holes=2.0, hole_depth=0.5, mitosis=PLATES,
    )  # fmt: skip
    optics = Optics(psf=0.9, background=0.08, texture=0.24, grain=2.5, dim_border=0.65, rim=0.6)
    divisions = max(frames // 8, 1) if frames > 8 else 0
    rng = np.random.default_rng(seed)
    scene = cell_scene(rng, frames, shape, Recipe(habit, optics, divisions))
    camera = Camera(photons=250, used=(0.02, 0.86))
    bits = 8 if dtype is np.uint8 else 12
    images, labels = film(scene, camera, steady_course(frames), rng, bits)
    return SyntheticMovie(images, *number_from_one(labels, scene.lineage), "nuclei")


def random_movie(
    seed: int,
    frames: int = 12,
    shape: tuple[int, int] = (288, 288),
    kind: str | None = None,
    bits: int = 8,
) -> SyntheticMovie:
    """Make a movie of random kind, size, behaviour, optics and camera.

    Parameters
    ----------
    seed : int
        The same seed gives the same movie.
    frames : int
        Number of frames, at least 1.
    shape : tuple of int
        Height and width in pixels, each at least 32.
    kind : str, optional
        One of `KINDS`; drawn by their shares when absent.
    bits : int
        8 to 16; 8 gives uint8, more give uint16.

    Returns
    -------
    SyntheticMovie
        Images, labels and lineage.

    Raises
    ------
    ValueError
        If ``frames``, ``shape``, ``kind`` or ``bits`` is not one of these.
    """
    _check_size(frames, shape)
    rng = np.random.default_rng((seed, 7919))
    shares = np.array([each.share for each in KINDS.values()])
    drawn = list(KINDS)[rng.choice(len(KINDS), p=shares / shares.sum())]
    name = kind or drawn
    if name not in KINDS:
        raise ValueError(f"kind is {name!r}; choose one of {', '.join(KINDS)}.")
    light = KINDS[name].light
    camera, course = random_camera(rng, light), random_course(rng, frames, light)
    larger = (shape[0] + course.margin[0], shape[1] + course.margin[1])
    scene = KINDS[name].scene(rng, frames, larger)
    images, labels = film(scene, camera, course, rng, bits)
    return SyntheticMovie(images, *number_from_one(labels, scene.lineage), name)


def _check_size(frames: int, shape: tuple[int, int]) -> None:
    if frames < 1:
        raise ValueError(f"frames is {frames}; ask for at least 1.")
    if min(shape) < 32:
        raise ValueError(f"shape is {shape}; ask for at least 32 x 32 pixels.")
