"""How far the masks of an object in a movie of stacks can be trusted.

From slice to slice an object grows and shrinks: that is no doubt. So volume and place are compared
from one time to the next, and what is found is written on the slice where the object is largest.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.quality import Curve, CurveName, Measures, ObjectQuality, quality_from

__all__ = ["stack_quality"]


def stack_quality(measures: Measures, grid: PlaneGrid) -> ObjectQuality:
    """Return what the measures of an object say.

    Parameters
    ----------
    measures : dict of str to ndarray of float32
        By plane; see `MeasureTable.of`.
    grid : PlaneGrid
        Times and slices.

    Returns
    -------
    ObjectQuality
        By plane; changes of area and moves are those of a time, on one slice of it.
    """
    planes = quality_from(measures)
    stacks = {name: values.reshape(grid.times, grid.slices) for name, values in measures.items()}
    area = stacks["area"]
    largest = np.nan_to_num(area, nan=-1.0).argmax(axis=1)
    at = np.arange(grid.times) * grid.slices + largest
    is_known = ~np.isnan(area).all(axis=1)
    volume = np.where(is_known, np.nansum(area, axis=1), np.nan).astype(np.float32)
    # Where it is largest says where it is, and how large a step is.
    middle: Measures = {name: values[at] for name, values in measures.items()}
    middle["prompted"] = (stacks["prompted"] == 1).any(axis=1).astype(np.float32)
    middle["at_edge"] = (stacks["at_edge"] == 1).any(axis=1).astype(np.float32)
    changes = quality_from({**middle, "area": volume}).curves["area_jump"]
    moves = quality_from(middle).curves["centroid_jump"]
    curves = dict(planes.curves)
    between: dict[CurveName, Curve] = {"area_jump": changes, "centroid_jump": moves}
    for name, values in between.items():
        curves[name] = np.full(len(grid), np.nan, np.float32)
        curves[name][at] = values
    return replace(planes, curves=curves)
