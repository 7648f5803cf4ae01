"""The dock at the size of a usual screen: all of the main job is seen, the rest opens and shuts."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QScrollArea

from napari_sam2.widgets.preferences import Preferences


def test_nothing_scrolls_at_1080_lines(open_dock, synthetic, screenshot, qtbot):
    viewer, widget = open_dock(synthetic.images)
    viewer.window._qt_window.resize(1920, 1080)
    qtbot.wait(200)
    area = widget.findChild(QScrollArea)
    assert area.verticalScrollBar().maximum() == 0
    for panel in (widget.object_panel, widget.run_panel, widget.review_panel, widget.session_panel):
        low = panel.mapTo(widget, QPoint(0, panel.height())).y()
        assert 0 < low <= widget.height()
    assert widget.review_panel.table.height() >= 96
    screenshot(viewer, "dock-1080")


def test_folds_say_what_is_in_them_and_are_remembered(open_dock, synthetic, qtbot):
    _, widget = open_dock(synthetic.images)
    folds = widget.folds
    assert folds.data.caption == "Axes and channels  ·  12 times"
    assert folds.model.caption.startswith("Network  ·  small")
    assert not folds.model.isExpanded()
    folds.model.toggleButton().click()
    folds.divisions.toggleButton().click()
    assert folds.model.isExpanded()
    kept = Preferences.load()
    assert (kept.is_open("network"), kept.is_open("divisions")) == (True, False)
    _, another = open_dock(synthetic.images)
    assert another.folds.model.isExpanded()
    assert not another.folds.divisions.isExpanded()
    qtbot.waitUntil(lambda: another.model_panel.height() > 80)


def test_what_needs_to_be_seen_opens_by_itself_for_this_time(open_dock):
    _, widget = open_dock(np.zeros((8, 9, 5, 16, 16), np.uint8), ready=False)
    assert widget.controller.image is None
    assert widget.folds.data.isExpanded(), "its axes have to be set"
    assert not Preferences.load().is_open("data")
