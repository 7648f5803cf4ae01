"""The dock in a real viewer: mouse, keys, buttons, and a window that is never held up."""

from __future__ import annotations

import numpy as np
import tifffile
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

LONGEST_GAP = 0.5
"""Seconds; drawing without a graphics card takes most of it."""


def press_key(viewer, key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, key, modifier)


def disc(controller, frame: int, y: int, x: int, radius: int) -> None:
    """Paint with the brush of the Labels layer."""
    layer = controller.layers.canvas.layer
    layer.brush_size = 2 * radius
    layer.paint((frame, y, x), layer.selected_label)


def test_a_click_on_the_canvas_shows_a_mask(
    open_dock, synthetic, middle_of, click, answer, trained_network
):
    viewer, widget = open_dock(synthetic.images, network=trained_network)
    y, x = middle_of()
    text = answer(widget, lambda: click(viewer, (y, x)))
    assert text.startswith("Object 1, frame 0: ")
    (point,) = widget.controller.layers.points.data
    np.testing.assert_allclose(point, (0, y, x), atol=0.6)
    mask = widget.controller.layers.canvas.layer.data[0] == 1
    truth = synthetic.labels[0] == synthetic.labels[0, int(y), int(x)]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.5


def test_right_click_and_alt_click_are_negative(open_dock, synthetic, click, answer):
    viewer, widget = open_dock(synthetic.images)
    features = widget.controller.layers.points.features
    answer(widget, lambda: click(viewer, (30, 30)))
    answer(widget, lambda: click(viewer, (60, 30), Qt.MouseButton.RightButton))
    answer(widget, lambda: click(viewer, (60, 60), modifier=Qt.KeyboardModifier.AltModifier))
    press_key(viewer, Qt.Key.Key_T)
    assert "outside" in widget.object_panel.sign_button.text()
    answer(widget, lambda: click(viewer, (30, 60)))
    features = widget.controller.layers.points.features
    assert list(features["positive"]) == [True, False, False, False]
    assert set(features["object_id"]) == {1}


def test_a_box_is_dragged(open_dock, synthetic, canvas_point, answer, qtbot):
    viewer, widget = open_dock(synthetic.images)
    widget.object_panel.tool_buttons["boxes"].click()
    assert widget.object_panel.tool_buttons["boxes"].isChecked()
    native = viewer.window._qt_viewer.canvas.native

    def drag() -> None:
        corners = [canvas_point(viewer, yx) for yx in ((20, 20), (40, 45), (60, 70))]
        QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=corners[0])
        for corner in corners[1:]:
            qtbot.wait(20)
            place = QPointF(corner)
            move = QMouseEvent(
                QEvent.Type.MouseMove,
                place,
                QPointF(native.mapToGlobal(corner)),
                Qt.MouseButton.NoButton,
                Qt.MouseButton.LeftButton,
                Qt.KeyboardModifier.NoModifier,
            )
            QApplication.sendEvent(native, move)
        qtbot.wait(20)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=corners[-1])

    answer(widget, drag)
    (prompt,) = widget.controller.layers.prompts
    np.testing.assert_allclose(prompt.yxyx, (20, 20, 60, 70), atol=1)


def test_keys_do_what_the_buttons_say(open_dock, synthetic, click, answer):
    viewer, widget = open_dock(synthetic.images)
    answer(widget, lambda: click(viewer, (30, 30)))
    press_key(viewer, Qt.Key.Key_N)
    assert widget.object_panel.name_label.text() == "Object 2"
    answer(widget, lambda: click(viewer, (60, 60)))
    assert list(widget.controller.layers.points.features["object_id"]) == [1, 2]
    press_key(viewer, Qt.Key.Key_Comma)
    assert widget.controller.objects.current == 1
    press_key(viewer, Qt.Key.Key_Period)
    assert widget.controller.objects.current == 2
    shift = Qt.KeyboardModifier.ShiftModifier
    press_key(viewer, Qt.Key.Key_X, shift)
    assert widget.status_label.text() == "Clear object 2, frame 0: done"
    assert widget.controller.objects.ids() == (1, 2)
    press_key(viewer, Qt.Key.Key_D, shift)
    assert widget.controller.objects.ids() == (1,)


