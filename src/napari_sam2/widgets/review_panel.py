"""The part of the dock with the table of objects, what can be done to them, and the lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam2.widgets.lane_panel import LanePanel
from napari_sam2.widgets.object_acts import ACTS, Act
from napari_sam2.widgets.object_panel import plain_button
from napari_sam2.widgets.object_table_view import ObjectTableView

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController

_BUTTONS = (("accept", "reject", "lock", "delete"), ("merge", "split", "swap"))
_IN_MENU = ("cut", "cut before")


class ReviewPanel(QWidget):
    """Table, buttons, lane.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    controller : SegmentationController
    """

    def __init__(self, viewer: ViewerModel, controller: SegmentationController) -> None:
        super().__init__()
        self._controller = controller
        self.table = ObjectTableView(controller)
        self.buttons = {name: self._button(ACTS[name]) for row in _BUTTONS for name in row}
        self.cut_menu = QMenu(self)
        self.cut_menu.setToolTipsVisible(True)
        for name in _IN_MENU:
            entry = self.cut_menu.addAction(ACTS[name].title)
            entry.setToolTip(ACTS[name].tip)
            entry.triggered.connect(lambda _, act=ACTS[name]: self._do(act))
        self.cut_button = plain_button("Cut", "Remove a part of this object", lambda: None)
        self.cut_button.setMenu(self.cut_menu)
        self.lane_panel = LanePanel(viewer, controller)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, 1)
        for names in _BUTTONS:
            row = QHBoxLayout()
            for name in names:
                row.addWidget(self.buttons[name])
            layout.addLayout(row)
        row.addWidget(self.cut_button)
        layout.addWidget(self.lane_panel)
        # Napari adds empty space below docks in which nothing wants it.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.table.chosen.connect(self._offer)
        controller.review.objects_changed.connect(self._offer)
        self._offer()

    def shut_down(self) -> None:
        """Stop listening to the viewer."""
        self.lane_panel.shut_down()

    def _button(self, act: Act) -> QPushButton:
        return plain_button(act.title, act.tip, lambda: self._do(act))

    def _do(self, act: Act) -> None:
        act.action(self._controller, self.table.selected())

    def _offer(self) -> None:
        """Offer what can be done to the selected objects."""
        objects = self.table.selected()
        self._controller.objects.selected = objects
        for name, button in self.buttons.items():
            button.setEnabled(ACTS[name].takes(objects))
        self.cut_button.setEnabled(ACTS["cut"].takes(objects))
