"""Control and a click on a mask make its object the one in work, with Shift to divide it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam2.widgets.coordinates import frame_yx
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.editing.document import Document
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie


class Picker:
    """Listens to the mouse of a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
        Is told what was picked.
    """

    told = Signal(Status)
    """What to tell the user."""
    divided = Signal(int)
    """The user wants to divide this object."""

    def __init__(
        self, viewer: ViewerModel, movie: Callable[[], OpenMovie | None], objects: ObjectChoice
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._objects = objects
        viewer.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Stop listening."""
        self._viewer.mouse_drag_callbacks.remove(self._on_press)

    def pick(self, frame: int, yx: tuple[float, float]) -> int | None:
        """Make the object at a pixel of a frame the one in work; None where there is none.

        Where masks overlap the smaller one is picked, which is the one that is seen.
        """
        movie = self._movie()
        found = None if movie is None else object_at(movie.document, frame, yx)
        if movie is None or found is None:
            self.told.emit(Status("There is no object here"))
            return None
        self._objects.select(found)
        self.tell(movie.document)
        return found

    def tell(self, document: Document) -> None:
        """Say where the prompts of the object in work are."""
        current = self._objects.current
        frames = document.prompts.frames(current)
        prompts = f"prompts {document.grid.listed(frames)}" if frames else "no prompts"
        self.told.emit(Status(f"Picked object {current}: {prompts}"))

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        """Pick, and keep the layer from drawing while the mouse is down."""
        movie = self._movie()
        layer = None if movie is None else movie.layers.points
        is_meant = "Control" in event.modifiers and event.button == 1
        if movie is None or layer is None or not is_meant:
            return
        if viewer.layers.selection.active is not layer or layer.mode != "add":
            return
        # Napari asks the layer after the viewer: in another mode it adds no point.
        layer.mode = "pan_zoom"
        position = layer.world_to_data(event.position)
        picked = self.pick(*frame_yx(position, layer, movie.image))
        yield
        while event.type == "mouse_move":
            yield
        layer.mode = "add"
        if picked is not None and "Shift" in event.modifiers:
            self.divided.emit(picked)


def object_at(document: Document, frame: int, yx: tuple[float, float]) -> int | None:
    """Return the object whose mask covers a pixel, the smallest of several; None without any."""
    y, x = round(yx[0]), round(yx[1])
    found = []
    for masklet in document.masklets:
        record = masklet.records.get(frame)
        if record is None or not record.visible:
            continue
        y0, x0, y1, x1 = record.bbox
        if y0 <= y < y1 and x0 <= x < x1 and record.crop()[y - y0, x - x0]:
            found.append((record.area, masklet.object_id))
    return min(found)[1] if found else None
