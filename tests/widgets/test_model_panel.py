"""The model panel, help and themes in a real viewer, with pictures to look at."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_sam2.widgets import dock as dock_module
from napari_sam2.widgets.dock import TrackWidget
from napari_sam2.widgets.fine_tune_dialog import FineTuneDialog
from napari_sam2.widgets.help_page import HelpPage
from napari_sam2.widgets.keys import KEYS
from napari_sam2.widgets.opening import open_dock as open_the_dock
from napari_sam2.widgets.opening import show_keys
from napari_sam2.widgets.preferences import Preferences


def listed(panel) -> list[str]:
    """Return what can be chosen as a network."""
    model = panel.model_box.model()
    items = [model.item(row) for row in range(model.rowCount())]
    return [item.text() for item in items if item.flags() & Qt.ItemFlag.ItemIsEnabled]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_panel_says_what_is_in_use_in_either_theme(
    open_dock, synthetic, qtbot, screenshot, trained_network, theme
):
    viewer, widget = open_dock(synthetic.images, network=trained_network)
    viewer.theme = theme
    panel = widget.model_panel
    assert {"bundled", "sam2.1-large (download 898 MB)", "File…"} <= set(listed(panel))
    assert panel.model_box.currentText() == "bundled"
    panel.test_button.click()
    assert not panel.test_button.isEnabled()
    qtbot.waitUntil(lambda: "frames/s for one object" in panel.line_label.text(), timeout=90_000)
    assert panel.line_label.text().startswith("bundled on CPU, ")
    assert panel.test_button.isEnabled()
    assert not panel.bar.isVisible()
    screenshot(viewer, f"model-panel-{theme}")


def test_choices_are_there_again_in_the_next_dock(
    open_dock, synthetic, qtbot, small_network, tmp_path, monkeypatch
):
    other = tmp_path / "mine.safetensors"
    shutil.copy(small_network, other)
    _, widget = open_dock(synthetic.images)
    panel = widget.model_panel
    monkeypatch.setattr(
        "napari_sam2.widgets.model_panel.QFileDialog.getOpenFileName",
        lambda *_: (str(other), ""),
    )
    panel.model_box.setCurrentIndex(panel.model_box.findText("File…"))
    panel.model_box.activated.emit(panel.model_box.currentIndex())
    qtbot.waitUntil(lambda: widget.controller.models.name == str(other), timeout=60_000)
    assert panel.model_box.currentText() == "mine.safetensors"
    panel.memory_box.setValue(17)
    panel.memory_box.editingFinished.emit()
    widget.run_panel.follow_box.setChecked(False)
    widget.shut_down()
    _, again = open_dock(synthetic.images)
    assert again.controller.models.name == str(other)
    assert again.model_panel.memory_box.value() == 17
    assert again.controller.models.cache_bytes == 17 * 2**20
    assert not again.controller.live.follows
    assert Preferences.load().model == str(other)


def test_a_session_folder_brings_its_dock(
    make_napari_viewer, synthetic, open_dock, qtbot, tmp_path, monkeypatch, small_network
):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.asarray(synthetic.images), metadata={"axes": "TYX"})
    viewer, widget = open_dock()
    viewer.open(str(path))
    qtbot.waitUntil(lambda: widget.controller.layers is not None, timeout=20_000)
    widget.controller.layers.points.add((0, 30, 30))
    labels = widget.controller.layers.canvas.layer
    qtbot.waitUntil(lambda: bool(np.asarray(labels.data).any()), timeout=60_000)
    picture = np.array(labels.data)
    widget.shut_down()
    monkeypatch.setattr(dock_module, "DEFAULT_MODEL", small_network)
    other = make_napari_viewer(show=True)
    other.open(str(tmp_path / "cells.sam2"), plugin=None)  # as by dropping it
    find = lambda: other.window._qt_window.findChildren(TrackWidget)  # noqa: E731
    qtbot.waitUntil(lambda: bool(find()) and find()[0].controller.layers is not None)
    (dock,) = find()
    np.testing.assert_array_equal(dock.controller.layers.canvas.layer.data, picture)
    assert open_the_dock(other) is dock, "it is there already"
    dock.shut_down()
    qtbot.waitUntil(lambda: not dock.controller.worker_is_alive, timeout=30_000)


def test_keys_are_shown_on_a_page_of_their_own(open_dock, synthetic, pytestconfig):
    viewer, widget = open_dock(synthetic.images)
    widget.session_panel.keys_button.click()
    (page,) = widget.session_panel.findChildren(HelpPage)
    shown = page.page.toPlainText()
    assert all(key.text in shown and key.code in shown for key in KEYS.values())
    folder = pytestconfig.rootpath / "out" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    assert page.grab().save(str(folder / "keys.png"))
    page.close()
    show_keys(viewer)
    assert viewer.window._qt_window.findChildren(HelpPage)


def test_the_window_of_fine_tuning_opens_once_and_closes_with_the_dock(
    open_dock, synthetic, pytestconfig
):
    _, widget = open_dock(synthetic.images)
    widget.model_panel.tune_button.click()
    widget.model_panel.tune_button.click()
    (dialog,) = widget.model_panel.findChildren(FineTuneDialog)
    assert dialog.isVisible()
    folder = pytestconfig.rootpath / "out" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    assert dialog.grab().save(str(folder / "fine-tune.png"))
    widget.shut_down()
    assert not dialog.isVisible()
