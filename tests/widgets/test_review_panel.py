"""The table, its buttons and the lane in a real viewer: mouse, keys, themes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_sam2.editing.document import Document
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.prompts import MaskPrompt
from napari_sam2.widgets.object_table import CONFIDENCE, ID, LOCK, NAME, TO

LEFT, NO_KEY = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def dock(open_dock, synthetic, qtbot):
    """Viewer and dock with four discs that stay; masks of the first are doubtful in places."""
    viewer, widget = open_dock(synthetic.images)
    masks = MaskletSet(synthetic.images.shape)
    document = Document(masks)
    ys, xs = np.ogrid[:96, :96]
    for number, (y, x) in enumerate(((24, 24), (24, 70), (70, 24), (70, 70)), start=1):
        disc = (ys - y) ** 2 + (xs - x) ** 2 < 100
        record = MaskRecord.from_mask(disc, predicted_iou=0.9, object_score=6.0)
        for frame in range(12):
            masks.write(number, frame, record)
        document.prompts.add(MaskPrompt(number, 0, disc))
    for frame in (4, 5, 9):
        masks.write(1, frame, replace(masks.record(1, frame), predicted_iou=0.3))
    widget.controller._movie.adopt(document)
    widget.controller.objects.select(1)
    review, table = widget.controller.review, widget.review_panel.table
    qtbot.waitUntil(lambda: table.rows.rowCount() == len(masks), timeout=10_000)
    qtbot.waitUntil(lambda: review.quality(1).stops == (4, 9), timeout=10_000)
    qtbot.waitUntil(lambda: widget.review_panel.lane_panel.lane is not None, timeout=10_000)
    QApplication.processEvents()
    return viewer, widget


def click_cell(table, object_id: int, column: int = ID, modifier=NO_KEY) -> None:
    index = table.rows.index(table.rows.row_of(object_id), column)
    table.scrollTo(index)
    QTest.mouseClick(table.viewport(), LEFT, modifier, table.visualRect(index).center())


def double_click_cell(table, object_id: int, column: int) -> None:
    click_cell(table, object_id, column)
    index = table.rows.index(table.rows.row_of(object_id), column)
    QTest.mouseDClick(table.viewport(), LEFT, NO_KEY, table.visualRect(index).center())


def press_key(viewer, key, modifier=NO_KEY) -> None:
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, key, modifier)


def texts(table, column: int) -> list[str]:
    rows = range(table.rows.rowCount())
    return [table.rows.data(table.rows.index(row, column)) for row in rows]


def test_a_row_is_the_object_in_work_and_the_other_way_round(dock) -> None:
    _, widget = dock
    table, objects = widget.review_panel.table, widget.controller.objects
    assert table.selected() == (1,)
    click_cell(table, 3)
    assert objects.current == 3
    assert widget.object_panel.name_label.text() == "Object 3"
    objects.select(2)
    assert table.selected() == (2,)
    widget.controller.layers.canvas.layer.selected_label = 4  # picked in the Labels layer
    assert table.selected() == (4,)
    click_cell(table, 2, modifier=CONTROL)
    assert table.selected() == (4, 2)
    assert objects.current == 4


def test_buttons_review_and_edit_the_selected_objects(dock, qtbot) -> None:
    viewer, widget = dock
    panel, controller = widget.review_panel, widget.controller
    table, document = panel.table, controller._movie.document
    assert not panel.buttons["merge"].isEnabled()
    panel.buttons["accept"].click()
    assert document.info(1).state == "accepted"
    qtbot.waitUntil(lambda: table.rows.data(table.rows.index(0, 6)) == "✓", timeout=5_000)
    panel.buttons["accept"].click()
    assert document.info(1).state == "in work"
    click_cell(table, 2, modifier=CONTROL)
    assert panel.buttons["merge"].isEnabled()
    panel.buttons["lock"].click()
    assert document.info(1).is_locked
    assert document.info(2).is_locked
    panel.buttons["lock"].click()
    viewer.dims.set_point(0, 6)
    before = [document.masklets.record(i, 8) for i in (1, 2)]
    panel.buttons["swap"].click()
    assert [document.masklets.record(i, 8) for i in (2, 1)] == before
    assert controller.edits.undo_title == "swap objects 1 and 2 from frame 6 on"
    panel.buttons["merge"].click()
    assert 2 not in document.object_ids
    qtbot.waitUntil(lambda: "2" not in texts(table, ID), timeout=5_000)
    count = table.rows.rowCount()
    panel.buttons["split"].click()
    qtbot.waitUntil(lambda: table.rows.rowCount() == count + 1, timeout=5_000)
    end, before = panel.cut_menu.actions()
    viewer.dims.set_point(0, 4)
    end.trigger()
    assert document.masklets.frames(1) == (0, 1, 2, 3)
    viewer.dims.set_point(0, 2)
    before.trigger()
    assert document.masklets.frames(1) == (2, 3)
    panel.buttons["reject"].click()
    assert document.info(1).state == "rejected"
    panel.buttons["delete"].click()
    assert 1 not in document.object_ids
    assert controller.objects.current != 1
    for _ in range(9):
        controller.undo()
    assert document.masklets.frames(1) == tuple(range(12))
    qtbot.waitUntil(lambda: texts(table, ID)[:2] == ["1", "2"], timeout=5_000)


def test_the_context_menu_offers_what_fits(dock) -> None:
    _, widget = dock
    table = widget.review_panel.table
    offered = {entry.text(): entry for entry in table.menu().actions()}
    assert not offered["Merge"].isEnabled()
    assert offered["Rename"].isEnabled()
    click_cell(table, 3, modifier=CONTROL)
    offered = {entry.text(): entry for entry in table.menu().actions()}
    assert offered["Merge"].isEnabled()
    assert not offered["Split"].isEnabled()
    assert "sam2.edits.merge" in offered["Merge"].toolTip()
    offered["Accept"].trigger()
    states = [widget.controller._movie.document.info(i).state for i in (1, 3)]
    assert states == ["accepted", "accepted"]


def test_a_name_is_typed_and_the_keyboard_goes_back(dock, qtbot) -> None:
    viewer, widget = dock
    table, native = widget.review_panel.table, viewer.window._qt_viewer.canvas.native
    native.setFocus()
    assert not table.hasFocus()
    double_click_cell(table, 3, NAME)
    editor = table.viewport().findChild(QLineEdit)
    QTest.keyClicks(editor, "nucleus")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    info = widget.controller._movie.document.info
    qtbot.waitUntil(lambda: info(3).name == "nucleus", timeout=5_000)
    qtbot.waitUntil(lambda: "nucleus" in texts(table, NAME), timeout=5_000)
    qtbot.waitUntil(lambda: not table.hasFocus(), timeout=5_000)


def test_cells_lock_sort_and_go_to_frames(dock, qtbot) -> None:
    viewer, widget = dock
    table, document = widget.review_panel.table, widget.controller._movie.document
    index = table.rows.index(1, LOCK)
    table.scrollTo(index)
    box = table.visualRect(index)
    for x in range(box.left() + 4, box.right(), 4):  # the box is where the style puts it
        if not document.info(2).is_locked:
            QTest.mouseClick(table.viewport(), LEFT, NO_KEY, QPoint(x, box.center().y()))
    assert document.info(2).is_locked
    double_click_cell(table, 1, TO)
    assert viewer.dims.current_step[0] == 11
    widget.controller.objects.select(3)
    header = table.horizontalHeader()
    table.horizontalScrollBar().setValue(0)
    x = header.sectionViewportPosition(CONFIDENCE) + 10
    QTest.mouseClick(header.viewport(), LEFT, NO_KEY, QPoint(x, header.height() // 2))
    assert texts(table, ID)[0] == "1", "the least certain first"
    assert table.selected() == (3,)


def test_keys_go_to_doubtful_frames_accept_and_lock(dock) -> None:
    viewer, widget = dock
    info = widget.controller._movie.document.info
    assert widget.review_panel.lane_panel.caption_label.text() == "2 doubtful places"
    viewer.dims.set_point(0, 0)
    shown = []
    for _ in range(3):
        press_key(viewer, Qt.Key.Key_J)
        shown.append(viewer.dims.current_step[0])
    assert shown == [4, 9, 4]
    assert widget.status_label.text() == "Object 1, frame 4: expected IoU 0.30 (1 of 2 doubtful)"
    widget.controller.objects.select(3)
    viewer.dims.set_point(0, 8)
    press_key(viewer, Qt.Key.Key_J, SHIFT)
    found = widget.controller.objects.current, viewer.dims.current_step[0]
    assert found[1] >= 8
    assert found[1] in widget.controller.review.quality(found[0]).stops
    widget.controller.objects.select(1)
    press_key(viewer, Qt.Key.Key_K)
    assert info(1).state == "accepted"
    press_key(viewer, Qt.Key.Key_K, SHIFT)
    assert info(1).is_locked
    press_key(viewer, Qt.Key.Key_Z, CONTROL)
    assert not info(1).is_locked


def test_the_lane_follows_the_slider_and_the_slider_the_lane(dock, qtbot, screenshot) -> None:
    viewer, widget = dock
    panel = widget.review_panel.lane_panel
    native = panel.lane.native
    width, height = native.width(), native.height()
    for frame in (9, 2):
        place = QPoint(round((frame + 0.5) * width / 12), height // 2)
        qtbot.wait(20)
        QTest.mouseClick(native, LEFT, NO_KEY, place)
        assert viewer.dims.current_step[0] == frame
    assert "Frame 2" in panel.caption_label.text()
    viewer.dims.set_point(0, 7)
    QApplication.processEvents()
    picture = panel.lane.picture()
    yellow = (picture[..., :2] > 180).all(-1) & (picture[..., 2] < 90)
    at = np.flatnonzero(yellow.mean(axis=0) > 0.5)
    assert at.size
    assert abs(at.mean() / picture.shape[1] * 12 - 7.5) < 0.3
    orange = (picture[..., 0] > 150) & (picture[..., 1] < 110) & (picture[..., 2] < 80)
    share = orange[: picture.shape[0] // 5].mean(axis=0)  # the row of the expected IoU
    frames = np.array([share[int((t + 0.4) * picture.shape[1] / 12)] for t in range(12)])
    assert set(np.flatnonzero(frames > 0.4)) == {4, 5, 9}
    screenshot(viewer, "review-dark")
    viewer.theme = "light"
    qtbot.wait(50)
    light = panel.lane.picture()
    assert np.median(light) > 200 > 100 > np.median(picture)
    screenshot(viewer, "review-light")


def test_an_accepted_object_survives_a_real_run(dock, qtbot) -> None:
    _, widget = dock
    controller, panel = widget.controller, widget.review_panel
    labels = controller.layers.canvas.layer
    before = {i: np.array(labels.data) == i for i in (1, 2)}
    masks = {i: dict(controller._movie.document.masklets._masklets[i].records) for i in (1, 2)}
    panel.buttons["accept"].click()
    click_cell(panel.table, 2)
    panel.buttons["lock"].click()
    widget.run_panel.both_button.click()
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=120_000)
    assert "12 frames" in widget.status_label.text() or "Done" in widget.status_label.text()
    for i in (1, 2):
        assert controller._movie.document.masklets._masklets[i].records == masks[i]
        # Neither do others paint over it.
        assert (np.array(labels.data)[before[i]] == i).all()
    qtbot.waitUntil(lambda: controller.review.refresh() is None, timeout=10_000)
    assert controller.review.row(3).confidence != pytest.approx(0.9, abs=0.001)


def test_before_the_first_click_there_is_nothing_to_review(open_dock, synthetic, qtbot) -> None:
    _, widget = open_dock(synthetic.images)
    panel = widget.review_panel
    # Drawing is ready before it is needed: the first mask does not wait for it.
    qtbot.waitUntil(lambda: panel.lane_panel.lane is not None, timeout=10_000)
    assert panel.lane_panel.caption_label.text() == ""
    assert panel.table.rows.rowCount() == 0
    assert not panel.buttons["accept"].isEnabled()
    assert not panel.lane_panel.next_button.isEnabled()
