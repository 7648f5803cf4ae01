"""What biologists publish of one object at one time: place, size, shape, intensities."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.calibration import Calibration
from napari_sam2.tracking.regions import Region

__all__ = ["intensity_names", "intensity_of", "place_names", "place_of", "shape_names", "shape_of"]

_FLAT = (
    "perimeter", "eccentricity", "solidity", "extent", "axis_major_length", "axis_minor_length",
    "orientation", "equivalent_diameter_area", "feret_diameter_max", "euler_number",
)  # fmt: skip
_DEEP = (
    "solidity", "extent", "axis_major_length", "axis_minor_length", "equivalent_diameter_area",
    "euler_number",
)  # fmt: skip
_STATISTICS = ("mean", "std", "min", "max", "median", "sum")

Values = dict[str, float]


def place_names(calibration: Calibration, *, is_deep: bool) -> list[str]:
    """Return the names of what `place_of` gives."""
    axes = "zyx" if is_deep else "yx"
    names = ["t", *axes, "area"]
    if calibration.is_in_time:
        names.append(f"t_{calibration.time_symbol}")
    if calibration.is_in_space:
        unit = calibration.space_symbol
        names += [f"{axis}_{unit}" for axis in axes]
        names.append(f"volume_{unit}3" if is_deep else f"area_{unit}2")
    return names


def place_of(region: Region, calibration: Calibration, *, is_deep: bool) -> Values:
    """Return frame, centre and size of an object, in pixels and, where known, in units."""
    first = 0 if is_deep else 1
    centre = region.centre()[first:]
    steps = calibration.pixel[first:]
    area = float(region.area)
    values = [float(region.time), *centre, area]
    if calibration.is_in_time:
        values.append(region.time * calibration.interval)
    if calibration.is_in_space:
        values += [place * step for place, step in zip(centre, steps, strict=True)]
        values.append(area * math.prod(steps))
    return dict(zip(place_names(calibration, is_deep=is_deep), values, strict=True))


def shape_names(*, is_deep: bool) -> list[str]:
    """Return the names of what `shape_of` gives: those of scikit-image, and circularity."""
    return [*_DEEP] if is_deep else [*_FLAT, "circularity"]


def shape_of(region: Region, calibration: Calibration, *, is_deep: bool) -> Values:
    """Return shape descriptors by scikit-image; lengths are in widths of a pixel.

    Notes
    -----
    What is not defined for a shape, as the hull of a single pixel, is NaN. Circularity is
    4 pi area / perimeter², above 1 for the smallest objects as for all digital perimeters.
    """
    from skimage.measure import regionprops

    crop = region.crop().astype(np.uint8)
    ratios = tuple(step / calibration.pixel[2] for step in calibration.pixel)
    spacing = ratios if is_deep else ratios[1:]
    # Even spacing is left out: only without it scikit-image measures perimeters.
    is_even = all(math.isclose(ratio, 1.0, rel_tol=1e-3) for ratio in spacing)
    (found,) = regionprops(crop if is_deep else crop[0], spacing=None if is_even else spacing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image warns of hulls that do not exist
        values = {name: _value(found, name) for name in (_DEEP if is_deep else _FLAT)}
    if not is_deep:
        perimeter = values["perimeter"]
        area = region.area * math.prod(spacing)
        values["circularity"] = 4 * math.pi * area / perimeter**2 if perimeter > 0 else math.nan
    return values


def _value(found: Any, name: str) -> float:
    try:
        return float(getattr(found, name))
    except (NotImplementedError, ValueError):
        # No perimeter where pixels are not square; older versions refuse axes of needles.
        return math.nan


def intensity_names(channels: int) -> list[str]:
    """Return the names of what `intensity_of` gives."""
    return [f"intensity_{name}_{c}" for c in range(channels) for name in _STATISTICS]


def intensity_of(region: Region, image: NDArray[Any]) -> Values:
    """Return the statistics of the raw values inside an object.

    Parameters
    ----------
    region : Region
    image : ndarray, shape (Z, H, W, C)
        The movie at that time.
    """
    z0, y0, x0, z1, y1, x1 = region.box
    inside = image[z0:z1, y0:y1, x0:x1][region.crop()].astype(np.float64)  # (N, C)
    columns = [getattr(np, name)(inside, axis=0) for name in _STATISTICS]
    values = np.stack(columns, axis=1).ravel().tolist()
    return dict(zip(intensity_names(image.shape[-1]), values, strict=True))
