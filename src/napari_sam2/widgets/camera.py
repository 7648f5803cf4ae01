"""The part of the picture that is on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.widgets.coordinates import layer_position
from napari_sam2.widgets.source import layout_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

BBox = tuple[int, int, int, int]
"""First row and column, and those behind the last."""


def bring_into_view(viewer: ViewerModel, image: Image, frame: int, bbox: BBox) -> None:
    """Move the camera to an object whose middle is not on the screen; the zoom stays.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    image : napari.layers.Image
        The movie.
    frame : int
        Where the object is.
    bbox : tuple of int
        The object in the frame.
    """
    seen = _seen(viewer, image)
    if seen is None:
        return
    axes = _axes(image)
    middle = (bbox[0] + bbox[2] - 1) / 2, (bbox[1] + bbox[3] - 1) / 2
    position = np.array(layer_position(frame, middle, image, image))
    if (seen[0] <= position[axes]).all() and (position[axes] <= seen[1]).all():
        return
    world = np.asarray(image.data_to_world(position))[axes]
    camera = _camera(viewer)
    camera.center = (*camera.center[:-2], *map(float, world))


class WholePicture:
    """Fits a picture again that was seen as a whole before the dock took its place.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    image : napari.layers.Image or None
        As it is seen now.
    """

    def __init__(self, viewer: ViewerModel, image: Image | None) -> None:
        self._viewer = viewer
        self._image = image
        self._was_whole = self._is_whole()
        self._before = self._state()

    def fit(self) -> None:
        """Fit it into the canvas as it is now, unless somebody has moved the camera since."""
        if self._was_whole and self._state() == self._before:
            self._viewer.reset_view()

    def _is_whole(self) -> bool:
        seen = None if self._image is None else _seen(self._viewer, self._image)
        if self._image is None or seen is None or self._image not in self._viewer.layers:
            return False
        sizes = np.array(self._image.data.shape)[_axes(self._image)]
        return bool((seen[0] <= 0).all() and (seen[1] >= sizes - 1).all())

    def _state(self) -> tuple[float, ...]:
        camera = _camera(self._viewer)
        return (*camera.center, camera.zoom)


def _axes(image: Image) -> list[int]:
    """Return the axes of an image that are height and width."""
    return [layout_of(image).axes.index(axis) for axis in "YX"]


def _seen(viewer: ViewerModel, image: Image) -> NDArray[Any] | None:
    """Return the first and last row and column on the screen, (2, 2); None if nobody knows.

    Nothing was drawn yet, or the viewer shows other axes; of a pyramid the corners are of a level.
    """
    axes = _axes(image)
    shown = [axis - viewer.dims.ndim + image.ndim for axis in viewer.dims.displayed]
    seen = image.corner_pixels[:, axes]
    is_known = shown == axes and not image.multiscale and np.ptp(seen, axis=0).all()
    return seen if is_known else None


def _camera(viewer: ViewerModel) -> Any:
    return getattr(viewer, "scene", viewer).camera  # the scene is new in napari 0.9
