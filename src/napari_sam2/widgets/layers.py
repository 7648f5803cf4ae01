"""The layers that one movie has in the viewer, and the one place that makes and finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Points, Shapes
from psygnal import Signal

from napari_sam2.prompts import MaskPrompt, Prompt
from napari_sam2.widgets.prompt_layers import BoxLayer, Drawn, PointLayer, PromptLayer
from napari_sam2.widgets.result_layers import LabelCanvas, TrackLines
from napari_sam2.widgets.source import METADATA_KEY, movie_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_sam2.masklets import MaskletSet
    from napari_sam2.tracking.tracks import Tracks

Tool = Literal["points", "boxes", "polygon", "lasso", "paint"]

_MODES: dict[Tool, str] = {
    "points": "add",
    "boxes": "add_rectangle",
    "polygon": "add_polygon",
    "lasso": "add_polygon_lasso",
    "paint": "paint",
}
_OUTLINES: tuple[Tool, ...] = ("polygon", "lasso")


class SegmentationLayers:
    """Prompts, boxes, labels and tracks of one image layer.

    A layer that the user deletes is not missed: what it showed is kept here, and it is made again
    when it is next needed. Layers are known by identity, so they can be renamed freely.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    image : napari.layers.Image
        The movie.

    Raises
    ------
    ValueError
        If the layer is no movie; see `source.movie_of`.
    """

    edited = Signal(list, list)
    """Prompts that went and prompts that came, by the user's hand."""
    painted = Signal()
    """The Labels layer was edited by hand; look at `LabelCanvas.painted`."""
    picked = Signal(int)
    """The label that the Labels layer is set to."""
    taken_back = Signal(bool)
    """The keys of undo (True) or redo (False) were pressed on the Labels layer."""
    tool_changed = Signal()
    """The Shapes layer is drawn on in another way; see `tool`."""

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self._viewer = viewer
        self.image = image
        self.movie = movie_of(image)
        self.canvas = LabelCanvas(self.movie.shape, self.painted.emit, self.taken_back.emit)
        self._points: PointLayer | None = None
        self._boxes: BoxLayer | None = None
        self._lines = TrackLines()
        self._prompts: list[Drawn] = []
        self._next_object, self._next_sign = 1, True

    @property
    def masklets(self) -> MaskletSet:
        """Every mask that is shown."""
        return self.canvas.masklets

    @property
    def object_ids(self) -> set[int]:
        """Objects that have a prompt or a mask."""
        return {prompt.object_id for prompt in self._prompts} | set(self.masklets.object_ids())

    @property
    def prompts(self) -> tuple[Drawn, ...]:
        """Every click and box, drawn or waiting for a new layer, in the order of entry."""
        return tuple(self._prompts)

    @property
    def points(self) -> Points | None:
        """The layer for clicks, None if it was deleted."""
        return None if self._points is None else self._points.layer

    @property
    def boxes(self) -> Shapes | None:
        """The layer for boxes, None if it was deleted."""
        return None if self._boxes is None else self._boxes.layer

    @property
    def next_is_positive(self) -> bool:
        """Whether the next click or outline says what belongs to the object."""
        return self._next_sign

    @property
    def tool(self) -> Tool | None:
        """The tool in hand: that of the viewer's active layer."""
        active = self._viewer.layers.selection.active
        if active is None:
            return None
        if self.boxes is not None and active is self.boxes:
            mode = str(self.boxes.mode)
            return next((tool for tool in _OUTLINES if mode == _MODES[tool]), "boxes")
        return (
            "points" if active is self.points else "paint" if active is self.canvas.layer else None
        )

    def ensure(self) -> None:
        """Make the layers that are not there (any more), with what they have to show."""
        if self.canvas.layer is None:
            layer = self.canvas.create(self.image)
            layer.events.selected_label.connect(self._on_selected_label)
            self._add(layer, "labels")
        if self._boxes is None:
            self._boxes = BoxLayer(BoxLayer.create(self.image), self.image, self._on_edit)
            self._boxes.layer.events.mode.connect(self._on_mode)
            self._fill(self._boxes, "boxes")
        if self._points is None:
            self._points = PointLayer(PointLayer.create(self.image), self.image, self._on_edit)
            self._points.layer.mouse_drag_callbacks.append(self._on_press)
            self._fill(self._points, "points")
        self.set_next(self._next_object, self._next_sign)

    def use(self, tool: Tool) -> None:
        """Make the layer of a tool the active one, ready to draw."""
        self.ensure()
        others = {"points": self.points, "paint": self.canvas.layer}
        layer: Any = others.get(tool, self.boxes)
        layer.visible = True
        layer.mode = _MODES[tool]
        self._viewer.layers.selection.active = layer

    def set_next(self, object_id: int, positive: bool) -> None:
        """Set what the next click, box or stroke is about."""
        self._next_object, self._next_sign = object_id, positive
        if self._points is not None:
            self._points.set_defaults(object_id=object_id, positive=positive, candidate=0)
        if self._boxes is not None:
            self._boxes.set_defaults(object_id=object_id)
        for layer in (self._points, self._boxes):
            if layer is not None:
                layer.highlight(object_id)
        labels = self.canvas.layer
        if labels is not None and labels.selected_label != object_id:
            labels.selected_label = object_id

    def discard(self, unwanted: Callable[[Drawn], bool]) -> None:
        """Delete prompts that need not be answered for."""
        self._prompts = [prompt for prompt in self._prompts if not unwanted(prompt)]
        for layer in (self._points, self._boxes):
            if layer is not None:
                layer.discard(unwanted)

    def draw(self, object_id: int, frame: int, prompts: Iterable[Prompt]) -> None:
        """Show these clicks and boxes of an object on a frame, and no others."""
        self.discard(about(object_id, frame))
        drawn = [prompt for prompt in prompts if not isinstance(prompt, MaskPrompt)]
        self._prompts += drawn
        for layer in (self._points, self._boxes):
            if layer is not None and drawn:
                layer.append(drawn)
        self.set_next(self._next_object, self._next_sign)

    def show_tracks(self, tracks: Tracks) -> None:
        """Show the paths of the objects, below the layers that are drawn on."""
        new = self._lines.show(tracks, self.image, self.canvas.layer)
        if new is None:
            return
        active = self._viewer.layers.selection.active
        self._add(new, "tracks", below=self.boxes)
        # A run that ends must not take the tool out of the user's hand.
        self._viewer.layers.selection.active = active

    def forget(self, layer: Layer) -> None:
        """Note that a layer was removed from the viewer."""
        if self._points is not None and layer is self._points.layer:
            self._points.disconnect()
            self._points = None
        elif self._boxes is not None and layer is self._boxes.layer:
            self._boxes.disconnect()
            layer.events.mode.disconnect(self._on_mode)
            self._boxes = None
        elif self.canvas.layer is not None and layer is self.canvas.layer:
            layer.events.selected_label.disconnect(self._on_selected_label)
            self.canvas.detach()
        elif layer is self._lines.layer:
            self._lines.layer = None

    def disconnect(self) -> None:
        """Stop listening to every layer; they stay in the viewer as they are."""
        for layer in self.made():
            self.forget(layer)

    def made(self) -> list[Layer]:
        """Return every layer that there is."""
        made = (self.points, self.boxes, self.canvas.layer, self._lines.layer)
        return [layer for layer in made if layer is not None]

    def _add(self, layer: Layer, role: str, below: Layer | None = None) -> None:
        """Put a new layer into the viewer, on top or below another one."""
        layer.metadata[METADATA_KEY] = {"role": role, "image": self.image.name}
        layers = self._viewer.layers
        layers.insert(len(layers) if below is None else layers.index(below), layer)

    def _fill(self, prompts: PromptLayer, role: str) -> None:
        """Put a new prompt layer into the viewer and draw what an earlier one had."""
        prompts.append(self._prompts)
        self._add(prompts.layer, role)

    def _on_edit(self, gone: list[Drawn], come: list[Drawn]) -> None:
        for prompt in gone:
            if prompt in self._prompts:
                self._prompts.remove(prompt)
        self._prompts += come
        self.edited.emit(gone, come)

    def _on_press(self, layer: Points, event: Any) -> None:
        # Runs before napari adds the point on release. Selecting a point changes the defaults, so
        # they are set at every press.
        is_other_sign = event.button == 2 or "Alt" in event.modifiers
        if self._points is not None:
            self._points.set_defaults(
                object_id=self._next_object,
                positive=self._next_sign != is_other_sign,
                candidate=0,
            )

    def _on_mode(self) -> None:
        self.tool_changed.emit()

    def _on_selected_label(self) -> None:
        if self.canvas.layer is not None:
            self.picked.emit(int(self.canvas.layer.selected_label))


def about(object_id: int, frame: int | None = None) -> Callable[[Prompt], bool]:
    """Return a test for the prompts of an object, on one frame or on all."""
    return lambda one: one.object_id == object_id and frame in (None, one.frame)
