"""Undo and redo of changes."""

from __future__ import annotations

import numpy as np

from napari_sam2.editing.change import Change
from napari_sam2.editing.document import Document
from napari_sam2.editing.history import History
from napari_sam2.masklets import MaskletSet, MaskRecord


def drawn(frame: int, size: int, title: str = "draw") -> Change:
    record = MaskRecord.from_mask(np.ones((size, size), bool))
    return Change(title, {(1, frame): (None, record)})


def test_a_hundred_steps_back_and_forth() -> None:
    document, history = Document(MaskletSet((200, 8, 8))), History()
    for frame in range(150):
        change = drawn(frame, 1 + frame % 8, f"step {frame}")
        document.apply(change)
        history.push(change)
    for left in range(149, -1, -1):
        assert history.undo_title == f"step {left}"
        document.apply(history.undo())
        assert document.masklets.frames(1) == tuple(range(left))
    assert history.undo() is None
    assert history.undo_title is None
    for done in range(150):
        assert history.redo_title == f"step {done}"
        document.apply(history.redo())
    assert document.masklets.frames(1) == tuple(range(150))
    assert history.redo() is None


def test_a_new_change_ends_what_could_be_redone() -> None:
    history = History()
    history.push(drawn(0, 1))
    history.undo()
    history.push(drawn(1, 1))
    assert history.redo_title is None


def test_the_oldest_steps_are_let_go() -> None:
    history = History(depth=3)
    for frame in range(5):
        history.push(drawn(frame, 1, f"step {frame}"))
    titles = []
    while history.undo_title is not None:
        titles.append(history.undo_title)
        history.undo()
    assert titles == ["step 4", "step 3", "step 2"]


def test_frames_of_a_run_are_one_step() -> None:
    document, history = Document(MaskletSet((5, 8, 8))), History()
    step = None
    for frame in range(5):
        change = drawn(frame, 3, "track" if frame == 0 else "frame")
        document.apply(change)
        step = history.amend(step, change)
    assert history.undo_title == "track"
    document.apply(history.undo())
    assert document.masklets.object_ids() == ()
    assert history.undo_title is None
    document.apply(history.redo())
    assert document.masklets.frames(1) == tuple(range(5))


def test_an_answer_joins_its_click_behind_another_click() -> None:
    history = History()
    first = history.push(drawn(0, 1, "first click"))
    history.push(drawn(1, 1, "second click"))
    assert history.amend(first, drawn(2, 1)) is first
    assert history.undo_title == "second click"
    assert history.undo().frames == {1}
    assert history.undo().frames == {0, 2}


def test_what_a_newer_step_has_touched_becomes_a_step_of_its_own() -> None:
    document, history = Document(MaskletSet((5, 8, 8))), History()
    one, two, three = (MaskRecord.from_mask(np.ones((size, size), bool)) for size in (1, 2, 3))
    steps = []
    for before, after in ((None, one), (one, two)):
        change = Change("draw", {(1, 0): (before, after)})
        document.apply(change)
        steps.append(history.push(change))
    late = Change("late", {(1, 0): (two, three)})
    document.apply(late)
    assert history.amend(steps[0], late) not in steps
    for expected in (two, one, None):
        document.apply(history.undo())
        assert document.masklets.record(1, 0) == expected


def test_nothing_is_no_step() -> None:
    history = History()
    history.push(Change("nothing"))
    assert history.undo_title is None
