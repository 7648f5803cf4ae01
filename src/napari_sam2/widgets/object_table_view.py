"""The table of objects as it is seen: selection, names, double clicks, the context menu."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QItemSelectionModel, QModelIndex, QPoint, QSize, Qt
from qtpy.QtCore import Signal as QtSignal
from qtpy.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QMenu, QTableView, QWidget

from napari_sam2.widgets.object_acts import ACTS, Act
from napari_sam2.widgets.object_table import FROM, ID, NAME, TO, ObjectTableModel

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController

_WIDTHS = (50, 56, 34, 30, 36, 38, 36, 34, 48)
_WIDE = 62
"""Of the columns with places, where these are times and slices."""
_LEAST_HEIGHT = 96
Flag = QItemSelectionModel.SelectionFlag


class ObjectTableView(QTableView):
    """One row an object; a selected row is the object in work.

    It leaves the keyboard to the canvas, so that keys go on working, except while a name is typed.

    Parameters
    ----------
    controller : SegmentationController
    """

    chosen = QtSignal()
    """Other rows are selected."""

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._controller = controller
        self._focus_before: QWidget | None = None
        self._is_syncing = False
        self.rows = ObjectTableModel(controller.review, controller.edits, self._colour)
        self.setModel(self.rows)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setIconSize(QSize(14, 14))
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.setStyleSheet("font-size: 11px;")
        self._arrange_headers()
        self.setSortingEnabled(True)
        self.sortByColumn(ID, Qt.SortOrder.AscendingOrder)
        self.customContextMenuRequested.connect(self._open_menu)
        self.doubleClicked.connect(self._on_double_click)
        self.selectionModel().selectionChanged.connect(self._on_selection)
        self.rows.modelReset.connect(self._select_chosen)
        controller.review.entered.connect(self._fit_places)
        self.rows.rowsInserted.connect(self._select_chosen)
        controller.objects.changed.connect(self._select_chosen)
        self._select_chosen()

    def selected(self) -> tuple[int, ...]:
        """Return the selected objects, the one in work first."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        current = self._controller.objects.current
        found = [self.rows.object_at(row) for row in rows]
        return tuple(sorted(found, key=lambda object_id: object_id != current))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for a few rows; what the dock has left is given on top."""
        return QSize(super().sizeHint().width(), _LEAST_HEIGHT)

    def rename(self) -> None:
        """Let the name of the object in work be typed."""
        row = self.rows.row_of(self._controller.objects.current)
        if row is not None:
            self._focus_before = QApplication.focusWidget()
            index = self.rows.index(row, NAME)
            self.scrollTo(index)
            self.edit(index)

    def menu(self) -> QMenu:
        """Return what can be done to the selected objects."""
        menu, objects = QMenu(self), self.selected()
        menu.setToolTipsVisible(True)
        for act in ACTS.values():
            entry = menu.addAction(act.title)
            entry.setToolTip(act.tip)
            entry.setEnabled(act.takes(objects))
            entry.triggered.connect(partial(self._do, act, objects))
        entry = menu.addAction("Rename")
        entry.setEnabled(len(objects) == 1)
        entry.triggered.connect(self.rename)
        return menu

    def closeEditor(self, editor: QWidget, hint: object) -> None:  # noqa: N802
        """Give the keyboard back to who had it before a name was typed."""
        super().closeEditor(editor, hint)
        before, self._focus_before = self._focus_before, None
        if before is not None:
            before.setFocus()

    def mouseDoubleClickEvent(self, event: object) -> None:  # noqa: N802
        """Note who has the keyboard before a name is typed."""
        self._focus_before = QApplication.focusWidget()
        super().mouseDoubleClickEvent(event)

    def _do(self, act: Act, objects: tuple[int, ...], _checked: bool = False) -> None:
        act.action(self._controller, objects)

    def _arrange_headers(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # 500 rows need not be measured
        rows.setDefaultSectionSize(self.fontMetrics().height() + 6)
        columns.setMinimumSectionSize(24)
        columns.setHighlightSections(False)
        for number, width in enumerate(_WIDTHS):
            self.setColumnWidth(number, width)

    def _fit_places(self) -> None:
        has_depth = self._controller.review.has_depth
        for column in (FROM, TO):
            self.setColumnWidth(column, _WIDE if has_depth else _WIDTHS[column])

    def _colour(self, object_id: int) -> tuple[float, float, float] | None:
        layers = self._controller.layers
        labels = None if layers is None else layers.canvas.layer
        if labels is None:
            return None
        red, green, blue, *_ = np.asarray(labels.colormap.map(object_id), float).ravel()
        return float(red), float(green), float(blue)

    def _on_selection(self) -> None:
        """Choose the object of the only selected row."""
        rows = self.selectionModel().selectedRows()
        if len(rows) == 1 and not self._is_syncing:
            self._controller.objects.select(self.rows.object_at(rows[0].row()))
        self.chosen.emit()

    def _select_chosen(self) -> None:
        """Select the row of the object in work, unless it is among the selected ones."""
        row = self.rows.row_of(self._controller.objects.current)
        selection = self.selectionModel()
        self._is_syncing = True
        try:
            if row is None:
                selection.clear()
            elif not selection.isRowSelected(row, QModelIndex()):
                index = self.rows.index(row, ID)
                selection.setCurrentIndex(index, Flag.ClearAndSelect | Flag.Rows)
                self.scrollTo(index)
        finally:
            self._is_syncing = False

    def _on_double_click(self, index: QModelIndex) -> None:
        row = self._controller.review.row(self.rows.object_at(index.row()))
        frame = {FROM: row.first, TO: row.last}.get(index.column())
        if frame is not None:
            self._controller.review.go_to(frame)

    def _open_menu(self, place: QPoint) -> None:
        if self.indexAt(place).isValid():
            self.menu().popup(self.viewport().mapToGlobal(place))
