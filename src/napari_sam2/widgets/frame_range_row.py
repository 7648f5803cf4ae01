"""First and last frame of a run: a slider with two handles, in step with two boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QWidget
from superqt import QRangeSlider

from napari_sam2.widgets.keys import tip

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController


class FrameRangeRow(QWidget):
    """Shows and sets the frames that the next run covers.

    Parameters
    ----------
    controller : SegmentationController
        Has the range.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._controller, self._frames = controller, controller.frames
        self.slider = QRangeSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("First and last frame of a run\nsam2.frames.choose(20, 40)")
        self.start_box = _frame_box(tip("start"), self._choose_from_boxes)
        self.stop_box = _frame_box(tip("stop"), self._choose_from_boxes)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.unit_label = QLabel("Frames")
        layout.addWidget(self.unit_label)
        layout.addWidget(self.start_box)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.stop_box)
        self.slider.valueChanged.connect(self._choose_from_slider)
        self._frames.changed.connect(self._show)
        controller.route.changed.connect(self._show_unit)
        controller.events.image_changed.connect(self._show_unit)
        self._show(self._frames.start, self._frames.stop)
        self._show_unit()

    def _show_unit(self, *_: object) -> None:
        """Say what is counted: in stacks the times or slices of the way that runs go."""
        layers = self._controller.layers
        has_depth = layers is not None and not layers.movie.grid.is_line
        stacks = "Slices" if self._controller.route.along == "z" else "Times"
        self.unit_label.setText(stacks if has_depth else "Frames")

    def _choose_from_slider(self, value: tuple[float, float]) -> None:
        self._frames.choose(*map(int, value))

    def _choose_from_boxes(self) -> None:
        self._frames.choose(self.start_box.value(), self.stop_box.value())

    def _show(self, start: int, stop: int) -> None:
        """Bring slider and boxes into step."""
        last = max(self._frames.count - 1, 0)
        for widget in (self.slider, self.start_box, self.stop_box):
            widget.setEnabled(last > 0)
        blockers = [QSignalBlocker(one) for one in (self.slider, self.start_box, self.stop_box)]
        self.slider.setRange(0, max(last, 1))
        self.slider.setValue((start, stop))
        for box, value in ((self.start_box, start), (self.stop_box, stop)):
            box.setRange(0, last)
            box.setValue(value)
        for blocker in blockers:
            blocker.unblock()
        self.slider.update()


def _frame_box(tool_tip: str, on_edit: Callable[[], None]) -> QSpinBox:
    """Return a box for a frame number that reports what is typed once it is complete."""
    box = QSpinBox()
    box.setToolTip(tool_tip)
    box.setKeyboardTracking(False)
    box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    box.valueChanged.connect(lambda _value: on_edit())
    return box
