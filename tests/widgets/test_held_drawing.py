"""A click and its mask are drawn in one go, and a click without an answer is drawn soon."""

from __future__ import annotations

import time

import pytest
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam2.widgets.held_drawing import HOLD_MS, HeldDrawing


class Counted(QWidget):
    """Counts how often it is drawn."""

    drawn = 0

    def paintEvent(self, _event) -> None:  # noqa: N802
        self.drawn += 1


@pytest.fixture
def shown(qtbot):
    window = Counted()
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.drawn > 0)
    qtbot.wait(20)
    return window


def test_what_changes_before_the_answer_is_drawn_with_it(shown):
    held, before = HeldDrawing(shown), shown.drawn
    held.hold()
    for _ in range(3):
        shown.update()
        QApplication.processEvents()
    assert shown.drawn == before
    held.release()
    QApplication.processEvents()
    assert shown.drawn == before + 1


def test_without_an_answer_the_wait_is_short_however_many_clicks_come(shown, qtbot):
    held, before = HeldDrawing(shown), shown.drawn
    started = time.monotonic()
    while shown.drawn == before:
        held.hold()
        qtbot.wait(5)
        assert time.monotonic() < started + 20 * HOLD_MS / 1000
    assert time.monotonic() >= started + 0.9 * HOLD_MS / 1000


def test_the_dock_waits_from_a_click_to_its_mask(open_dock, synthetic, click, answer):
    viewer, widget = open_dock(synthetic.images)
    seen = []
    for moment in (widget.controller.prompting.sent, widget.controller.live.drawn):
        moment.connect(lambda: seen.append(widget.window().updatesEnabled()))
    answer(widget, lambda: click(viewer, (30, 30)))
    assert seen[0] is False
    assert seen[-1] is True
    widget.controller.prompting.sent.disconnect()
    widget.controller.live.drawn.disconnect()
