"""A network learns the movie in work: a real process, real files, and the list of networks."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam2.model import registry
from napari_sam2.model.registry import available_models
from napari_sam2.training.finetune_options import read_config
from napari_sam2.training.readers import read_entry
from napari_sam2.widgets.fine_tune_dialog import FineTuneDialog
from napari_sam2.widgets.fine_tuning import Lesson, frames_to_learn, write_lesson
from napari_sam2.widgets.preferences import Preferences


@pytest.fixture(autouse=True)
def _own_models(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.FOLDER_VARIABLE, str(tmp_path / "models"))


def paint_cells(controller, synthetic, drive, frames: tuple[int, ...]) -> None:
    """Paint true cells on some frames, as a careful user would."""
    layer = controller.layers.canvas.layer
    for frame in frames:
        controller._viewer.dims.set_point(0, frame)
        plane = synthetic.labels[frame]
        places = np.nonzero(plane)
        layer.data_setitem((np.full(len(places[0]), frame), *places), plane[places])
        drive(controller, lambda frame=frame: bool(controller.layers.masklets.labels(frame).any()))


def test_a_lesson_holds_the_images_and_the_masks_of_the_right_frames(
    make_controller, synthetic, drive
):
    _, controller = make_controller(synthetic.images, network=None)
    paint_cells(controller, synthetic, drive, (0, 4))
    document = controller._movie.document
    assert frames_to_learn(document, all_tracked=False) == (0, 4)
    movie = controller.layers.movie
    lesson = Lesson(movie, document.masklets, (0, 4), "cells", "bundled", 0.5)
    found = read_config(write_lesson(lesson))
    assert found.options.name == "cells"
    assert found.options.minutes == 0.5
    (annotated,) = read_entry(found.data[0], found.base)
    np.testing.assert_array_equal(annotated.labels[[0, 4]], synthetic.labels[[0, 4]])
    images = tifffile.imread(lesson.folder / "movie.tif")
    np.testing.assert_array_equal(images, synthetic.images)
    labels = tifffile.imread(lesson.folder / "labels.tif")
    np.testing.assert_array_equal(labels[4], synthetic.labels[4])
    assert not labels[1:4].any()


def test_a_coloured_movie_is_learned_in_colour(make_controller, synthetic, drive):
    grey = (np.asarray(synthetic.images) // 16).astype(np.uint8)
    coloured = np.stack([grey, grey // 2, grey // 4], axis=-1)
    _, controller = make_controller(coloured, network=None)
    assert controller.image.rgb
    paint_cells(controller, synthetic, drive, (3,))
    movie, masks = controller.layers.movie, controller._movie.document.masklets
    found = read_config(write_lesson(Lesson(movie, masks, (3,), "cells", "bundled", 1.0)))
    (annotated,) = read_entry(found.data[0], found.base)
    assert annotated.images.shape[-1] == 3
    np.testing.assert_array_equal(tifffile.imread(found.base / "movie.tif"), coloured)


def test_without_masks_there_is_nothing_to_learn(make_controller, synthetic, qtbot):
    _, controller = make_controller(synthetic.images, network=None)
    dialog = FineTuneDialog(controller, Preferences())
    qtbot.addWidget(dialog)
    dialog.start_button.click()
    qtbot.waitUntil(lambda: "no frame with masks" in dialog.state_label.text(), timeout=20_000)
    assert dialog.start_button.isEnabled()
    assert not dialog.training.is_running


@pytest.mark.slow
def test_a_network_learns_in_the_background_and_is_listed(
    make_controller, synthetic, drive, qtbot, trained_network
):
    _, controller = make_controller(synthetic.images, network=trained_network)
    paint_cells(controller, synthetic, drive, (0, 5, 9))
    dialog = FineTuneDialog(controller, Preferences(minutes=30.0))
    qtbot.addWidget(dialog)
    dialog.show()
    steps = []
    dialog.training.progressed.connect(lambda told: steps.append(told["step"]))
    dialog.start_button.click()
    qtbot.waitUntil(lambda: len(steps) >= 2, timeout=170_000)
    assert dialog.stop_button.isEnabled()
    dialog.training.stop()
    qtbot.waitUntil(lambda: "Stopped and saved" in dialog.state_label.text(), timeout=120_000)
    config = dialog._config
    # Of a run that was stopped, more or fewer minutes may be left.
    config.write_text(config.read_text().replace("minutes = 30.0", "minutes = 0.01"))
    dialog.go_on_button.click()
    qtbot.waitUntil(lambda: not dialog.training.is_running, timeout=170_000)
    assert dialog.state_label.text() == "my-cells is ready: choose it under Network"
    assert available_models()["my-cells"].path().is_file()
    assert Preferences.load().minutes == 30.0
    controller.load_model("my-cells")
    drive(controller, lambda: controller.models.name == "my-cells")


def test_what_goes_wrong_is_said(make_controller, synthetic, drive, qtbot):
    _, controller = make_controller(synthetic.images, network=None)
    paint_cells(controller, synthetic, drive, (0,))
    controller.models.name = "nowhere"
    dialog = FineTuneDialog(controller, Preferences())
    qtbot.addWidget(dialog)
    dialog.start_button.click()
    qtbot.waitUntil(lambda: dialog.state_label.text().startswith("It failed"), timeout=120_000)
    assert "there is no network 'nowhere'" in dialog.state_label.text()
    dialog.name_edit.setText("two words")
    dialog.start_button.click()
    qtbot.waitUntil(lambda: "is no name for a network" in dialog.state_label.text(), timeout=20_000)
