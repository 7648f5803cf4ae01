"""The part of the dock that shows the quality of the object in work over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_sam2.tracking.quality import CURVES, CurveName
from napari_sam2.widgets.coordinates import shown_frame
from napari_sam2.widgets.keys import tip
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController
    from napari_sam2.widgets.lane import Lane

_TITLES: dict[CurveName, tuple[str, str]] = {
    "predicted_iou": ("IoU", "Overlap with the truth that the network expects, 0 to 1"),
    "presence": ("Presence", "How sure the network is that the object is there, 0 to 1"),
    "area_jump": ("Area", "Change of the area since the frame before; full height is threefold"),
    "centroid_jump": (
        "Move",
        "Move of the centre since the frame before, beyond what is usual; full height is two radii",
    ),
    "overlap": ("Overlap", "Share of the pixels that other objects claim too, up to a half"),
}
_HEIGHT = 100


class LanePanel(QWidget):
    """Curves of the object in work, its doubtful frames, and the way to the next one.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    controller : SegmentationController
    """

    def __init__(self, viewer: ViewerModel, controller: SegmentationController) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = controller
        self._frame = -1
        self._is_begun = self._is_shut = False
        self.lane: Lane | None = None
        self.caption_label = QLabel()
        self.caption_label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.next_button = plain_button(
            "Doubtful ▸", tip("doubtful"), controller.review.next_doubtful
        )
        top = QHBoxLayout()
        top.addWidget(self.caption_label, 1)
        top.addWidget(self.next_button)
        self._titles = _titles()
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        self._row.addWidget(self._titles)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addLayout(self._row)
        controller.review.lane_changed.connect(self._show)
        viewer.dims.events.current_step.connect(self._move_cursor)
        viewer.events.theme.connect(self._take_theme)
        self._show()

    def shut_down(self) -> None:
        """Stop listening to the viewer and let go of the drawing."""
        self._is_shut = True
        self._controller.review.lane_changed.disconnect(self._show)
        self._viewer.dims.events.current_step.disconnect(self._move_cursor)
        self._viewer.events.theme.disconnect(self._take_theme)
        if self.lane is not None:
            self.lane.close()

    def _show(self) -> None:
        """Draw the object in work; an object without a mask has no curves."""
        if self._controller.image is None:
            self.caption_label.clear()
            return
        quality = self._controller.review.quality()
        if self.lane is not None:
            self.lane.show(quality)
            self._frame = -1
            self._move_cursor()
        self._caption(None)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Make the drawing right after the dock is seen, while the network loads."""
        super().showEvent(event)
        if not self._is_begun:
            # It takes a few tenths of a second, which the first click must not wait for.
            self._is_begun = True
            QTimer.singleShot(0, self._make_lane)

    def _make_lane(self) -> None:
        if self._is_shut:
            return
        from napari_sam2.widgets.lane import Lane

        self.lane = Lane()
        self.lane.native.setFixedHeight(_HEIGHT)
        self.lane.picked.connect(self._controller.review.go_to)
        self.lane.hovered.connect(self._caption)
        self._row.addWidget(self.lane.native, 1)
        self._take_theme()
        self._show()

    def _caption(self, hovered: int | None) -> None:
        """Say what is doubtful about the frame under the mouse, or how much is."""
        quality = self._controller.review.quality()
        if hovered is not None:
            doubt = float(quality.doubt[hovered])
            reason = f": {quality.reason(hovered)}" if doubt > 0 else ""
            where = self._controller.review.where(hovered)
            where = where[0].upper() + where[1:]
            self.caption_label.setText(f"{where}, doubt {doubt:.1f}{reason}")
            return
        count = len(quality.stops)
        places = {0: "nothing doubtful", 1: "1 doubtful place"}.get(
            count, f"{count} doubtful places"
        )
        empty = quality.span is None
        self.caption_label.setText("" if empty else places[0].upper() + places[1:])
        self.next_button.setEnabled(count > 0)

    def _move_cursor(self) -> None:
        image = self._controller.image
        if self.lane is None or image is None:
            return
        frame = shown_frame(self._viewer, image)
        if frame != self._frame:
            self._frame = frame
            self.lane.point_at(frame)

    def _take_theme(self) -> None:
        if self.lane is not None:
            theme = get_theme(self._viewer.theme)
            self.lane.set_colours(
                theme.background.as_hex(), theme.text.as_hex(), theme.warning.as_hex()
            )


def _titles() -> QWidget:
    """Return the names of the curves, one beside each."""
    column = QWidget()
    column.setFixedHeight(_HEIGHT)
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for name in CURVES:
        label = QLabel(_TITLES[name][0])
        label.setToolTip(_TITLES[name][1])
        label.setStyleSheet("font-size: 10px;")
        layout.addWidget(label, 1)
    return column
