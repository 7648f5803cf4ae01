"""The part of the dock that finds objects without a click."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QWidget

from napari_sam2.predictor.automatic_options import help_of
from napari_sam2.widgets.keys import tip
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController


class FindPanel(QWidget):
    """One button, where to look, and how large the objects are.

    Parameters
    ----------
    controller : SegmentationController
        Finds them.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._controller = controller
        self.find_button = plain_button(
            "Find all", tip("find", "What is there already stays as it is"), self.find
        )
        self.where_box = QComboBox()
        self.where_box.addItems(["on this frame", "on all frames"])
        self.where_box.setToolTip(
            "All frames: those of the range below, newcomers are found every few frames and\n"
            "followed both ways\nsam2.finding.find(everywhere=True)"
        )
        self.diameter_box = QDoubleSpinBox()
        self.diameter_box.setRange(0.0, 5000.0)
        self.diameter_box.setDecimals(0)
        self.diameter_box.setSpecialValueText("any size")
        self.diameter_box.setSuffix(" px wide")
        self.diameter_box.setToolTip(f"{help_of('diameter')}\nsam2.finding.find(diameter=30)")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.find_button)
        layout.addWidget(self.where_box, 1)
        layout.addWidget(self.diameter_box)
        controller.events.image_changed.connect(self._show)
        controller.events.run_changed.connect(self._show)
        self._show()

    def find(self) -> None:
        """Find objects with the settings that are shown."""
        frames, diameter = self._controller.frames, self.diameter_box.value()
        self._controller.finding.find(
            self.where_box.currentIndex() == 1,
            max(diameter, 3.0) if diameter else None,
            frames.start,
            frames.stop,
        )

    def _show(self, *_: object) -> None:
        """Offer it where there is a movie and nothing is under way."""
        self.setEnabled(self._controller.image is not None)
        self.find_button.setEnabled(self._controller.run_state == "idle")