def test_control_z_takes_back_and_control_shift_z_does_again(
    open_dock, synthetic, click, answer, screenshot
):
    viewer, widget = open_dock(synthetic.images)
    panel, labels = widget.object_panel, widget.controller.layers.canvas.layer
    assert not panel.undo_button.isEnabled()
    answer(widget, lambda: click(viewer, (30, 30)))
    assert "click on object 1, frame 0" in panel.undo_button.toolTip()
    picture = np.array(labels.data)
    control = Qt.KeyboardModifier.ControlModifier
    press_key(viewer, Qt.Key.Key_Z, control)
    assert not np.any(labels.data)
    assert len(widget.controller.layers.points.data) == 0
    assert not panel.undo_button.isEnabled()
    widget.controller.use("paint")  # the Labels layer has keys of its own
    press_key(viewer, Qt.Key.Key_Z, control | Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_array_equal(labels.data, picture)
    press_key(viewer, Qt.Key.Key_Z, control)
    assert not np.any(labels.data)
    screenshot(viewer, "undone")


def test_a_session_is_reopened_by_opening_its_folder(
    open_dock, synthetic, click, answer, screenshot, tmp_path, qtbot
):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.asarray(synthetic.images), metadata={"axes": "TYX"})
    viewer, widget = open_dock()
    assert widget.session_panel.place_label.text() == "Not saved: no file"
    viewer.open(str(path))
    viewer.dims.set_point(0, 0)
    label = widget.session_panel.place_label
    qtbot.waitUntil(lambda: label.text() == "cells.sam2", timeout=10_000)
    answer(widget, lambda: click(viewer, (30, 30)))
    picture = np.array(widget.controller.layers.canvas.layer.data)
    widget.shut_down()
    viewer.layers.clear()
    other, again = open_dock()
    other.open(str(tmp_path / "cells.sam2"), plugin="napari-sam2")
    qtbot.waitUntil(lambda: again.controller.layers is not None, timeout=10_000)
    np.testing.assert_array_equal(again.controller.layers.canvas.layer.data, picture)
    assert len(again.controller.layers.points.data) == 1
    assert again.session_panel.place_label.text() == "cells.sam2"
    assert picture.any()
    screenshot(other, "reopened")


def test_the_window_stays_alive_during_a_run(open_dock, synthetic, qtbot, heart):
    viewer, widget = open_dock(np.tile(synthetic.images, (5, 1, 1)))
    controller = widget.controller
    disc(controller, 0, 50, 50, 8)
    steps = []
    controller.events.progressed.connect(lambda progress: steps.append(progress.done))
    qtbot.waitUntil(lambda: controller.objects.is_known, timeout=10_000)
    beats = heart()
    widget.run_panel.both_button.click()
    assert controller.run_state == "running"
    assert not widget.run_panel.both_button.isEnabled()
    qtbot.waitUntil(lambda: len(steps) >= 5, timeout=60_000)
    viewer.dims.set_point(0, 40)  # the slider is the user's, also now
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=120_000)
    beats.stop()
    assert viewer.dims.current_step[0] == 40
    assert beats.longest < LONGEST_GAP
    assert steps == list(range(1, 61))
    assert widget.run_panel.progress_bar.value() == 60
    assert controller.layers.masklets.frames(1) == tuple(range(60))
    assert widget.status_label.text().startswith("Done: 60 frames")


def test_loading_a_network_does_not_hold_the_window_up(open_dock, synthetic, qtbot, heart):
    _, widget = open_dock(synthetic.images, ready=False)
    beats = heart()
    qtbot.waitUntil(lambda: "is ready" in widget.status_label.text(), timeout=60_000)
    beats.stop()
    assert beats.longest < LONGEST_GAP
    assert "float32" in widget.model_panel.line_label.text()


def test_the_cancel_button_keeps_what_is_done(open_dock, synthetic, qtbot):
    _, widget = open_dock(np.tile(synthetic.images, (20, 1, 1)))
    controller, panel = widget.controller, widget.run_panel
    disc(controller, 0, 50, 50, 8)
    qtbot.waitUntil(lambda: controller.objects.is_known, timeout=10_000)
    panel.forward_button.click()
    qtbot.waitUntil(lambda: panel.progress_bar.value() >= 3, timeout=60_000)
    panel.cancel_button.click()
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=60_000)
    assert panel.both_button.isEnabled()
    assert 3 <= len(controller.layers.masklets.frames(1)) < 240
    assert widget.status_label.text().startswith("Cancelled")


