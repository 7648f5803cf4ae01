"""The objects as a Qt table model: each row is asked for only when it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap

if TYPE_CHECKING:
    from napari_sam2.widgets.edits import Edits
    from napari_sam2.widgets.review import ObjectRow, Review

Role = Qt.ItemDataRole
Colour = tuple[float, float, float]
_SWATCH = 14
LOW_CONFIDENCE = 0.65
"""Below it a confidence is written in the colour of warnings."""
WARNING_COLOUR = "#e5941d"
_MOST_STEPS = 20
"""Rows that come or go one by one; more of them are a new table."""
_STATES = {"in work": "", "accepted": "✓", "rejected": "✗"}
_CHECKS = {
    True: Qt.CheckState.Checked,
    False: Qt.CheckState.Unchecked,
    None: Qt.CheckState.PartiallyChecked,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    title, tip : str
    text : callable
        Returns what is shown of a row.
    key : callable
        Returns by what rows are sorted; rows without a value go last.
    """

    title: str
    tip: str
    text: Callable[[ObjectRow], str]
    key: Callable[[ObjectRow], float | str | None]


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


COLUMNS = (
    Column("Id", "Label value and track id", lambda r: str(r.object_id), lambda r: r.object_id),
    Column("Name", "Double click to name it", lambda r: r.name, lambda r: r.name or None),
    Column("From", "First frame; double click goes there",
           lambda r: r.span[0], lambda r: r.first),
    Column("To", "Last frame; double click goes there",
           lambda r: r.span[1], lambda r: r.last),
    Column("Hints", "Clicks, boxes and masks that you gave",
           lambda r: str(r.prompts), lambda r: r.prompts),
    Column("Conf.", "How sure the network is: expected IoU times presence, 0 to 1",
           lambda r: "" if r.confidence is None else f"{r.confidence:.2f}",
           lambda r: r.confidence),
    Column("State", "✓ accepted, ✗ rejected, empty: in work",
           lambda r: _STATES[r.state], lambda r: list(_STATES).index(r.state)),
    Column("Lock", "No run and no brush changes it", lambda _: "",
           lambda r: {True: 0, None: 1, False: 2}[r.locked]),
    Column("Mother", "The object that divided into this one",
           lambda r: _number(r.parent), lambda r: r.parent),
)  # fmt: skip
_TITLES = tuple(column.title for column in COLUMNS)
ID, NAME, FROM, TO, HINTS, CONFIDENCE, STATE, LOCK, MOTHER = range(len(COLUMNS))


