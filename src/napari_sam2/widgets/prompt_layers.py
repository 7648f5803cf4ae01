"""The layers that a user draws prompts on, read as prompts: points, boxes and outlines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from napari.layers.base import ActionType
from skimage.draw import polygon2mask

from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt
from napari_sam2.widgets.coordinates import frame_yx, layer_position, made_layout, placement
from napari_sam2.widgets.prompt_styles import BOX_COLOUR, POSITIVE_COLOUR, style

if TYPE_CHECKING:
    from napari.layers import Image

Drawn = Prompt
SETTLED = (ActionType.ADDED, ActionType.CHANGED, ActionType.REMOVED)
"""What napari says when an edit is over; the others announce one."""


class PromptLayer(ABC):
    """A layer whose rows are prompts, and what changed in it since one last looked.

    Napari's events say that rows were added, moved, deleted or pasted, but not from what; so the
    whole layer is read again and compared. A layer holds hundreds of prompts at most.

    Parameters
    ----------
    layer : napari.layers.Points or napari.layers.Shapes
        Has a feature ``object_id``, and for points ``positive``.
    image : napari.layers.Image
        The movie that the prompts are about.
    on_edit : callable
        Called with the prompts that went and those that came, after each edit by the user.
    """

    def __init__(
        self,
        layer: Points | Shapes,
        image: Image,
        on_edit: Callable[[list[Drawn], list[Drawn]], None],
    ) -> None:
        self.layer = layer
        self._image = image
        self._on_edit = on_edit
        self._known: Counter[Drawn] = Counter()
        self._is_ours = False
        self._current = 1
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_features)

    def disconnect(self) -> None:
        """Stop listening; the layer itself stays as it is."""
        self.layer.events.data.disconnect(self._on_data)
        self.layer.events.features.disconnect(self._on_features)

    @abstractmethod
    def rows(self) -> list[Drawn]:
        """Read every row as a prompt."""

    @abstractmethod
    def append(self, prompts: Iterable[Drawn]) -> None:
        """Draw prompts without reporting them as edits."""

    def discard(self, unwanted: Callable[[Drawn], bool]) -> None:
        """Delete rows without reporting them as edits."""
        doomed = [index for index, row in enumerate(self.rows()) if unwanted(row)]
        if doomed:
            self._quietly(lambda: self._delete(doomed))

    def set_defaults(self, **features: Any) -> None:
        """Set the features of the rows that are drawn next."""
        self.layer.feature_defaults = {**self.layer.feature_defaults.iloc[0], **features}

    def highlight(self, object_id: int) -> None:
        """Let the prompts of an object stand out among those of the others."""
        self._current = object_id
        style(self.layer, object_id)

    @abstractmethod
    def _flatten(self) -> None:
        """Put what was drawn into the middle of the channel axis: it is seen with every channel."""

    def _delete(self, indices: list[int]) -> None:
        """Delete rows by their numbers."""
        if isinstance(self.layer, Points):
            self.layer.remove(indices)
        else:
            self.layer.selected_data = set(indices)
            self.layer.remove_selected()

    def _quietly(self, change: Callable[[], None]) -> None:
        """Change the layer so that it is not taken for an edit."""
        self._is_ours = True
        try:
            change()
        finally:
            self._is_ours = False
        self._known = Counter(self.rows())
        style(self.layer, self._current)

    def _on_data(self, event: Any) -> None:
        if event.action in SETTLED:
            self._compare()

    def _on_features(self) -> None:
        # The table may have been edited by hand: another object, another sign.
        self._compare()

    def _compare(self) -> None:
        """Report what came and went."""
        if self._is_ours:
            return
        self._flatten()
        rows = Counter(self.rows())
        gone, come = list((self._known - rows).elements()), list((rows - self._known).elements())
        self._known = rows
        style(self.layer, self._current)
        if gone or come:
            self._on_edit(gone, come)


class PointLayer(PromptLayer):
    """Clicks: green inside the object, red outside."""

    layer: Points

    @staticmethod
    def create(image: Image) -> Points:
        """Return an empty layer for clicks on a movie."""
        return Points(
            np.empty((0, image.ndim)),
            ndim=image.ndim,
            name=f"{image.name} prompts",
            features={
                "object_id": np.empty(0, int),
                "positive": np.empty(0, bool),
                "candidate": np.empty(0, int),
            },
            feature_defaults={"object_id": 1, "positive": True, "candidate": 0},
            face_color=POSITIVE_COLOUR,
            border_color="white",
            border_width=0.15,
            size=point_size(image),
            **placement(image),
        )

    def rows(self) -> list[Drawn]:
        """Read every point as a prompt."""
        table = self.layer.features
        # A table that somebody made by hand may lack the last column.
        chosen_masks = table.get("candidate", np.zeros(len(table), int))
        columns = (table["object_id"], table["positive"], chosen_masks)
        out: list[Drawn] = []
        for position, object_id, positive, chosen in zip(self.layer.data, *columns, strict=True):
            frame, yx = frame_yx(position, self.layer, self._image)
            # In the table 0 is the network's choice, and the masks are 1 to 3.
            candidate = int(chosen) - 1 if chosen in (1, 2, 3) else None
            out.append(PointPrompt(int(object_id), frame, yx, bool(positive), candidate))
        return out

    def _flatten(self) -> None:
        axis = made_layout(self._image).axes.find("C")
        if axis >= 0 and self.layer.data[:, axis].any():
            self.layer.data[:, axis] = 0
            self.layer.refresh()

    def append(self, prompts: Iterable[Drawn]) -> None:
        """Draw clicks without reporting them as edits."""

        def change() -> None:
            for prompt in prompts:
                if isinstance(prompt, PointPrompt):
                    chosen = 0 if prompt.candidate is None else prompt.candidate + 1
                    self.set_defaults(
                        object_id=prompt.object_id, positive=prompt.positive, candidate=chosen
                    )
                    place = layer_position(prompt.frame, prompt.yx, self.layer, self._image)
                    self.layer.add(place)

        self._quietly(change)


class BoxLayer(PromptLayer):
    """Rectangles around whole objects."""

    layer: Shapes

    @staticmethod
    def create(image: Image) -> Shapes:
        """Return an empty layer for boxes on a movie."""
        return Shapes(
            None,
            ndim=image.ndim,
            name=f"{image.name} boxes",
            features={"object_id": np.empty(0, int)},
            feature_defaults={"object_id": 1},
            face_color="transparent",
            edge_color=BOX_COLOUR,
            edge_width=max(point_size(image) / 8, 0.5),
            **placement(image),
        )

    def rows(self) -> list[Drawn]:
        """Read shapes: of a polygon the pixels in it, of others the box around; lines are none."""
        out: list[Drawn] = []
        ids, kinds = self.layer.features["object_id"], self.layer.shape_type
        for corners, object_id, kind in zip(self.layer.data, ids, kinds, strict=True):
            if kind in ("line", "path"):
                continue  # a polygon that is not closed yet is a path, too
            places = [frame_yx(corner, self.layer, self._image) for corner in corners]
            yx = np.array([place[1] for place in places])
            if kind == "polygon":
                inside = polygon2mask(_plane(self._image), yx)
                out.append(MaskPrompt(int(object_id), places[0][0], inside))
                continue
            # What sticks out of the image is cut off.
            yx = yx.clip(0, np.array(_plane(self._image)) - 1)
            (y0, x0), (y1, x1) = yx.min(axis=0), yx.max(axis=0)
            box = (float(y0), float(x0), float(y1), float(x1))
            out.append(BoxPrompt(int(object_id), places[0][0], box))
        return out

    def _flatten(self) -> None:
        """Leave shapes where they were drawn: napari shows them on their own channel's plane."""

    def append(self, prompts: Iterable[Drawn]) -> None:
        """Draw boxes without reporting them as edits."""

        def change() -> None:
            for prompt in prompts:
                if isinstance(prompt, BoxPrompt):
                    self.set_defaults(object_id=prompt.object_id)
                    y0, x0, y1, x1 = prompt.yxyx
                    corners = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
                    place = [
                        layer_position(prompt.frame, yx, self.layer, self._image) for yx in corners
                    ]
                    self.layer.add(np.array(place), shape_type="rectangle")

        self._quietly(change)


def point_size(image: Image) -> float:
    """Diameter of a click's disc in pixels: seen on a large frame, smaller than a cell on any."""
    return float(np.clip(max(_plane(image)) / 80, 3, 24))


def _plane(image: Image) -> tuple[int, int]:
    """Height and width of a frame."""
    layout = made_layout(image)
    return layout.length("Y"), layout.length("X")
