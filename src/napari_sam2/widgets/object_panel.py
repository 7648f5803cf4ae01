"""The part of the dock that says what the next prompt is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from napari_sam2.widgets.keys import tip

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController

TOOLS = {
    "points": (
        "Points",
        "Left click: this belongs to the object. Right click: it does not.\n"
        "Control and a click on a mask: go on with its object; with Shift, too: divide it.",
    ),
    "boxes": ("Box", "Drag a rectangle around the whole object."),
    "polygon": (
        "Polygon",
        "Click corner after corner around the object, the last one twice: it is the mask on this\n"
        "frame. While a click means outside, it is cut out of the mask.",
    ),
    "lasso": (
        "Lasso",
        "Draw around the object with the button held: it is the mask on this frame.\n"
        "While a click means outside, it is cut out of the mask.",
    ),
    "paint": ("Paint", "Paint or erase the mask; the result is a prompt on this frame."),
}


class ObjectPanel(QWidget):
    """Object in work, tool, sign, and what can be taken back.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its active layer shows which tool is in hand.
    controller : SegmentationController
        Is told what was chosen.
    """

    def __init__(self, viewer: ViewerModel, controller: SegmentationController) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = controller
        self.swatch = QLabel()
        self.swatch.setFixedSize(16, 16)
        self.name_label = QLabel()
        self.name_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.tool_buttons = {name: self._tool_button(name) for name in TOOLS}
        self.sign_button = plain_button("", tip("sign"), controller.objects.toggle_sign)
        self.new_button = plain_button("New object", tip("new"), controller.new_object)
        self.previous_button = plain_button("‹", tip("previous"), controller.objects.previous)
        self.next_button = plain_button("›", tip("next"), controller.objects.next)
        self.absent_button = plain_button(
            "Not here",
            tip("absent", "Runs go by it, as by any other prompt."),
            lambda: controller.edits.mark_absent(controller.objects.current),
        )
        self.clear_button = plain_button("Clear frame", tip("clear"), controller.clear_frame)
        self.delete_button = plain_button("Delete object", tip("delete"), controller.delete_object)
        self.undo_button = plain_button("↶", tip("undo"), controller.undo)
        self.redo_button = plain_button("↷", tip("redo"), controller.redo)
        self._arrange()
        controller.edits.changed.connect(self._show_history)
        controller.objects.changed.connect(self._show_object)
        controller.objects.sign_changed.connect(self._show_sign)
        controller.events.image_changed.connect(self._show_image)
        viewer.layers.selection.events.active.connect(self._show_tool)
        self._show_image(controller.image)
        self._show_sign(controller.objects.is_positive)

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer's selection."""
        self._viewer.layers.selection.events.active.disconnect(self._show_tool)

    def _arrange(self) -> None:
        """Lay the controls out."""
        choice = QHBoxLayout()
        choice.addWidget(self.previous_button)
        choice.addWidget(self.swatch)
        choice.addWidget(self.name_label, 1)
        choice.addWidget(self.next_button)
        for button in (self.undo_button, self.redo_button):
            button.setFixedWidth(2 * button.sizeHint().height())
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        top = QHBoxLayout()
        top.addLayout(choice, 1)
        for button in (self.new_button, self.undo_button, self.redo_button):
            top.addWidget(button)
        layout.addLayout(top, 0, 0, 1, 6)
        tools = QHBoxLayout()
        tools.setSpacing(2)
        for button in self.tool_buttons.values():
            tools.addWidget(button)
        layout.addLayout(tools, 1, 0, 1, 6)
        below = QHBoxLayout()
        below.addWidget(self.sign_button, 1)
        for button in (self.absent_button, self.clear_button, self.delete_button):
            below.addWidget(button)
        layout.addLayout(below, 2, 0, 1, 6)

    def _tool_button(self, name: Any) -> QPushButton:
        """Return the button that takes up a tool."""
        title, text = TOOLS[name]
        button = plain_button(
            title, f'{text}\nsam2.use("{name}")', lambda: self._controller.use(name)
        )
        button.setCheckable(True)
        return button

    def _show_image(self, image: object) -> None:
        self.setEnabled(image is not None)
        if (layers := self._controller.layers) is not None:
            layers.tool_changed.connect(self._show_tool, unique=True)
        self._show_object(self._controller.objects.current)
        self._show_tool()
        self._show_history()

    def _show_object(self, object_id: int) -> None:
        """Show number and colour of the object in work."""
        self.name_label.setText(f"Object {object_id}")
        layers = self._controller.layers
        labels = None if layers is None else layers.canvas.layer
        pixmap = QPixmap(self.swatch.size())
        pixmap.fill(Qt.GlobalColor.transparent)
        if labels is not None:
            colour = np.asarray(labels.get_color(object_id), dtype=float)
            pixmap.fill(QColor.fromRgbF(*map(float, colour[:3])))
        self.swatch.setPixmap(pixmap)

    def _show_history(self) -> None:
        """Say in the tool tips what would be taken back, and done again."""
        edits = self._controller.edits
        for name, button, title in (
            ("undo", self.undo_button, edits.undo_title),
            ("redo", self.redo_button, edits.redo_title),
        ):
            button.setEnabled(title is not None)
            button.setToolTip(tip(name, title or ""))

    def _show_sign(self, positive: bool) -> None:
        """Say what a left click means."""
        self.sign_button.setText("Click: + inside" if positive else "Click: − outside")

    def _show_tool(self) -> None:
        """Press the button of the layer that is active."""
        layers = self._controller.layers
        tool = None if layers is None else layers.tool
        for name, button in self.tool_buttons.items():
            button.setChecked(name == tool)


def plain_button(title: str, tool_tip: str, action: Callable[[], object]) -> QPushButton:
    """Return a button that leaves the keyboard to the canvas, so that keys go on working."""
    button = QPushButton(title)
    button.setToolTip(tool_tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.clicked.connect(lambda _checked: action())
    return button
