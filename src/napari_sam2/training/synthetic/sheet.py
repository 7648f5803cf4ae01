"""A sheet of cells without gaps or nearly so: every pixel belongs to the nearest cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of
from napari_sam2.training.synthetic.staging import on_body


@dataclass(frozen=True, slots=True)
class Sheet:
    """One frame of a sheet.

    ``labels`` is (Y, X) uint16; ``border`` (Y, X) float32 is about the distance in pixels to the
    border of the cell, and 0 outside; ``patches`` gives the window of each body in the frame.
    """

    labels: NDArray[np.uint16]
    border: FloatArray
    patches: dict[int, Patch]


def lay_sheet(
    bodies: Sequence[Body],
    shape: tuple[int, int],
    reach: float = 1.7,
    ragged: FloatArray | None = None,
) -> Sheet:
    """Share the frame out among bodies, each of which reaches as far as ``reach`` radii.

    ``ragged`` is a tile of small numbers that make the borders uneven, in radii.
    """
    nearest = np.ones(shape, np.float32)
    second = np.ones(shape, np.float32)
    size = np.ones(shape, np.float32)
    labels = np.zeros(shape, np.uint16)
    patches = {}
    for body in bodies:
        grown = body.copy()
        grown.radius = reach * body.radius
        patch = patch_of(grown, shape, 1, rod=False)
        if patch is None:
            continue
        patches[body.label] = patch
        far = 1 - patch.level / np.float32(grown.radius)
        if ragged is not None:
            far = far + on_body(ragged, body, patch)
        far = np.minimum(far, 1)
        first, next_best = nearest[patch.window], second[patch.window]
        closer = far < first
        next_best[...] = np.where(closer, first, np.minimum(next_best, far))
        first[closer] = far[closer]
        labels[patch.window][closer] = body.label
        size[patch.window][closer] = grown.radius
    # Both distances change along the way between two centres: the gap counts twice.
    border = np.where(labels > 0, 0.5 * (second - nearest) * size, 0)
    return Sheet(labels, np.asarray(border, np.float32), patches)
