"""What goes wrong while one works: said clearly, and nothing is lost. Real files, real layers."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.layers._source import layer_source

from napari_sam2.io.session_file import read_session


@pytest.fixture(autouse=True)
def _short_retry(monkeypatch):
    monkeypatch.setattr("napari_sam2.widgets.autosave.RETRY_SECONDS", 0.05)


@pytest.fixture
def movie_file(tmp_path: Path, synthetic) -> Path:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.asarray(synthetic.images), metadata={"axes": "TYX"})
    return path


@pytest.fixture
def open_file(make_controller):
    """Return a function that opens a file as napari does, and works on it."""

    def opening(path: Path):
        viewer, controller = make_controller()
        with layer_source(path=str(path)):
            image = viewer.add_image(tifffile.imread(path), name=path.stem)
        controller.set_image(image)
        return viewer, controller

    return opening


def wait_saved(controller) -> None:
    saver = controller.sessions._savers[controller._movie]
    end = time.monotonic() + 30
    while not saver.is_saved:
        assert time.monotonic() < end, saver.error
        time.sleep(0.01)


def begin_long_run(controller, drive) -> None:
    """Track an object until a few frames are done."""
    steps = []
    controller.events.progressed.connect(lambda progress: steps.append(progress.done))
    controller.propagate("forward")
    drive(controller, lambda: len(steps) >= 3)
    assert controller.run_state == "running"


@pytest.mark.parametrize("role", ["points", "boxes", "labels"])
def test_a_layer_deleted_during_a_run_takes_nothing_along(
    make_controller, synthetic, answered, drive, role
):
    viewer, controller = make_controller(np.tile(synthetic.images, (4, 1, 1)))
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    begin_long_run(controller, drive)
    layers = controller.layers
    layer = {"points": layers.points, "boxes": layers.boxes, "labels": layers.canvas.layer}[role]
    viewer.layers.remove(layer)
    drive(controller, lambda: controller.run_state == "idle")
    assert not [status.text for status in controller.told if status.level == "error"]
    assert controller.layers.masklets.frames(1) == tuple(range(48))
    controller.use({"labels": "paint"}.get(role, role))
    assert len(controller.layers.points.data) == 1
    shown = np.asarray(controller.layers.canvas.layer.data)
    np.testing.assert_array_equal(shown, controller.layers.masklets.to_labels())
    assert shown.any()


def test_the_movie_deleted_during_a_run_ends_it_and_keeps_what_was_done(
    open_file, movie_file, answered, drive
):
    viewer, controller = open_file(movie_file)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    labels = controller.layers.canvas.layer
    begin_long_run(controller, drive)
    viewer.layers.remove(controller.image)
    drive(controller, lambda: controller.run_state == "idle")
    assert labels in viewer.layers
    done = sorted(set(np.nonzero(np.asarray(labels.data))[0].tolist()))
    assert len(done) >= 3
    document = read_session(movie_file.with_suffix(".sam2")).document
    assert set(document.masklets.frames(1)) >= set(done)


def test_a_stroke_during_a_run_is_a_prompt_and_stays(make_controller, synthetic, answered, drive):
    _, controller = make_controller(np.tile(synthetic.images, (4, 1, 1)))
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    begin_long_run(controller, drive)
    layer = controller.layers.canvas.layer
    controller._viewer.dims.set_point(0, 40)
    layer.brush_size = 14
    layer.paint((40, 70, 70), 9)
    drive(controller, lambda: controller.run_state == "idle")
    controller.poll()
    assert not [status.text for status in controller.told if status.level == "error"]
    painted = controller.layers.masklets.mask(9, 40)
    assert painted[70, 70]
    np.testing.assert_array_equal(np.asarray(layer.data)[40] == 9, painted)
    assert any(p.object_id == 9 for p in controller._movie.document.prompts.all())
    assert set(controller.layers.masklets.frames(1)) >= set(range(40))


def test_labels_replaced_by_something_else_during_a_run_do_no_harm(
    make_controller, synthetic, answered, drive
):
    viewer, controller = make_controller(np.tile(synthetic.images, (4, 1, 1)))
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    begin_long_run(controller, drive)
    layer = controller.layers.canvas.layer
    layer.name = "renamed"
    layer.data = np.zeros((3, 10, 10), np.uint8)  # by hand, of another shape
    drive(controller, lambda: controller.run_state == "idle")
    assert not [status.text for status in controller.told if status.level == "error"]
    viewer.layers.remove(layer)
    controller.use("paint")
    assert (np.asarray(controller.layers.canvas.layer.data) == 1).any()


@pytest.fixture
def read_only_folder():
    """A folder that nobody, not even root as it runs here, may write to; gives it back after."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_told_with_a_remedy_and_work_goes_on(
    open_file, read_only_folder, synthetic, answered, drive, tmp_path
):
    path = read_only_folder / "cells.tif"
    tifffile.imwrite(path, np.asarray(synthetic.images), metadata={"axes": "TYX"})
    path.chmod(0o644)
    _, controller = open_file(path)
    read_only_folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        tmp_path.chmod(0o777)
        os.seteuid(65534)  # root may write anywhere; somebody else may not
    try:
        answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
        drive(controller, lambda: controller.sessions.problem is not None)
        (told,) = [status for status in controller.told if "is not saved" in status.text]
        assert told.level == "error"
        assert str(path.with_suffix(".sam2")) in told.text
        assert "choose another folder with Save as" in told.text
        controller.propagate("forward")
        drive(controller, lambda: controller.run_state == "idle")
    finally:
        os.seteuid(user)
    place = tmp_path / "elsewhere.sam2"
    assert controller.sessions.save_as(place)
    wait_saved(controller)
    drive(controller, lambda: controller.sessions.problem is None)
    kept = read_session(place).document.masklets
    assert kept.frames(1) == tuple(range(12))
    np.testing.assert_array_equal(kept.to_labels(), controller.layers.masklets.to_labels())


