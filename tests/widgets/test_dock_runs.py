"""Runs, corrections and divisions in a real viewer, by mouse and keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

FRAMES, SIDE, RADIUS, BIRTH = 16, 96, 9, 8
SHIFT = Qt.KeyboardModifier.ShiftModifier


def middles(frame: int) -> list[tuple[float, float]]:
    """Where the cell, or from `BIRTH` on its daughters, is; and beside it another one."""
    if frame < BIRTH:
        return [(48.0, 30.0), (48.0, 76.0)]
    apart = 12 + frame - BIRTH
    return [(48.0 - apart, 30.0), (48.0, 76.0), (48.0 + apart, 30.0)]


@pytest.fixture(scope="module")
def dividing() -> np.ndarray:
    """Two bright cells, of which the left one divides."""
    rows, columns = np.indices((SIDE, SIDE))
    images = np.random.default_rng(0).normal(200, 12, (FRAMES, SIDE, SIDE))
    for frame in range(FRAMES):
        for y, x in middles(frame):
            images[frame] += 900 * ((rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2)
    return images.astype(np.uint16)


def press(viewer, key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, key, modifier)


def test_pause_scrub_correct_and_divide_by_mouse_and_keys(
    open_dock, dividing, trained_network, click, answer, qtbot, screenshot
):
    viewer, widget = open_dock(dividing, network=trained_network)
    controller, panel = widget.controller, widget.run_panel
    labels = controller.layers.canvas.layer
    for number, place in enumerate(middles(0)):
        if number:
            press(viewer, Qt.Key.Key_N)
        answer(widget, lambda place=place: click(viewer, place))
    viewer.dims.set_point(0, 12)
    press(viewer, Qt.Key.Key_O, SHIFT)
    assert (panel.range_row.start_box.value(), panel.range_row.stop_box.value()) == (0, 12)
    assert tuple(panel.range_row.slider.value()) == (0, 12)
    assert panel.expected_label.text().startswith("24 masks to track: about")
    panel.forward_button.click()
    qtbot.waitUntil(lambda: panel.progress_bar.value() >= 4, timeout=60_000)
    qtbot.waitUntil(lambda: widget.activity.bar is not None, timeout=10_000)
    assert widget.activity.bar.total == 13
    assert "frames/s" in widget.activity.bar.desc
    assert "left" in widget.activity.bar.desc
    screenshot(viewer, "run-progress")
    press(viewer, Qt.Key.Key_P, SHIFT)
    qtbot.waitUntil(lambda: controller.run_state == "paused", timeout=10_000)
    viewer.dims.set_point(0, 1)
    controller.objects.select(1)
    before = np.array(labels.data)
    text = answer(widget, lambda: click(viewer, (48, 34)))
    assert text.startswith("Object 1, frame 1")
    qtbot.waitUntil(lambda: not controller.following.is_active, timeout=60_000)
    np.testing.assert_array_equal(labels.data[:4] == 2, before[:4] == 2)
    press(viewer, Qt.Key.Key_P, SHIFT)
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=60_000)
    qtbot.waitUntil(lambda: widget.activity.bar is None, timeout=10_000)
    assert controller.layers.masklets.frames(2) == tuple(range(13))
    assert controller.pace.is_measured

    viewer.dims.set_point(0, BIRTH)
    tracked = np.array(labels.data)
    press(viewer, Qt.Key.Key_D)
    assert widget.division_panel.divide_button.isChecked()
    assert "click the first daughter" in widget.status_label.text()
    click(viewer, middles(BIRTH)[0])
    click(viewer, middles(BIRTH)[2])
    assert not widget.division_panel.divide_button.isChecked()
    qtbot.waitUntil(lambda: not controller.following.is_active, timeout=60_000)
    for frame in range(BIRTH, 13):
        places = [middles(frame)[0], middles(frame)[2]]
        assert {int(labels.data[frame, int(y), int(x)]) for y, x in places} == {3, 4}
    assert 1 not in labels.data[BIRTH:]
    lines = controller.layers._lines
    qtbot.waitUntil(lambda: set(lines.layer.graph) == {3, 4}, timeout=10_000)
    screenshot(viewer, "divided")
    press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: not lines.layer.graph, timeout=10_000)
    np.testing.assert_array_equal(labels.data, tracked)


def test_a_proposed_division_is_accepted_with_enter(
    open_dock, dividing, trained_network, click, answer, qtbot, screenshot
):
    viewer, widget = open_dock(dividing, network=trained_network)
    controller, panel = widget.controller, widget.division_panel
    assert widget.folds.divisions.caption == "Divisions"
    assert not panel.accept_button.isEnabled()
    answer(widget, lambda: click(viewer, middles(0)[0]))
    press(viewer, Qt.Key.Key_G)
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=60_000)
    qtbot.waitUntil(lambda: panel.list.count() == 1, timeout=10_000)
    press(viewer, Qt.Key.Key_B, SHIFT)
    assert abs(controller.shown_place - BIRTH) <= 1
    screenshot(viewer, "division-proposed")
    QTest.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not controller.following.is_active, timeout=60_000)
    assert widget.folds.divisions.caption == "Divisions"
    assert set(np.unique(controller.layers.canvas.layer.data[-1])) == {0, 2, 3}
    screenshot(viewer, "division-accepted")
    panel.automatic_box.click()
    assert controller.divisions.is_automatic
    controller.divisions.is_automatic = False
    assert not panel.automatic_box.isChecked()
