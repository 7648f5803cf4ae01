"""The part of the dock that divides objects: the tool, and a short list of proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QListWidget, QListWidgetItem, QWidget

from napari_sam2.widgets.keys import tip
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController

ROWS = 3
"""Proposals that are seen at once."""


class DivisionPanel(QWidget):
    """Divide by two clicks, or accept what the masks suggest.

    Parameters
    ----------
    controller : SegmentationController
        Divides.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._divisions = controller.divisions
        self._is_filling = False
        self.divide_button = plain_button("Divide", tip("divide"), self._divisions.begin)
        self.divide_button.setCheckable(True)
        self.accept_button = plain_button("Accept", tip("accept_division"), self._divisions.accept)
        self.dismiss_button = plain_button(
            "Dismiss", tip("dismiss_division"), self._divisions.dismiss
        )
        self.automatic_box = QCheckBox("Take daughters on")
        self.automatic_box.setToolTip(
            "Cells that a run has ended, because they have divided, get their daughters\n"
            "without a question, and these are followed on. Ctrl+Z takes each back.\n"
            "sam2.divisions.is_automatic = True"
        )
        self.automatic_box.toggled.connect(self._set_automatic)
        self.list = QListWidget()
        self.list.setToolTip(
            "Where objects seem to divide; the number is how sure that is.\n"
            "Click one to look at it, Enter accepts it.\nsam2.divisions.proposals"
        )
        self.list.setFixedHeight(ROWS * (self.list.fontMetrics().height() + 6) + 4)
        self.list.currentRowChanged.connect(self._choose)
        self.list.installEventFilter(self)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.divide_button, 0, 0)
        layout.addWidget(self.accept_button, 0, 1)
        layout.addWidget(self.dismiss_button, 0, 2)
        layout.addWidget(self.automatic_box, 1, 0, 1, 3)
        layout.addWidget(self.list, 2, 0, 1, 3)
        self._divisions.automatic_changed.connect(self._show_automatic)
        self._divisions.changed.connect(self._show)
        self._divisions.asking_changed.connect(self._show_asking)
        controller.events.image_changed.connect(self._show_image)
        self._show_image(controller.image)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Accept with Enter where the list has the keyboard."""
        if watched is not self.list or event.type() != QEvent.Type.KeyPress:
            return False
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return False
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        (self._divisions.dismiss if is_shifted else self._divisions.accept)()
        return True

    def _show_image(self, image: object) -> None:
        self.setEnabled(image is not None)
        self._show()

    def _show(self) -> None:
        """List the proposals."""
        proposals, chosen = self._divisions.proposals, self._divisions.chosen
        self._is_filling = True
        self.list.clear()
        for one in proposals:
            text = f"Object {one.mother} at {self._divisions.where(one.frame)}"
            item = QListWidgetItem(f"{text}  ·  {one.confidence:.0%}")
            self.list.addItem(item)
            if one is chosen:
                self.list.setCurrentItem(item)
        self._is_filling = False
        count = len(proposals)
        self.list.setVisible(count > 0)
        for button in (self.accept_button, self.dismiss_button):
            button.setEnabled(count > 0)

    def _choose(self, row: int) -> None:
        proposals = self._divisions.proposals
        if not self._is_filling and 0 <= row < len(proposals):
            self._divisions.choose(proposals[row])

    def _show_automatic(self, is_on: bool) -> None:
        self.automatic_box.setChecked(is_on)

    def _set_automatic(self, is_on: bool) -> None:
        self._divisions.is_automatic = is_on

    def _show_asking(self, is_asking: bool) -> None:
        self.divide_button.setChecked(is_asking)
