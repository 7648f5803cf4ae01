"""Groups of the dock that can be folded away; which are open is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QCollapsible

if TYPE_CHECKING:
    from napari_sam2.widgets.preferences import Preferences

_TITLE_STYLE = (
    "QPushButton, QPushButton:checked, QPushButton:hover {"
    "text-align: left; border: none; outline: none; background: transparent; padding: 2px 0px}"
)
"""A title, not a button that is pressed."""


class Fold(QCollapsible):
    """A panel under a title that opens and shuts it; the title says what matters while it is shut.

    Parameters
    ----------
    name : str
        Under which it is remembered whether it is open.
    title : str
    panel : QWidget
    preferences : Preferences

    Attributes
    ----------
    caption : str
        Title and summary.
    """

    def __init__(self, name: str, title: str, panel: QWidget, preferences: Preferences) -> None:
        # The mark is part of the title: an icon would keep the colours of one theme. Not an empty
        # one: PySide6 takes that for false, and superqt then has none to set.
        blank = QPixmap(1, 1)
        blank.fill(Qt.GlobalColor.transparent)
        super().__init__(title, expandedIcon=QIcon(blank), collapsedIcon=QIcon(blank))
        self._name = name
        self._title = self.caption = title
        self._preferences = preferences
        self._is_remembering = True
        self.setDuration(120)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(2)
        self.content().layout().setContentsMargins(8, 0, 0, 0)
        self.addWidget(panel)
        button = self.toggleButton()
        # A long title is cut off, it does not make the dock wider.
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.setStyleSheet(_TITLE_STYLE)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys stay with the canvas
        button.setToolTip("Open or shut this part of the dock; it is remembered")
        if preferences.is_open(name):
            self.expand(animate=False)
        self.toggled.connect(self._remember)
        self.toggled.connect(self._write)
        self._write()

    def say(self, summary: str) -> None:
        """Write something behind the title."""
        self.caption = f"{self._title}  ·  {summary}" if summary else self._title
        self._write()

    def show_now(self) -> None:
        """Open it because something in it needs to be seen; that is not remembered."""
        if not self.isExpanded():
            self._is_remembering = False
            self.expand(animate=False)
            self._is_remembering = True

    def _write(self, *_: object) -> None:
        self.setText(f"{'▾' if self.isExpanded() else '▸'}  {self.caption}")

    def _remember(self, is_open: bool) -> None:
        if self._is_remembering:
            self._preferences.keep_open(self._name, is_open)