def test_the_settings_of_a_run_are_obeyed(open_dock, synthetic, qtbot):
    _, widget = open_dock(synthetic.images)
    controller, panel = widget.controller, widget.run_panel
    disc(controller, 0, 50, 50, 8)
    qtbot.waitUntil(lambda: controller.objects.is_known, timeout=10_000)
    assert tuple(panel.range_row.slider.value()) == (0, 11)
    panel.range_row.slider.setValue((0, 3))
    panel.follow_box.setChecked(False)
    panel.both_button.click()
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=60_000)
    assert controller.layers.masklets.frames(1) == (0, 1, 2, 3)


def test_an_error_is_shown(open_dock, synthetic, click, qtbot):
    viewer, widget = open_dock(synthetic.images)
    click(viewer, (50, 105))
    assert "outside the image" in widget.status_label.text()
    assert "color" in widget.status_label.styleSheet()
    qtbot.waitUntil(lambda: len(widget.controller.layers.points.data) == 0, timeout=10_000)


def test_the_dock_waits_for_an_image(open_dock, synthetic, qtbot):
    viewer, widget = open_dock()
    assert not widget.object_panel.isEnabled()
    assert widget.source_panel.image_box.count() == 0
    image = viewer.add_image(synthetic.images, name="cells")
    qtbot.waitUntil(lambda: widget.controller.image is image, timeout=10_000)
    assert viewer.layers.selection.active is widget.controller.layers.points
    assert widget.object_panel.isEnabled()
    viewer.add_image(synthetic.images, name="more")
    assert widget.controller.image is image  # the choice is the user's
    image.name = "nuclei"
    box = widget.source_panel.image_box
    assert {box.itemText(i) for i in range(box.count())} == {"nuclei", "more"}
    assert box.currentText() == "nuclei"
    viewer.layers.remove(image)
    assert widget.controller.image is None
    assert box.currentIndex() == -1
    box.setCurrentIndex(0)
    box.activated.emit(0)
    assert widget.controller.image is viewer.layers["more"]


def test_a_prompt_layer_that_was_removed_comes_back_with_its_button(open_dock, synthetic, qtbot):
    viewer, widget = open_dock(synthetic.images)
    controller = widget.controller
    viewer.layers.remove(controller.layers.points)
    assert controller.layers.points is None
    widget.object_panel.tool_buttons["points"].click()
    assert viewer.layers.selection.active is controller.layers.points
    assert widget.object_panel.tool_buttons["points"].isChecked()


def test_closing_the_dock_ends_the_worker(open_dock, synthetic, qtbot):
    viewer, widget = open_dock(synthetic.images)
    assert widget.controller.worker_is_alive
    viewer.window.remove_dock_widget(widget)  # what the x of the dock does
    qtbot.waitUntil(lambda: not widget.controller.worker_is_alive, timeout=30_000)
    assert len(viewer.layers) == 4  # results stay
    viewer.layers.remove(viewer.layers[0])
    press_key(viewer, Qt.Key.Key_N)
    widget.deleteLater()


def test_a_floating_dock_goes_on(open_dock, synthetic, qtbot):
    viewer, widget = open_dock(synthetic.images)
    frame = next(iter(viewer.window.dock_widgets.values()), None)
    assert frame is not None
    dock = widget.parent()
    dock.setFloating(True)
    dock.setVisible(False)
    dock.setVisible(True)
    dock.setFloating(False)
    qtbot.wait(20)
    assert widget.controller.worker_is_alive


def test_closing_the_viewer_in_mid_run_ends_the_worker(open_dock, synthetic, qtbot):
    viewer, widget = open_dock(np.tile(synthetic.images, (20, 1, 1)))
    controller = widget.controller
    disc(controller, 0, 50, 50, 8)
    qtbot.waitUntil(lambda: controller.objects.is_known, timeout=10_000)
    controller.propagate()
    qtbot.waitUntil(lambda: widget.run_panel.progress_bar.value() >= 2, timeout=60_000)
    viewer.close()
    qtbot.waitUntil(lambda: not controller.worker_is_alive, timeout=30_000)


def test_two_viewers_work_side_by_side(open_dock, synthetic, click, answer):
    first, first_dock = open_dock(synthetic.images)
    second, second_dock = open_dock(synthetic.images)
    answer(first_dock, lambda: click(first, (30, 30)))
    answer(second_dock, lambda: click(second, (60, 60)))
    for widget, yx in ((first_dock, (30, 30)), (second_dock, (60, 60))):
        (point,) = widget.controller.layers.points.data
        np.testing.assert_allclose(point[1:], yx, atol=0.6)
