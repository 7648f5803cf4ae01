"""Where the planes of a movie lie in the viewer, and where its layers' points lie in a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_sam2.planes import AxisLayout
from napari_sam2.widgets.source import choice_of, layout_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer


def made_layout(image: Image) -> AxisLayout:
    """Return the axes of the layers that are made for an image: as its own, with one channel."""
    layout = layout_of(image)
    sizes = [
        1 if axis == "C" else size for axis, size in zip(layout.axes, layout.sizes, strict=True)
    ]
    return AxisLayout(layout.axes, tuple(sizes))


def placement(layer: Image) -> dict[str, Any]:
    """Keyword arguments that put a new layer exactly where an image lies.

    A channel axis is one thick pixel, so that the layer is seen with every channel; at a coarser
    level of a multiscale image the pixels are larger.
    """
    names = ("rotate", "shear", "affine", "units", "axis_labels")
    same = {name: getattr(layer, name) for name in names}
    step, shift = _steps(layer)
    linear = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear).linear_matrix
    translate = np.asarray(layer.translate) + linear @ shift
    return {"scale": np.asarray(layer.scale) * step, "translate": translate, **same}


def shown_frame(viewer: ViewerModel, layer: Image) -> int:
    """Return the frame of `layer` that the viewer shows; the nearest if it shows none."""
    layout = layout_of(layer)
    data = _to_level(layer, layer.world_to_data(viewer.dims.point))
    inside = [
        min(max(float(value), 0.0), size - 1.0)
        for value, size in zip(data, layout.sizes, strict=True)
    ]
    return layout.place(inside)[0]


def show_frame(viewer: ViewerModel, layer: Image, frame: int) -> None:
    """Move the viewer's sliders to a frame of `layer`; nothing happens for a still image."""
    layout = layout_of(layer)
    wanted = layout.position(frame, (0, 0))
    position = np.array(layer.world_to_data(viewer.dims.point), float)
    moved = [i for i, axis in enumerate(layout.axes) if axis in "TZ"]
    for index in moved:
        position[index] = _from_level(layer, wanted)[index]
    world = layer.data_to_world(position)
    for index in moved:
        viewer.dims.set_point(viewer.dims.ndim - layer.ndim + index, float(world[index]))


def frame_yx(
    position: Sequence[float] | NDArray[np.floating], drawn_on: Layer, movie_layer: Image
) -> tuple[int, tuple[float, float]]:
    """Frame and (y, x) pixel of `movie_layer` at a position in the data of another layer.

    Parameters
    ----------
    position : sequence of float
        In the data coordinates of `drawn_on`.
    drawn_on, movie_layer : napari.layers.Layer
        Two layers of as many axes; they may lie differently in the world.
    """
    world = drawn_on.data_to_world(position)
    data = _to_level(movie_layer, movie_layer.world_to_data(world))
    return layout_of(movie_layer).place(list(data))


def layer_position(
    frame: int, yx: tuple[float, float], drawn_on: Layer, movie_layer: Image
) -> tuple[float, ...]:
    """Return the inverse of `frame_yx`: the position in the data of `drawn_on`."""
    position = _from_level(movie_layer, layout_of(movie_layer).position(frame, yx))
    return tuple(map(float, drawn_on.world_to_data(movie_layer.data_to_world(position))))


def _steps(layer: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how large a pixel of the made layers is in the image, and where the first lies."""
    full = layout_of(layer, replace(choice_of(layer), level=0)).sizes
    step = np.array(full, float) / np.array(made_layout(layer).sizes)
    return step, (step - 1) / 2


def _to_level(layer: Image, position: Any) -> NDArray[np.float64]:
    """Return coordinates of the made layers, from coordinates of the image."""
    step, shift = _steps(layer)
    return (np.asarray(position, float) - shift) / step


def _from_level(layer: Image, position: Any) -> NDArray[np.float64]:
    step, shift = _steps(layer)
    return np.asarray(position, float) * step + shift
