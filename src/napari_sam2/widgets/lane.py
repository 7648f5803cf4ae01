"""The quality of one object over time, drawn with vispy.

Vispy is what napari itself draws with, so it is there and loaded; a plot of five curves is one
texture and two sets of lines, and moving the cursor costs nothing but a redraw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget
from vispy.color import Color
from vispy.scene import SceneCanvas
from vispy.scene.visuals import Image, Line, Markers
from vispy.visuals.transforms import STTransform

from napari_sam2.tracking.quality import CURVES, CurveName

if TYPE_CHECKING:
    from napari_sam2.tracking.quality import ObjectQuality

_DOUBT_COLOUR = (0.90, 0.38, 0.10)
_TOPS: dict[CurveName, float] = {
    "predicted_iou": 1.0,
    "presence": 1.0,
    "area_jump": 1.5,
    "centroid_jump": 2.0,
    "overlap": 0.5,
}
"""Values at the upper end of a row; larger ones are cut off there."""
_MARGIN = 0.12
"""Part of a row that stays free above and below its curve."""


class Lane:
    """Five curves under one another, doubt behind them, a cursor; a click chooses a frame."""

    picked = Signal(int)
    """The frame that was clicked."""
    hovered = Signal(int)
    """The frame under the mouse."""

    def __init__(self) -> None:
        self._frames = 1
        self._canvas = SceneCanvas(keys=None, size=(240, 100))
        self.native: QWidget = self._canvas.native
        self.native.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys stay with the viewer
        self.native.setMouseTracking(True)
        view = self._canvas.central_widget.add_view(camera="panzoom")
        view.interactive = False
        self._view = view
        self._doubt = Image(np.zeros((1, 1, 4), np.float32), parent=view.scene)
        self._lines = Line(np.zeros((2, 2)), connect=np.zeros(2, bool), parent=view.scene)
        self._prompts = Markers(parent=view.scene)
        self._cursor = Line(np.array([[0.0, 0], [0, len(CURVES)]]), width=2, parent=view.scene)
        for order, visual in enumerate((self._doubt, self._lines, self._prompts, self._cursor)):
            visual.order = order
            visual.set_gl_state("translucent", depth_test=False)
        self._colours: dict[str, Any] = {"text": "white", "cursor": "yellow"}
        self._prompted = np.empty(0, int)
        self._quality: ObjectQuality | None = None
        self._doubt.transform = STTransform(translate=(-0.5, 0))
        self._canvas.events.mouse_press.connect(self._on_mouse)
        self._canvas.events.mouse_move.connect(self._on_mouse)

    def set_colours(self, background: str, text: str, cursor: str) -> None:
        """Take the colours of a theme."""
        self._canvas.bgcolor = background
        self._colours = {"text": text, "cursor": cursor}
        self._lines.set_data(color=Color(text))
        self._draw_doubt()
        self._cursor.set_data(color=Color(cursor))
        self._mark()
        self._canvas.update()

    def show(self, quality: ObjectQuality) -> None:
        """Draw the curves of an object."""
        frames = len(quality.prompted)
        if frames != self._frames:
            self._frames = frames
            self._view.camera.rect = (-0.5, 0, frames, len(CURVES))
        self._quality = quality
        self._draw_doubt()
        places, connect = _curves(quality)
        self._lines.set_data(pos=places, connect=connect, color=Color(self._colours["text"]))
        self._prompted = np.flatnonzero(quality.prompted)
        self._mark()
        self._canvas.update()

    def point_at(self, frame: int) -> None:
        """Put the cursor on a frame."""
        self._cursor.set_data(pos=np.array([[frame, 0.0], [frame, len(CURVES)]]))
        self._canvas.update()

    def frame_at(self, x: float) -> int:
        """Return the frame at a horizontal position in the widget, in its pixels."""
        frame = int(x / max(self._canvas.size[0], 1) * self._frames)
        return min(max(frame, 0), self._frames - 1)

    def picture(self) -> NDArray[np.uint8]:
        """Return what is drawn, (H, W, 4)."""
        return np.asarray(self._canvas.render(alpha=False))

    def close(self) -> None:
        """Let go of the canvas."""
        self._canvas.close()

    def _draw_doubt(self) -> None:
        if self._quality is not None:
            self._doubt.set_data(_picture(self._quality, Color(self._colours["text"]).rgb))

    def _mark(self) -> None:
        """Mark the frames that a person prompted, at the upper edge."""
        heights = np.full(len(self._prompted), len(CURVES) - 0.12)
        places = np.column_stack([self._prompted, heights]) if len(heights) else np.zeros((1, 2))
        self._prompts.visible = len(heights) > 0
        colour = Color(self._colours["text"])
        self._prompts.set_data(places, size=6, symbol="v", face_color=colour, edge_width=0)

    def _on_mouse(self, event: Any) -> None:
        frame = self.frame_at(event.pos[0])
        self.hovered.emit(frame)
        if event.type == "mouse_press" or (event.is_dragging and event.button == 1):
            self.picked.emit(frame)


def _picture(quality: ObjectQuality, text: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the doubt as colours, (rows, T, 4), the lowest row first, on stripes."""
    doubts = np.array([quality.doubts[name] for name in reversed(CURVES)], np.float32)
    picture = np.zeros((*doubts.shape, 4), np.float32)
    picture[::2] = (*text, 0.08)
    is_doubted = doubts > 0
    picture[is_doubted, :3] = _DOUBT_COLOUR
    picture[is_doubted, 3] = 0.9 * doubts[is_doubted]
    return picture


def _curves(quality: ObjectQuality) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the points (N, 2) of all curves, and which of them is joined to the next."""
    rows = []
    for number, name in enumerate(reversed(CURVES)):
        heights = np.clip(quality.curves[name] / _TOPS[name], 0, 1)
        rows.append(number + _MARGIN + (1 - 2 * _MARGIN) * heights)
    values = np.concatenate(rows).astype(np.float32)
    frames = np.tile(np.arange(len(quality.prompted), dtype=np.float32), len(rows))
    is_known = ~np.isnan(values)
    connect = is_known & np.roll(is_known, -1) & (np.roll(frames, -1) > frames)
    return np.column_stack([frames, np.nan_to_num(values)]), connect
