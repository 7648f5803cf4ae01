"""How prompts look: those of the object in work stand out, those of the others step back."""

from __future__ import annotations

import numpy as np
from napari.layers import Points, Shapes
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

POSITIVE_COLOUR = "#2ecc40"
NEGATIVE_COLOUR = "#ff4136"
BOX_COLOUR = "#ffdc00"

_DIMMED = 0.3
"""Opacity of the prompts of other objects."""


def style(layer: Points | Shapes, object_id: int) -> None:
    """Colour every row of a prompt layer: clicks by sign, other objects' rows faintly."""
    count = len(layer.data)
    is_current = np.asarray(layer.features["object_id"][:count] == object_id, bool)
    if not len(is_current):
        return
    opacity = np.where(is_current, 1.0, _DIMMED)
    if isinstance(layer, Points):
        signs = np.asarray(layer.features["positive"], bool)
        colours = np.where(signs[:, None], _rgba(POSITIVE_COLOUR), _rgba(NEGATIVE_COLOUR))
        _set(layer, "face_color", _with_opacity(colours, opacity))
        _set(layer, "border_color", _with_opacity(np.tile(_rgba("white"), (count, 1)), opacity))
    else:
        colours = np.tile(_rgba(BOX_COLOUR), (count, 1))
        _set(layer, "edge_color", _with_opacity(colours, opacity))


def _set(layer: Points | Shapes, name: str, colours: NDArray[np.float32]) -> None:
    """Set colours where they are others: each change draws the layer anew."""
    if not np.array_equal(getattr(layer, name), colours):
        setattr(layer, name, colours)


def _with_opacity(
    colours: NDArray[np.float32], opacity: NDArray[np.float64]
) -> NDArray[np.float32]:
    out = np.array(colours, np.float32)
    out[:, 3] = opacity
    return out


def _rgba(name: str) -> NDArray[np.float32]:
    return np.asarray(transform_color(name)[0], np.float32)
