"""How a napari image layer is read as a movie, and where its layers' points lie in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.prompts import BoxPrompt, PointPrompt, Prompt

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

SMALLEST_BOX = 1.0
"""Pixels; a smaller box is a slip of the mouse."""


@dataclass(frozen=True, slots=True)
class Movie:
    """An image layer as the engine reads it.

    Attributes
    ----------
    data : array-like, (T, H, W) or (T, H, W, C)
        The pixels; dask and zarr arrays stay lazy.
    low, high : tuple of float
        Intensities that are shown black and white, one for each channel.
    """

    data: Any = field(repr=False)
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        frames, height, width = self.data.shape[:3]
        return int(frames), int(height), int(width)

    @property
    def axes(self) -> str:
        """Order of the axes, as the engine names them."""
        return "TYX" if len(self.data.shape) == 3 else "TYXC"

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels that the network takes for red, green and blue."""
        return (0, 0, 0) if len(self.low) == 1 else (0, 1, 2)

    def problem_with(self, prompt: Prompt) -> str | None:
        """Say why a prompt cannot be taken, or None if it can."""
        frames, height, width = self.shape
        if not 0 <= prompt.frame < frames:
            return f"Frame {prompt.frame} is outside the movie: it has frames 0 to {frames - 1}"
        if isinstance(prompt, BoxPrompt):
            y0, x0, y1, x1 = prompt.yxyx
            if min(y1 - y0, x1 - x0) < SMALLEST_BOX:
                return "The box is too small or outside the image: drag it over the whole object"
        if isinstance(prompt, PointPrompt):
            y, x = prompt.yx
            if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
                return f"The point (y {y:.0f}, x {x:.0f}) is outside the image: click inside it"
        return None


def movie_of(layer: Image) -> Movie:
    """Read an image layer as a movie, with what its contrast limits show.

    Parameters
    ----------
    layer : napari.layers.Image
        (T, Y, X), (Y, X) as a movie of one frame, or either with red, green and blue last. Of a
        multiscale layer, the finest level.

    Raises
    ------
    ValueError
        If the layer has other axes, or no pixels.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    if layer.ndim not in (2, 3):
        raise ValueError(
            f"{layer.name!r} has {layer.ndim} axes {tuple(data.shape)}; a movie is (T, Y, X): "
            "split channels or choose one time point or plane first"
        )
    if 0 in data.shape:
        raise ValueError(f"{layer.name!r} has no pixels: its shape is {tuple(data.shape)}")
    low, high = _limits(layer, int(data.shape[-1]))
    return Movie(data if layer.ndim == 3 else data[None], low, high)


def _limits(layer: Image, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the intensities shown black and white; RGB layers have none and use their type's."""
    if not layer.rgb:
        low, high = layer.contrast_limits
        return (float(low),), (float(high),)
    kind = np.dtype(layer.dtype)
    white = float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
    return (0.0,) * channels, (white,) * channels


def placement(layer: Layer) -> dict[str, Any]:
    """Keyword arguments that put a new layer exactly where `layer` lies."""
    names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {name: getattr(layer, name) for name in names}


def shown_frame(viewer: ViewerModel, layer: Image) -> int:
    """Return the frame of `layer` that the viewer shows; 0 for a still image."""
    if layer.ndim == 2:
        return 0
    frames = layer.data[0].shape[0] if layer.multiscale else layer.data.shape[0]
    frame = round(float(layer.world_to_data(viewer.dims.point)[0]))
    return min(max(frame, 0), int(frames) - 1)


def show_frame(viewer: ViewerModel, layer: Image, frame: int) -> None:
    """Move the viewer's slider to a frame of `layer`; nothing happens for a still image."""
    if layer.ndim == 2:
        return
    position = list(layer.world_to_data(viewer.dims.point))
    position[0] = frame
    axis = viewer.dims.ndim - layer.ndim
    viewer.dims.set_point(axis, float(layer.data_to_world(position)[0]))


def frame_yx(
    position: Sequence[float] | NDArray[np.floating], drawn_on: Layer, movie_layer: Layer
) -> tuple[int, tuple[float, float]]:
    """Frame and (y, x) pixel of `movie_layer` at a position in the data of another layer.

    Parameters
    ----------
    position : sequence of float, length 2 or 3
        ``([t,] y, x)`` in the data coordinates of `drawn_on`.
    drawn_on, movie_layer : napari.layers.Layer
        Two layers of as many axes; they may lie differently in the world.
    """
    world = drawn_on.data_to_world(position)
    *time, y, x = movie_layer.world_to_data(world)
    return (round(float(time[0])) if time else 0), (float(y), float(x))


def layer_position(
    frame: int, yx: tuple[float, float], drawn_on: Layer, movie_layer: Layer
) -> tuple[float, ...]:
    """Return the inverse of `frame_yx`: the position in the data of `drawn_on`."""
    position = yx if movie_layer.ndim == 2 else (frame, *yx)
    return tuple(map(float, drawn_on.world_to_data(movie_layer.data_to_world(position))))
