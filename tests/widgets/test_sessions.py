"""Saving and reopening, on a real viewer model with the real engine and real files."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.layers._source import layer_source

from napari_sam2.io.calibration import Calibration
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.session_file import read_session
from napari_sam2.widgets.sessions import default_place


@pytest.fixture
def movie_file(tmp_path: Path, synthetic) -> Path:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.asarray(synthetic.images), metadata={"axes": "TYX"})
    return path


def open_file(make_controller, path: Path):
    """Open a file as napari does, with a source that is known."""
    viewer, controller = make_controller()
    with layer_source(path=str(path)):  # as a reader does
        image = viewer.add_image(tifffile.imread(path), name=path.stem)
    controller.set_image(image)
    return viewer, controller


def saver_of(controller):
    return controller.sessions._savers[controller._movie]


def wait_saved(controller, timeout: float = 30.0) -> None:
    end = time.monotonic() + timeout
    while not saver_of(controller).is_saved:
        assert time.monotonic() < end, saver_of(controller).error
        time.sleep(0.01)


def shown(controller) -> np.ndarray:
    return np.array(controller.layers.canvas.layer.data)


def work(controller, answered, drive) -> None:
    """Click, paint, track, edit."""
    answered(controller, lambda: controller.layers.points.add((1, 30, 30)))
    controller.objects.select(2)
    controller._viewer.dims.set_point(0, 0)
    layer = controller.layers.canvas.layer
    layer.brush_size = 12
    layer.paint((0, 60, 60), 2)
    controller.poll()
    controller.propagate("forward", stop=6)
    drive(controller, lambda: controller.run_state == "idle")
    assert controller.edits.rename(2, "the painted one"), controller.told
    assert controller.edits.review(2, "accepted")
    assert controller.edits.split(1, 4), controller.told


def test_work_is_saved_and_reopened(make_controller, movie_file, answered, drive) -> None:
    _, controller = open_file(make_controller, movie_file)
    place = movie_file.with_suffix(".sam2")
    assert controller.sessions.path == place
    assert not place.exists(), "nothing was done yet"
    work(controller, answered, drive)
    wait_saved(controller)
    before = shown(controller)
    controller.close()
    _, again = open_file(make_controller, movie_file)
    assert "Session cells.sam2 is open: 3 objects" in [status.text for status in again.told]
    np.testing.assert_array_equal(shown(again), before)
    assert [tuple(row) for row in again.layers.points.data] == [(1, 30, 30)]
    document = again._movie.document
    assert document.info(2).name == "the painted one"
    assert document.info(2).state == "accepted"
    assert again.edits.undo_title is None
    # New objects get new numbers, and a run goes on where the last one stopped.
    assert again.new_object() == 4
    done = []
    again.events.progressed.connect(lambda progress: done.append(progress.total))
    again.propagate("forward", resume=True)
    drive(again, lambda: again.run_state == "idle")
    assert not done, "object 1 was split at frame 4, and has ended there"
    again.edits.merge(1, 3)
    again.propagate("forward", resume=True)
    drive(again, lambda: again.run_state == "idle")
    assert set(done) == {5}, "both parts go on at frame 7"
    np.testing.assert_array_equal(shown(again)[:7] == 1, (before[:7] == 1) | (before[:7] == 3))
    assert (shown(again)[8:] == 1).any()
    assert not (shown(again)[8:] == 2).any(), "an accepted object is not tracked"


def test_a_session_is_opened_by_its_own_path(make_controller, movie_file, answered, drive) -> None:
    _, controller = open_file(make_controller, movie_file)
    work(controller, answered, drive)
    wait_saved(controller)
    before = shown(controller)
    controller.close()
    moved = movie_file.with_name("elsewhere.sam2")
    shutil.move(movie_file.with_suffix(".sam2"), moved)
    viewer, again = make_controller()
    assert again.sessions.open(moved)
    assert viewer.layers[0].name == "cells"
    np.testing.assert_array_equal(shown(again), before)
    again.edits.rename(1, "saved again")
    wait_saved(again)
    assert read_session(moved).document.info(1).name == "saved again"
    assert read_session(moved).movie.path == str(movie_file)


def test_what_is_saved_follows_undo(make_controller, movie_file, answered, drive) -> None:
    _, controller = open_file(make_controller, movie_file)
    work(controller, answered, drive)
    while controller.edits.undo_title is not None:
        controller.undo()
    wait_saved(controller)
    document = read_session(movie_file.with_suffix(".sam2")).document
    assert document.object_ids == ()


def test_a_movie_in_memory_is_saved_where_one_says(
    make_controller, synthetic, tmp_path, answered, drive
) -> None:
    _, controller = make_controller(synthetic.images)
    assert controller.sessions.path is None
    work(controller, answered, drive)
    assert controller.sessions.save_as(tmp_path / "mine")
    wait_saved(controller)
    np.testing.assert_array_equal(
        read_session(tmp_path / "mine.sam2").document.masklets.to_labels(), shown(controller)
    )
    assert not controller.sessions.save_as(tmp_path / "mine")
    assert "exists: choose a new name" in controller.told[-1].text
    _, again = make_controller()
    assert not again.sessions.open(tmp_path / "mine.sam2")
    assert "open an image layer with the same movie first" in again.told[-1].text
    _, third = make_controller(synthetic.images)
    assert third.sessions.open(tmp_path / "mine.sam2")
    np.testing.assert_array_equal(shown(third), shown(controller))


def test_a_session_of_other_pixels_is_left_alone(
    make_controller, movie_file, synthetic, answered, drive
) -> None:
    _, controller = open_file(make_controller, movie_file)
    work(controller, answered, drive)
    wait_saved(controller)
    controller.close()
    kept = read_session(movie_file.with_suffix(".sam2")).document.masklets.to_labels()
    tifffile.imwrite(movie_file, np.asarray(synthetic.images)[::-1], metadata={"axes": "TYX"})
    _, again = open_file(make_controller, movie_file)
    assert any("other pixels" in status.text for status in again.told)
    assert again.layers.object_ids == set()
    answered(again, lambda: again.layers.points.add((0, 30, 30)))
    wait_saved(again)
    assert again.sessions.path == movie_file.with_name("cells-2.sam2")
    now = read_session(movie_file.with_suffix(".sam2")).document.masklets.to_labels()
    np.testing.assert_array_equal(now, kept)


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_lost(
    make_controller, movie_file, answered, drive, monkeypatch
) -> None:
    monkeypatch.setattr("napari_sam2.widgets.autosave.RETRY_SECONDS", 0.05)
    _, controller = open_file(make_controller, movie_file)
    movie_file.with_suffix(".sam2").write_text("in the way")
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    drive(controller, lambda: controller.sessions.problem is not None)
    (told,) = [status for status in controller.told if "is not saved" in status.text]
    assert "is a file: choose another name" in told.text
    assert told.level == "error"
    assert shown(controller).any()
    movie_file.with_suffix(".sam2").unlink()
    drive(controller, lambda: "The session is saved again" in [s.text for s in controller.told])
    wait_saved(controller)
    document = read_session(movie_file.with_suffix(".sam2")).document
    np.testing.assert_array_equal(document.masklets.to_labels(), shown(controller))


def test_images_without_a_file_have_no_place(make_controller, synthetic) -> None:
    viewer, _ = make_controller(synthetic.images, network=None)
    assert default_place(viewer.layers[0]) is None


def test_what_the_network_saw_comes_back(make_controller, movie_file, answered, drive) -> None:
    def opened(*others: str):
        viewer, controller = make_controller()
        for name in others:
            inverted = 5000 - np.asarray(tifffile.imread(movie_file), np.int32)
            viewer.add_image(inverted, name=name, contrast_limits=(0, 5000))
        with layer_source(path=str(movie_file)):
            image = viewer.add_image(tifffile.imread(movie_file), name="cells")
        controller.set_image(image)
        return viewer, controller

    def mapping(controller):
        return controller._engine._session.mapping

    viewer, controller = opened("membrane")
    assert controller.source.set_channels(1, 0, 0)
    viewer.layers["cells"].contrast_limits = (150, 900)
    viewer.layers["cells"].gamma = 0.6
    viewer.layers["membrane"].contrast_limits = (1000, 4000)
    viewer.layers["membrane"].gamma = 1.7
    answered(controller, lambda: controller.layers.points.add((1, 30, 30)))
    wait_saved(controller)
    seen, frame = mapping(controller), controller._engine._session.frames.read(1)
    assert seen.gamma == (0.6, 1.7)
    controller.close()
    viewer, again = opened("membrane")
    assert [one.name for one in again.source.channels()] == ["cells", "membrane"]
    assert again.source.colours == (1, 0, 0)
    answered(again, lambda: again.layers.points.add((2, 30, 30)))
    assert mapping(again) == seen
    np.testing.assert_array_equal(again._engine._session.frames.read(1), frame)
    wait_saved(again)
    again.close()
    _, alone = opened()
    (told,) = [s for s in alone.told if "Session cells.sam2 is open" in s.text]
    assert "the session shows membrane, too: open it" in told.text
    assert alone.layers.masklets.frames(1)


def test_the_size_of_pixels_stays_with_the_session(
    make_controller, movie_file, answered, drive, tmp_path
) -> None:
    viewer, controller = make_controller()
    units = ("minute", "micrometer", "micrometer")
    with layer_source(path=str(movie_file)):
        pixels = tifffile.imread(movie_file)
        image = viewer.add_image(pixels, name="cells", scale=(2, 0.5, 0.5), units=units)
    controller.set_image(image)
    answered(controller, lambda: controller.layers.points.add((1, 30, 30)))
    wait_saved(controller)
    controller.close()
    _, again = open_file(make_controller, movie_file)  # the file says nothing of a scale
    answered(again, lambda: again.layers.points.add((2, 30, 30)))
    wait_saved(again)
    known = open_tracked(movie_file.with_suffix(".sam2")).calibration
    assert known == Calibration((0.5, 0.5, 0.5), "micrometer", 2.0, "minute")
    assert again.sessions.exports.begin(tmp_path / "out.csv")
    again.sessions.exports.wait(60)
    row = pd.read_csv(tmp_path / "out.csv").iloc[0]
    assert (row.t_min, row.y_um) == (2 * row.t, 0.5 * row.y)
