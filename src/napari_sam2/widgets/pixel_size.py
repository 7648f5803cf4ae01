"""How large the pixels of a layer are: by its scale, or as its session noted it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.widgets.source import METADATA_KEY, level_data

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam2.planes import AxisLayout

__all__ = ["keep_calibration", "scale_of", "size_of"]

_KEY = "calibration"


def keep_calibration(image: Image, settings: Mapping[str, Any]) -> None:
    """Note on a layer what its session says; it counts where the layer has no scale with units."""
    if _KEY in settings:
        about = {**image.metadata.get(METADATA_KEY, {}), _KEY: settings[_KEY]}
        image.metadata = {**image.metadata, METADATA_KEY: about}


def scale_of(image: Image, layout: AxisLayout) -> Calibration:
    """Return what a layer says of its pixels, or else what its session said."""
    units = {axis: str(unit) for axis, unit in zip(layout.axes, image.units, strict=True)}
    whole = level_data(image).shape
    steps = [
        float(scale) * size / used  # the pixels of a coarser level are larger
        for scale, size, used in zip(image.scale, whole, layout.sizes, strict=False)
    ]
    # Napari calls frames pixels, too, where nobody said what they are.
    in_time = units.get("T") if units.get("T") != "pixel" else None
    found = Calibration.of(dict(zip(layout.axes, steps, strict=True)), units.get("X"), in_time)
    if found == Calibration():
        return Calibration.from_settings(image.metadata.get(METADATA_KEY, {}))
    return found


def size_of(image: Image, layout: AxisLayout, path: str | None) -> Calibration:
    """Return that, or else what the file of the movie says."""
    found = scale_of(image, layout)
    return read_calibration(path) if found == Calibration() and path is not None else found