class ObjectTableModel(QAbstractTableModel):
    """Rows of `Review`, in the order of a column.

    Parameters
    ----------
    review : Review
    edits : Edits
        Names objects.
    colour : callable
        Returns the colour of an object, red, green, blue from 0 to 1.
    """

    def __init__(
        self,
        review: Review,
        edits: Edits,
        colour: Callable[[int], Colour | None],
    ) -> None:
        super().__init__()
        self._review = review
        self._edits = edits
        self._colour = colour
        self._ids: list[int] = list(review.ids())
        self._swatches: dict[Colour, QIcon] = {}
        self._order = ID, Qt.SortOrder.AscendingOrder
        review.objects_changed.connect(self._take_objects)
        review.rows_changed.connect(self._take_rows)

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of objects."""
        return 0 if parent is not None and parent.isValid() else len(self._ids)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def object_at(self, row: int) -> int:
        """Return the object of a row."""
        return self._ids[row]

    def row_of(self, object_id: int) -> int | None:
        """Return the row of an object, None if it has none."""
        return self._ids.index(object_id) if object_id in self._ids else None

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole
    ) -> Any:
        """Return titles and tool tips of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        return {Role.DisplayRole: column.title, Role.ToolTipRole: column.tip}.get(role)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let names be edited and locks be ticked."""
        flags = super().flags(index)
        if index.column() == NAME:
            return flags | Qt.ItemFlag.ItemIsEditable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == LOCK else flags

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """Return what is shown in a cell."""
        if not index.isValid():
            return None
        object_id, column = self._ids[index.row()], index.column()
        if role == Role.DecorationRole:
            return self._swatch(object_id) if column == ID else None
        if role == Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter if column not in (ID, NAME) else None
        if role not in (Role.DisplayRole, Role.EditRole, Role.CheckStateRole, Role.ForegroundRole):
            return None
        row = self._review.row(object_id)
        if role == Role.CheckStateRole:
            return _CHECKS[row.locked] if column == LOCK else None
        if role == Role.ForegroundRole:
            is_low = row.confidence is not None and row.confidence < LOW_CONFIDENCE
            return QColor(WARNING_COLOUR) if is_low and column == CONFIDENCE else None
        return COLUMNS[column].text(row)

    def setData(self, index: QModelIndex, value: Any, role: int = Role.EditRole) -> bool:  # noqa: N802
        """Name an object, or lock it."""
        object_id = self._ids[index.row()]
        if role == Role.EditRole and index.column() == NAME:
            return self._edits.rename(object_id, str(value).strip())
        if role == Role.CheckStateRole and index.column() == LOCK:
            return self._review.lock([object_id])
        return False

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column; they stay so until it is asked for again."""
        self._order = column, order
        kept = self.persistentIndexList()
        owners = [self._ids[index.row()] for index in kept]
        self.layoutAboutToBeChanged.emit()
        self._ids = self._sorted(self._ids)
        rows = {object_id: row for row, object_id in enumerate(self._ids)}
        moved = [
            self.index(rows[owner], index.column())
            for owner, index in zip(owners, kept, strict=True)
        ]
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()

    def _swatch(self, object_id: int) -> QIcon | None:
        """Return an object's colour, the same in a selected row, where Qt would tint it."""
        colour = self._colour(object_id)
        if colour is None:
            return None
        if colour not in self._swatches:
            pixmap = QPixmap(_SWATCH, _SWATCH)
            pixmap.fill(QColor.fromRgbF(*colour))
            icon = self._swatches[colour] = QIcon(pixmap)
            icon.addPixmap(pixmap, QIcon.Mode.Selected)
        return self._swatches[colour]

    def _sorted(self, ids: list[int]) -> list[int]:
        column, order = self._order
        if not 0 <= column < len(COLUMNS):
            return sorted(ids)
        keys: dict[int, Any] = {
            object_id: COLUMNS[column].key(self._review.row(object_id)) for object_id in ids
        }
        known = [i for i in sorted(ids) if keys[i] is not None]
        is_falling = order == Qt.SortOrder.DescendingOrder
        known.sort(key=keys.__getitem__, reverse=is_falling)
        return known + [i for i in sorted(ids) if keys[i] is None]

    def _take_objects(self) -> None:
        """Insert and remove rows; new ones go where the column says."""
        wanted = set(self._review.ids())
        gone = [i for i in self._ids if i not in wanted]
        come = sorted(wanted - set(self._ids))
        if len(gone) + len(come) > _MOST_STEPS or not self._ids:
            self.beginResetModel()
            self._ids = self._sorted(list(wanted))
            self.endResetModel()
            return
        for object_id in gone:
            row = self._ids.index(object_id)
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._ids[row]
            self.endRemoveRows()
        for object_id in come:
            row = self._sorted([*self._ids, object_id]).index(object_id)
            self.beginInsertRows(QModelIndex(), row, row)
            self._ids.insert(row, object_id)
            self.endInsertRows()

    def _take_rows(self, objects: set[int]) -> None:
        """Tell the view which rows to draw again: neighbours together."""
        rows = sorted(row for row, object_id in enumerate(self._ids) if object_id in objects)
        first = 0
        for last, row in enumerate(rows):
            if last + 1 == len(rows) or rows[last + 1] != row + 1:
                top, bottom = self.index(rows[first], 0), self.index(row, len(COLUMNS) - 1)
                self.dataChanged.emit(top, bottom)
                first = last + 1
