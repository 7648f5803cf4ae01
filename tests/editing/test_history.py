"""Undo and redo of changes."""

from __future__ import annotations

import numpy as np

from napari_sam2.editing.change import Change
from napari_sam2.editing.document import Document
from napari_sam2.editing.history import History
from napari_sam2.masklets import MaskRecord


def drawn(frame: int, size: int, title: str = "draw") -> Change:
    record = MaskRecord.from_mask(np.ones((size, size), bool))
    return Change(title, {(1, frame): (None, record)})


def test_a_hundred_steps_back_and_forth() -> None:
    document, history = Document((200, 8, 8)), History()
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
    document, history = Document((5, 8, 8)), History()
    history.push(drawn(0, 2, "propagate"))
    document.apply(drawn(0, 2))
    for frame in range(1, 5):
        document.apply(drawn(frame, 3))
        history.extend(drawn(frame, 3, "frame"))
    assert history.undo_title == "propagate"
    document.apply(history.undo())
    assert document.masklets.object_ids() == ()
    assert history.undo_title is None


def test_nothing_is_no_step() -> None:
    history = History()
    history.push(Change("nothing"))
    assert history.undo_title is None
