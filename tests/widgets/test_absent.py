"""An object that is not on a frame: said with a key, heeded by runs, kept in the session."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.editing.change import Change
from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.widgets.coordinates import show_frame

FRAMES, SIDE, RADIUS = 12, 96, 9
GONE = (4, 5, 6)
"""Frames on which cell 1 is hidden."""


def disk(frame: int) -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE))
    return (rows - 40) ** 2 + (columns - 40 - frame) ** 2 <= RADIUS**2


@pytest.fixture(scope="module")
def hiding() -> np.ndarray:
    """A bright cell that hides for some frames, and another one below it that stays."""
    images = np.random.default_rng(0).normal(200, 12, (FRAMES, SIDE, SIDE))
    for frame in range(FRAMES):
        images[frame] += 900 * (disk(frame) & (frame not in GONE))
        images[frame, 70:84, 60:74] += 900
    return images.astype(np.uint16)


@pytest.fixture
def astray(make_controller, trained_network, hiding, drive, answered):
    """The cell clicked and tracked; while it hid, its mask went to where nothing is."""
    _, controller = make_controller(hiding, network=trained_network)
    answered(controller, lambda: controller.layers.points.add((0, 40, 40)))
    controller.propagate("forward")
    drive(controller, lambda: controller.run_state == "idle")
    wrong = np.zeros((SIDE, SIDE), bool)
    wrong[10:24, 10:24] = True
    masklets = controller.layers.masklets
    masks = {(1, t): (masklets.record(1, t), MaskRecord.from_mask(wrong)) for t in GONE}
    controller._movie.perform(Change("spoil", masks))
    return controller


def areas(controller) -> list[int]:
    return [int((frame == 1).sum()) for frame in controller.layers.canvas.layer.data]


def mark(controller, frame, drive) -> None:
    show_frame(controller._viewer, controller.image, frame)
    controller.edits.mark_absent(1)
    drive(controller, lambda: "as you said" in controller.told[-1].text or not busy(controller))
    drive(controller, lambda: not busy(controller))


def busy(controller) -> bool:
    return controller._movie.may_follow or controller.following.is_active


def test_the_mask_goes_with_what_follows_from_it_and_comes_back(astray, drive) -> None:
    before = np.array(astray.layers.canvas.layer.data)
    assert min(areas(astray)) > 100
    mark(astray, GONE[0], drive)
    assert [areas(astray)[t] for t in GONE] == [0, 0, 0]
    for t in set(range(FRAMES)) - set(GONE):
        found = astray.layers.masklets.mask(1, t)
        assert (found & disk(t)).sum() / (found | disk(t)).sum() > 0.7, t
    assert any("object 1" in s.text.lower() and "as you said" in s.text for s in astray.told)
    (prompt,) = astray._movie.document.prompts.on(1, GONE[0])
    assert prompt == MaskPrompt(1, GONE[0], np.zeros((SIDE, SIDE), bool))
    astray.undo()
    drive(astray, lambda: not busy(astray))
    np.testing.assert_array_equal(np.array(astray.layers.canvas.layer.data), before)
    assert astray._movie.document.prompts.on(1, GONE[0]) == ()
    astray.redo()
    drive(astray, lambda: not busy(astray))
    assert areas(astray)[GONE[0]] == 0


def test_it_is_a_prompt_like_others(astray, drive, answered, make_controller, tmp_path) -> None:
    images, prompts = np.asarray(astray.image.data), astray._movie.document.prompts
    answered(astray, lambda: astray.layers.points.add((GONE[1], 16, 16)))
    drive(astray, lambda: not busy(astray))
    mark(astray, GONE[1], drive)
    assert [row[0] for row in astray.layers.points.data] == [0], "it replaces clicks"
    assert len(prompts.on(1, GONE[1])) == 1
    astray.propagate("both")
    drive(astray, lambda: astray.run_state == "idle")
    assert areas(astray)[GONE[1]] == 0, "a run goes by it"
    mark(astray, GONE[0], drive)
    answered(astray, lambda: astray.layers.points.add((GONE[0], 40, 40)))
    (prompt,) = prompts.on(1, GONE[0])
    assert isinstance(prompt, PointPrompt), "a click replaces it"
    astray.sessions.save_as(tmp_path / "cells.sam2")
    astray.close()
    _, other = make_controller(images)
    other.sessions.open(tmp_path / "cells.sam2")
    drive(other, lambda: other._movie.document.prompts.on(1, GONE[1]) != ())
    (prompt,) = other._movie.document.prompts.on(1, GONE[1])
    assert isinstance(prompt, MaskPrompt)
    assert not prompt.mask.any()


def test_what_may_not_be_absent_is_refused(astray, drive) -> None:
    before = areas(astray)
    assert not astray.edits.mark_absent(7, 3)
    assert "no object 7" in astray.told[-1].text
    astray.edits.lock(1)
    assert not astray.edits.mark_absent(1, GONE[0])
    assert "locked" in astray.told[-1].text
    assert areas(astray) == before
    assert astray._movie.document.prompts.on(1, GONE[0]) == ()
    astray.undo()  # the lock
    astray.edits.cut(1, 8)
    drive(astray, lambda: not busy(astray))
    astray.edits.mark_absent(1, 10)
    drive(astray, lambda: not busy(astray))
    assert astray._movie.document.info(1).last == 7, "a life is not made longer by it"
