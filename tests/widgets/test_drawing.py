"""Outlines, candidates, seeds and picking with a real mouse in a real viewer."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def drag(qtbot, canvas_point):
    """Return a function that moves the mouse over pixels of the image with its button held."""

    def move(native, corner, button) -> None:
        qtbot.wait(20)  # vispy drops moves that come too fast
        place = QPointF(corner)
        QApplication.sendEvent(
            native,
            QMouseEvent(
                QEvent.Type.MouseMove,
                place,
                QPointF(native.mapToGlobal(corner)),
                Qt.MouseButton.NoButton,
                button,
                Qt.KeyboardModifier.NoModifier,
            ),
        )

    def along(viewer, path) -> None:
        native = viewer.window._qt_viewer.canvas.native
        corners = [canvas_point(viewer, yx) for yx in path]
        QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=corners[0])
        for corner in corners[1:]:
            move(native, corner, Qt.MouseButton.LeftButton)
        qtbot.wait(20)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=corners[-1])

    along.move = move
    return along


def circle(yx, radius: float) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    return [(yx[0] + radius * np.sin(a), yx[1] + radius * np.cos(a)) for a in angles]


def mask(widget, frame: int = 0, object_id: int = 1) -> np.ndarray:
    return np.array(widget.controller.layers.canvas.layer.data[frame]) == object_id


def agreement(first, second) -> float:
    return (first & second).sum() / (first | second).sum()


def inside_of(path, size: int = 96) -> np.ndarray:
    from skimage.draw import polygon2mask

    return polygon2mask((size, size), np.array(path))


def test_a_lasso_is_drawn_around_an_object(open_dock, synthetic, drag, answer, screenshot):
    viewer, widget = open_dock(synthetic.images)
    widget.object_panel.tool_buttons["lasso"].click()
    assert widget.object_panel.tool_buttons["lasso"].isChecked()
    assert not widget.object_panel.tool_buttons["boxes"].isChecked()
    path = circle((50, 40), 20)
    answer(widget, lambda: drag(viewer, path))
    assert agreement(mask(widget), inside_of(path)) > 0.9
    assert len(widget.controller.layers.boxes.data) == 0
    screenshot(viewer, "lasso")
    # While a click means outside, an outline cuts.
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, CONTROL)
    assert not mask(widget).any()


def test_a_polygon_is_drawn_corner_by_corner_and_another_cuts(
    open_dock, synthetic, drag, click, answer, canvas_point, qtbot
):
    viewer, widget = open_dock(synthetic.images)
    widget.object_panel.tool_buttons["polygon"].click()
    native = viewer.window._qt_viewer.canvas.native

    def draw(corners) -> None:
        for corner in corners:
            drag.move(native, canvas_point(viewer, corner), Qt.MouseButton.NoButton)
            click(viewer, corner)
        QTest.mouseDClick(native, Qt.MouseButton.LeftButton, pos=canvas_point(viewer, corners[-1]))

    corners = [(20, 20), (20, 60), (60, 60), (60, 20)]
    answer(widget, lambda: draw(corners))
    assert agreement(mask(widget), inside_of(corners)) > 0.95
    widget.object_panel.sign_button.click()
    other = [(10, 40), (10, 80), (80, 80), (80, 40)]
    answer(widget, lambda: draw(other))
    assert agreement(mask(widget), inside_of(corners) & ~inside_of(other)) > 0.9
    assert len(widget.controller.layers.boxes.data) == 0


def test_the_masks_of_a_click_are_seen_under_the_mouse_and_taken(
    open_dock, synthetic, middle_of, click, answer, screenshot, trained_network, qtbot
):
    viewer, widget = open_dock(synthetic.images, network=trained_network)
    panel = widget.candidate_panel
    assert not panel.buttons[0].isEnabled()
    answer(widget, lambda: click(viewer, middle_of()))
    offer = widget.controller.candidates.offer
    areas = [offer.records[i].area for i in offer.by_size]
    assert [b.isChecked() for b in panel.buttons] == [i == offer.chosen for i in offer.by_size]
    other = next(p for p, i in enumerate(offer.by_size) if i != offer.chosen)
    button = panel.buttons[other]
    QApplication.sendEvent(button, QEvent(QEvent.Type.Enter))
    assert mask(widget).sum() == areas[other]
    screenshot(viewer, "candidates")
    QApplication.sendEvent(button, QEvent(QEvent.Type.Leave))
    assert mask(widget).sum() == offer.records[offer.chosen].area
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert mask(widget).sum() == areas[other]
    assert button.isChecked()
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_C)
    assert mask(widget).sum() == areas[(other + 1) % 3]
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, CONTROL)
    assert mask(widget).sum() == areas[other]
    qtbot.wait(200)  # the engine's own answer is the same
    assert mask(widget).sum() == areas[other]


def test_control_and_a_click_pick_the_object_and_bring_its_prompts_back(
    open_dock, synthetic, middle_of, click, answer, screenshot, trained_network
):
    viewer, widget = open_dock(synthetic.images, network=trained_network)
    controller = widget.controller
    places = [middle_of(rank) for rank in range(2)]
    for place in places:
        answer(widget, lambda place=place: click(viewer, place))
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_N)
    assert controller.objects.current == 3
    points = controller.layers.points
    assert not (points.face_color[:, 3] == 1).any()
    click(viewer, places[0], modifier=CONTROL)
    assert controller.objects.current == 1
    assert len(points.data) == 2
    assert points.mode == "add"
    assert list(points.face_color[:, 3] == 1) == [True, False]
    assert widget.status_label.text() == "Picked object 1: prompts on frame 0"
    assert controller.candidates.offer is not None
    screenshot(viewer, "picked")
    click(viewer, (2, 2), modifier=CONTROL)
    assert (controller.objects.current, len(points.data)) == (1, 2)
    assert widget.status_label.text() == "There is no object here"
    answer(widget, lambda: click(viewer, (places[0][0] + 2, places[0][1])))
    assert list(points.features["object_id"]) == [1, 2, 1]
    click(viewer, places[1], modifier=CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert controller.divisions.is_asking
    assert points.mode == "add"
    assert "Division of object 2" in widget.status_label.text()


def test_the_picker_of_the_labels_layer_picks_too(
    open_dock, synthetic, middle_of, click, answer, trained_network
):
    viewer, widget = open_dock(synthetic.images, network=trained_network)
    answer(widget, lambda: click(viewer, middle_of()))
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_N)
    widget.object_panel.tool_buttons["paint"].click()
    widget.controller.layers.canvas.layer.mode = "pick"
    assert widget.controller.objects.current == 2
    click(viewer, middle_of())
    assert widget.controller.objects.current == 1
    assert widget.object_panel.name_label.text() == "Object 1"


def test_labels_of_another_layer_are_taken_with_the_form(open_dock, synthetic, screenshot, qtbot):
    viewer, widget = open_dock(synthetic.images)
    panel, told = widget.seed_panel, widget.status_label
    widget.folds.seeds.expand(animate=False)
    panel.take_button.click()
    assert told.text() == "There is no other Labels layer: open one first"
    found = viewer.add_labels(np.array(synthetic.labels), name="found")
    assert [panel.layer_box.itemText(i) for i in range(panel.layer_box.count())] == ["found"]
    found.name = "by hand"
    assert panel.layer_box.currentText() == "by hand"
    panel.frames_box.setCurrentIndex(2)
    panel.frames_edit.setText("0, 3-x")
    panel.take_button.click()
    assert "is no frame and no range" in told.text()
    panel.frames_edit.setText("0, 3")
    panel.take_button.click()
    qtbot.waitUntil(lambda: told.text().startswith("Seeds on 2 frames"), timeout=20_000)
    found.visible = False
    for frame in (0, 3):
        labels = widget.controller.layers.canvas.layer.data[frame]
        np.testing.assert_array_equal(labels, synthetic.labels[frame])
    assert not widget.controller.layers.canvas.layer.data[1].any()
    assert widget.object_panel.undo_button.isEnabled()
    screenshot(viewer, "seeds")


def test_a_brush_on_a_tracked_mask_with_the_mouse(open_dock, synthetic, drag, qtbot, screenshot):
    viewer, widget = open_dock(synthetic.images)
    controller = widget.controller
    layer = controller.layers.canvas.layer
    layer.brush_size = 10
    controller.use("paint")
    drag(viewer, [(40, 40), (42, 44), (44, 48)])
    qtbot.waitUntil(lambda: controller.objects.is_known, timeout=10_000)
    controller.propagate("forward")
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=60_000)
    viewer.dims.set_point(0, 4)
    before = mask(widget, 4)
    drag(viewer, [(80, 20), (80, 24), (80, 28)])
    qtbot.waitUntil(lambda: controller.edits.undo_title == "paint on frame 4", timeout=10_000)
    assert mask(widget, 4)[80, 24]
    assert controller.layers.masklets.record(1, 4).prompted
    screenshot(viewer, "brush")
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, CONTROL)
    # Taken back once what follows from the stroke on other frames has been halted.
    qtbot.waitUntil(lambda: np.array_equal(mask(widget, 4), before), timeout=20_000)
