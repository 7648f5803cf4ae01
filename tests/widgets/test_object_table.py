"""The Qt model of the table: what Qt's own tester asks, sorting, and few updates."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPersistentModelIndex, Qt

from napari_sam2.editing import operations
from napari_sam2.editing.document import Document
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.widgets.object_table import (
    COLUMNS,
    CONFIDENCE,
    FROM,
    ID,
    LOCK,
    NAME,
    STATE,
    ObjectTableModel,
)

Order, Role = Qt.SortOrder, Qt.ItemDataRole


def settle(controller) -> None:
    end = time.monotonic() + 60
    while controller.review.refresh() is not None:
        assert time.monotonic() < end
        time.sleep(0.005)


def many(count: int, frames: int = 4) -> Document:
    """Objects whose confidence falls with their number."""
    document = Document(MaskletSet((frames, 600, 600)))
    cell = np.ones((10, 10), bool)
    for number in range(1, count + 1):
        origin = (20 * (number // 25), 20 * (number % 25))
        record = MaskRecord.from_mask(
            cell, origin=origin, predicted_iou=1 - number / 1000, object_score=9.0
        )
        for frame in range(number % 3, frames):
            document.masklets.write(number, frame, record)
    return document


@pytest.fixture
def make_model(make_controller, qapp):
    """Return a function that gives controller and model of a document."""

    def make(document: Document):
        shape = document.masklets.shape
        _, controller = make_controller(np.zeros(shape, np.uint8), network=None)
        controller._movie.perform(operations.insert(document))
        settle(controller)
        model = ObjectTableModel(controller.review, controller.edits, lambda _: (1.0, 0.0, 0.5))
        return controller, model

    return make


def column(model, number: int) -> list:
    return [model.data(model.index(row, number)) for row in range(model.rowCount())]


def test_qt_finds_no_fault_while_objects_come_and_go(make_model, qtmodeltester) -> None:
    controller, model = make_model(many(5))
    qtmodeltester.check(model, force_py=True)
    controller.edits.delete([2, 4])
    settle(controller)
    assert column(model, ID) == ["1", "3", "5"]
    controller.edits.split(3, 2)
    settle(controller)
    assert column(model, ID) == ["1", "3", "5", "6"]
    for _ in range(2):
        controller.undo()
    settle(controller)
    assert column(model, ID) == ["1", "2", "3", "4", "5"]
    qtmodeltester.check(model, force_py=True)


def test_cells_say_what_the_row_says(make_model) -> None:
    document = many(3)
    document.objects[2] = ObjectInfo(2, "left", "rejected", parent=1, locked=frozenset({3}))
    _, model = make_model(document)
    texts = [model.data(model.index(1, number)) for number in range(len(COLUMNS))]
    assert texts == ["2", "left", "2", "3", "0", "1.00", "✗", "", "1"]
    assert model.data(model.index(1, LOCK), Role.CheckStateRole) == Qt.CheckState.PartiallyChecked
    icon = model.data(model.index(1, ID), Role.DecorationRole)
    assert icon.pixmap(14, 14).toImage().pixelColor(5, 5).getRgb()[:3] == (255, 0, 128)
    assert model.headerData(CONFIDENCE, Qt.Orientation.Horizontal) == "Conf."


def test_sorting_keeps_rows_and_what_points_at_them(make_model) -> None:
    document = many(6)
    document.objects[4] = ObjectInfo(4, "b")
    document.objects[6] = ObjectInfo(6, "a")
    _, model = make_model(document)
    kept = [model.index(0, ID), model.index(3, NAME)]
    persistent = [QPersistentModelIndex(index) for index in kept]
    model.sort(CONFIDENCE, Order.AscendingOrder)
    assert column(model, ID) == ["6", "5", "4", "3", "2", "1"]
    assert [model.object_at(index.row()) for index in persistent] == [1, 4]
    model.sort(NAME, Order.DescendingOrder)
    assert column(model, ID)[:2] == ["4", "6"], "rows without a name go last"
    model.sort(FROM)
    assert column(model, ID) == ["3", "6", "1", "4", "2", "5"]
    model.sort(ID, Order.DescendingOrder)
    assert [model.object_at(index.row()) for index in persistent] == [1, 4]


def test_names_and_locks_are_edited_in_place_and_can_be_undone(make_model) -> None:
    controller, model = make_model(many(3))
    objects = controller._movie.document.objects
    assert model.flags(model.index(0, NAME)) & Qt.ItemFlag.ItemIsEditable
    assert not model.flags(model.index(0, STATE)) & Qt.ItemFlag.ItemIsEditable
    assert model.setData(model.index(1, NAME), " nucleus ")
    assert objects[2].name == "nucleus"
    assert not model.setData(model.index(1, NAME), "nucleus"), "nothing changed"
    assert model.setData(model.index(1, LOCK), 2, Role.CheckStateRole)
    assert objects[2].is_locked
    controller.undo()
    controller.undo()
    assert 2 not in objects


def test_five_hundred_objects_stay_fast_and_updates_are_few(make_model) -> None:
    controller, model = make_model(many(500))
    told = []
    model.dataChanged.connect(lambda top, bottom: told.append((top.row(), bottom.row())))
    movie = controller._movie
    record = movie.document.masklets.record(300, 3)
    wider = replace(record, predicted_iou=0.1)
    movie._put(1, "tracking", 3, [(i, wider) for i in (10, 11, 300)])
    settle(controller)
    assert told == [(9, 10), (299, 299)]
    started = time.thread_time()
    for row in range(30):  # what a tall window shows
        for number in range(len(COLUMNS)):
            for role in (Role.DisplayRole, Role.DecorationRole, Role.ForegroundRole):
                model.data(model.index(row, number), role)
    drawn = time.thread_time() - started
    started = time.thread_time()
    model.sort(CONFIDENCE)
    assert drawn < 0.2
    assert time.thread_time() - started < 1.0
    assert model.object_at(0) == 500
    assert model.rowCount() == 500
