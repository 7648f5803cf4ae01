"""Exports from the dock: from the window's document, off the window's thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

from napari_sam2.io import write_tables
from napari_sam2.masklets import MaskRecord
from napari_sam2.widgets.exports import complete, save_filters


def painted(controller, object_id: int = 1, frame: int = 0) -> None:
    """Give an object a mask as an edit does."""
    square = MaskRecord.from_mask(np.ones((8, 9), bool), origin=(4, 5))
    controller._movie.document.masklets.write(object_id, frame, square)


def finish(controller, drive) -> str:
    controller.sessions.exports.wait(60)
    drive(controller, lambda: True)
    return controller.told[-1].text


def test_objects_leave_with_the_scale_of_the_layer(make_controller, synthetic, drive, tmp_path):
    _, controller = make_controller(
        synthetic.images, scale=(2.0, 0.5, 0.5), units=("minute", "micrometer", "micrometer")
    )
    painted(controller)
    assert controller.sessions.exports.begin(tmp_path / "cells.csv")
    assert finish(controller, drive) == f"Exported {tmp_path / 'cells.csv'}"
    (row,) = pd.read_csv(tmp_path / "cells.csv").itertuples()
    assert (row.area, row.y, row.x, row.y_um) == (72, 7.5, 9.0, 3.75)
    frame = np.asarray(synthetic.images[0])
    assert row.intensity_mean_0 == pytest.approx(frame[4:12, 5:14].mean())
    assert pd.read_csv(tmp_path / "cells_tracks.csv").life_span_min.tolist() == [2.0]


def test_what_is_written_is_what_was_there_when_it_was_asked_for(
    make_controller, synthetic, drive, tmp_path
):
    _, controller = make_controller(synthetic.images)
    painted(controller)
    controller.sessions.exports.begin(tmp_path / "labels.tif")
    painted(controller, 2, 1)
    controller._movie.document.masklets.remove(1)
    finish(controller, drive)
    labels = tifffile.imread(tmp_path / "labels.tif")
    assert np.unique(labels).tolist() == [0, 1]
    assert labels.shape == synthetic.images.shape


def test_what_cannot_be_exported_is_told(make_controller, synthetic, drive, tmp_path, monkeypatch):
    _, controller = make_controller(synthetic.images)
    exports = controller.sessions.exports
    assert not exports.begin(tmp_path / "cells.doc")
    assert "does not say which format" in controller.told[-1].text
    exports.begin(tmp_path / "cells.csv")
    assert "no object has a mask" in finish(controller, drive)
    painted(controller)
    (tmp_path / "cells.csv").write_text("mine")
    exports.begin(tmp_path / "cells.csv")
    assert "exists" in finish(controller, drive)
    assert controller.told[-1].level == "error"
    assert (tmp_path / "cells.csv").read_text() == "mine"

    def broken(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_tables, "place_of", broken)
    exports.begin(tmp_path / "more.csv")
    assert "no space to write" in finish(controller, drive)
    assert {path.name for path in tmp_path.glob("*csv*")} == {"cells.csv"}


def test_progress_is_told(make_controller, synthetic, drive, tmp_path):
    _, controller = make_controller(synthetic.images)
    painted(controller)
    told = []
    exports = controller.sessions.exports
    exports.told.connect(lambda status: told.append(status.text))
    exports._wake = exports.watch  # as if the window were quick
    exports.begin(tmp_path / "cells.json")
    exports.wait(60)
    assert told[0] == "Exporting to cells.json…"
    assert "Exporting to cells.json… 100 %" in told
    assert told[-1].startswith("Exported")


def test_endings_are_added_where_they_are_missing():
    assert complete("/a/cells", "geff") == (Path("/a/cells.geff"), "geff")
    assert complete("/a/cells.xml", "csv") == (Path("/a/cells.xml"), "trackmate")
    assert complete("/a/cells.csv", "csv") == (Path("/a/cells.csv"), "csv")
    assert len(save_filters()) == 9


def test_the_button_asks_where_and_writes(open_dock, synthetic, qtbot, tmp_path, monkeypatch):
    _, widget = open_dock(synthetic.images)
    painted(widget.controller)
    asked = []

    def choose(_parent, _title, _place, filters, chosen):
        asked.append(filters)
        return str(tmp_path / "cells"), next(f for f in save_filters() if "COCO" in f)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(choose))
    widget.session_panel.export_button.click()
    qtbot.waitUntil(lambda: "Exported" in widget.status_label.text(), timeout=60_000)
    assert (tmp_path / "cells.json").is_file()
    assert "Measurements as CSV (*.csv)" in asked[0]
    tip = widget.session_panel.export_button.toolTip()
    assert 'sam2.sessions.exports.begin("cells.csv")' in tip


def test_stacks_leave_as_volumes(make_controller, drive, tmp_path):
    stack = np.random.default_rng(0).integers(0, 200, (2, 3, 40, 50)).astype(np.uint8)
    _, controller = make_controller(
        stack, axis_labels=("t", "z", "y", "x"), scale=(1, 2.0, 0.5, 0.5),
        units=("pixel", "micrometer", "micrometer", "micrometer"),
    )  # fmt: skip
    for plane in (3, 4):
        painted(controller, 1, plane)
    controller.sessions.exports.begin(tmp_path / "01_RES")
    finish(controller, drive)
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == "1 1 1 0\n"
    assert tifffile.imread(tmp_path / "01_RES" / "mask001.tif").shape == (3, 40, 50)
    controller.sessions.exports.begin(tmp_path / "cells.csv")
    finish(controller, drive)
    (row,) = pd.read_csv(tmp_path / "cells.csv").itertuples()
    assert (row.t, row.z, row.area, row.volume_um3) == (1, 0.5, 144, 72)
    assert row.intensity_mean_0 == pytest.approx(stack[1, :2, 4:12, 5:14].mean())
    assert row.intensity_sum_0 == stack[1, :2, 4:12, 5:14].sum()


def test_every_channel_of_a_layer_is_measured(make_controller, drive, tmp_path):
    pixels = np.zeros((3, 2, 40, 50), np.uint8)
    pixels[:, 1] = 9
    _, controller = make_controller(pixels, axis_labels=("t", "c", "y", "x"))
    painted(controller)
    controller.sessions.exports.begin(tmp_path / "cells.csv")
    finish(controller, drive)
    (row,) = pd.read_csv(tmp_path / "cells.csv").itertuples()
    assert (row.intensity_mean_0, row.intensity_mean_1) == (0, 9)