def test_a_full_disk_is_told_and_saved_again_when_there_is_room(
    open_file, movie_file, answered, drive
):
    import resource

    _, controller = open_file(movie_file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # files may not grow any more
    try:
        answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
        drive(controller, lambda: controller.sessions.problem is not None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (told,) = [status for status in controller.told if "is not saved" in status.text]
    assert "no space to write" in told.text
    assert controller.layers.masklets.frames(1) == (0,)
    drive(controller, lambda: controller.sessions.problem is None)
    wait_saved(controller)
    document = read_session(movie_file.with_suffix(".sam2")).document
    np.testing.assert_array_equal(
        document.masklets.to_labels(), controller.layers.masklets.to_labels()
    )


def change_head(root: Path, **changes: object) -> dict:
    head = root / "session.json"
    content = {**json.loads(head.read_text()), **changes}
    head.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    return content


def saved_session(open_file, path: Path, answered) -> Path:
    """Make a session of one click and close it."""
    _, controller = open_file(path)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    wait_saved(controller)
    controller.close()
    return path.with_suffix(".sam2")


def test_a_session_of_a_newer_version_is_left_alone(open_file, movie_file, answered):
    root = saved_session(open_file, movie_file, answered)
    change_head(root, version=99, package="9.9.9")
    before = (root / "session.json").read_bytes()
    _, again = open_file(movie_file)
    (told,) = [status for status in again.told if "is not used" in status.text]
    assert "napari-sam2 9.9.9" in told.text
    assert "update napari-sam2" in told.text
    answered(again, lambda: again.layers.points.add((1, 30, 30)))
    wait_saved(again)
    assert again.sessions.path == movie_file.with_name("cells-2.sam2")
    assert (root / "session.json").read_bytes() == before
    assert not again.sessions.open(root)
    assert "could not be opened" in again.told[-1].text


def test_a_session_of_an_older_version_opens(open_file, movie_file, answered):
    root = saved_session(open_file, movie_file, answered)
    # As the first version wrote it: no hash, no device, no options.
    settings = json.loads((root / "session.json").read_text())["settings"]
    older = {"model": settings["model"], "intensities": settings["intensities"]}
    change_head(root, version=1, package="0.0.1", settings=older)
    _, again = open_file(movie_file)
    assert any("is open: 1 object" in status.text for status in again.told)
    assert len(again.layers.points.data) == 1
    assert again.layers.masklets.frames(1) == (0,)


def test_a_damaged_session_is_told_and_kept(open_file, movie_file, answered):
    root = saved_session(open_file, movie_file, answered)
    (root / "session.json").write_text('{"format": "napari-sam2 ses')
    _, again = open_file(movie_file)
    (told,) = [status for status in again.told if "is not used" in status.text]
    assert "no valid JSON" in told.text
    assert again.sessions.path == movie_file.with_name("cells-2.sam2")
    assert (root / "masks.zarr").is_dir()


def test_a_movie_of_another_shape_is_told(open_file, movie_file, synthetic, answered):
    root = saved_session(open_file, movie_file, answered)
    tifffile.imwrite(movie_file, np.asarray(synthetic.images)[:7], metadata={"axes": "TYX"})
    _, again = open_file(movie_file)
    (told,) = [status for status in again.told if "is not used" in status.text]
    assert "(12, 96, 96)" in told.text
    assert "(7, 96, 96)" in told.text
    assert read_session(root).document.object_ids == (1,)
    # Opened by its own name, the movie beside it is the changed one.
    _, third = open_file(movie_file)
    assert not third.sessions.open(root)
    assert "(7, 96, 96)" in third.told[-1].text
