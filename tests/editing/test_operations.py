"""Every operation does what it says, and its inverse takes back all of it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.editing import operations
from napari_sam2.editing.change import Change
from napari_sam2.editing.document import Document
from napari_sam2.editing.locks import spare
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

SHAPE = (10, 20, 30)


def square(y: int, x: int, side: int = 4) -> MaskRecord:
    return MaskRecord.from_mask(np.ones((side, side), bool), origin=(y, x), object_score=1.0)


def state(document: Document) -> tuple:
    masks = {(m.object_id, t): r for m in document.masklets for t, r in m.records.items()}
    places = {(p.object_id, p.frame) for p in document.prompts.all()}
    return masks, {place: document.prompts.on(*place) for place in places}, dict(document.objects)


@pytest.fixture
def document() -> Document:
    """Object 1 on all frames, 2 on frames 0 to 5, 3 a daughter of 2 from frame 6 on."""
    document = Document(MaskletSet(SHAPE))
    for frame in range(10):
        document.masklets.write(1, frame, square(1, frame))
        document.masklets.write(2 if frame < 6 else 3, frame, square(10, frame))
    document.prompts.add(PointPrompt(1, 0, (2.0, 2.0)))
    document.prompts.add(PointPrompt(1, 7, (2.0, 8.0), positive=False))
    document.prompts.add(BoxPrompt(2, 0, (10.0, 0.0, 13.0, 3.0)))
    document.prompts.add(MaskPrompt(2, 4, square(10, 4).mask(SHAPE[1:])))
    document.objects[3] = ObjectInfo(3, "left daughter", parent=2)
    return document


OPERATIONS = {
    "delete": lambda d: operations.delete(d, 2),
    "delete two": lambda d: operations.delete(d, 2, 3),
    "merge": lambda d: operations.merge(d, 1, 2),
    "merge with the daughter": lambda d: operations.merge(d, 3, 2),
    "split": lambda d: operations.split(d, 1, 5),
    "swap": lambda d: operations.swap(d, 1, 2, 3),
    "cut": lambda d: operations.cut(d, 1, 5),
    "cut before": lambda d: operations.cut(d, 2, 3, before=True),
    "divide": lambda d: operations.divide(d, 1, 6, [4, 5]),
    "parent": lambda d: operations.set_parent(d, 1, 2),
    "accept": lambda d: operations.review(d, [1], "accepted"),
    "rename": lambda d: operations.rename(d, 1, "neuron"),
    "lock": lambda d: operations.lock(d, [1], [2, 3]),
    "lock everywhere": lambda d: operations.lock(d, [1, 2]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_inverse_takes_all_of_it_back(document: Document, name: str) -> None:
    before = state(document)
    change = OPERATIONS[name](document)
    assert state(document) == before, "an operation only describes"
    assert not change.is_empty
    document.apply(change)
    after = state(document)
    assert after != before
    document.apply(change.inverse())
    assert state(document) == before
    document.apply(change)
    assert state(document) == after


def test_deleting_a_mother_leaves_an_orphan(document: Document) -> None:
    document.apply(operations.delete(document, 2))
    assert document.object_ids == (1, 3)
    assert document.lineage == {}
    assert document.info(3).name == "left daughter"
    assert not document.prompts.frames(2)


def test_a_mother_and_her_daughter_go_together(document: Document) -> None:
    change = operations.delete(document, 3, 2)
    assert change.title == "delete 2 objects"
    document.apply(change)
    assert document.object_ids == (1,)
    assert document.objects == {}


def test_merging_unites_masks_and_prompts(document: Document) -> None:
    document.apply(operations.merge(document, 1, 2))
    assert document.object_ids == (1, 3)
    assert document.lineage == {3: 1}
    both = document.masklets.mask(1, 0)
    assert both.sum() == 32
    assert both[1:5, 0:4].all()
    assert both[10:14, 0:4].all()
    assert [type(one) for one in document.prompts.on(1, 0)] == [PointPrompt, BoxPrompt]
    # A mask prompt cannot stand beside points: the union of the masks is the prompt.
    (mask,) = document.prompts.on(1, 4)
    assert isinstance(mask, MaskPrompt)
    assert (mask.mask == document.masklets.mask(1, 4)).all()
    assert document.masklets.mask(1, 8).sum() == 16


def test_splitting_moves_the_later_part(document: Document) -> None:
    document.apply(operations.split(document, 1, 5))
    assert document.masklets.frames(1) == tuple(range(5))
    assert document.masklets.frames(4) == tuple(range(5, 10))
    (prompt,) = document.prompts.on(4, 7)
    assert prompt == PointPrompt(4, 7, (2.0, 8.0), positive=False)


@pytest.mark.parametrize("frame", [0, 10])
def test_a_split_needs_two_parts(document: Document, frame: int) -> None:
    with pytest.raises(ValueError, match=r"masks are on frames 0 to 9, and both parts need one"):
        operations.split(document, 1, frame)


def test_daughters_follow_the_part_that_bore_them(document: Document) -> None:
    document.apply(operations.split(document, 2, 3))
    assert document.lineage == {3: 4}
    document.apply(operations.swap(document, 1, 4, 4))
    assert document.lineage == {3: 1}


def test_swapping_exchanges_masks_and_prompts_from_a_frame_on(document: Document) -> None:
    document.apply(operations.swap(document, 1, 2, 3))
    assert document.masklets.record(1, 2) == square(1, 2)
    assert document.masklets.record(1, 3) == square(10, 3)
    assert document.masklets.record(2, 9) == square(1, 9)
    assert document.masklets.frames(1) == tuple(range(6))
    assert document.prompts.frames(1) == (0, 4)
    assert document.prompts.frames(2) == (0, 7)


def test_a_division_ends_the_mother_and_names_the_daughters(document: Document) -> None:
    document.apply(operations.divide(document, 1, 6, [4, 5]))
    assert document.masklets.frames(1) == tuple(range(6))
    assert document.prompts.frames(1) == (0,)
    assert document.lineage == {3: 2, 4: 1, 5: 1}
    assert document.info(1).last == 5
    assert [document.info(i).first for i in (4, 5)] == [6, 6]


def test_nobody_descends_from_oneself(document: Document) -> None:
    with pytest.raises(ValueError, match="object 2 cannot descend from itself"):
        operations.divide(document, 3, 8, [2])
    with pytest.raises(ValueError, match="object 3 cannot descend from itself"):
        operations.divide(document, 3, 8, [3])


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: operations.delete(d, 9),
        lambda d: operations.merge(d, 1, 9),
        lambda d: operations.swap(d, 9, 1, 3),
        lambda d: operations.review(d, [1, 9], "accepted"),
    ],
)
def test_unknown_objects_are_named(document: Document, edit) -> None:
    with pytest.raises(ValueError, match="there is no object 9: choose among 1, 2, 3"):
        edit(document)


def test_an_edit_that_changes_nothing_is_empty(document: Document) -> None:
    assert operations.rename(document, 1, "").is_empty is False  # it gets a row in the table
    assert operations.rename(document, 3, "left daughter").is_empty
    assert operations.rename(document, 3, "left daughter").then(Change("")).is_empty


def test_what_is_cut_off_does_not_come_back_in_a_run(document: Document) -> None:
    document.apply(operations.cut(document, 1, 5))
    assert [document.info(1).lives_on(frame) for frame in (0, 4, 5, 9)] == [
        True,
        True,
        False,
        False,
    ]
    document.apply(operations.split(document, 2, 3))
    assert (document.info(2).last, document.info(4).first) == (2, 3)
    document.apply(operations.swap(document, 1, 4, 4))
    assert (document.info(1).last, document.info(4).last) == (None, 4)
    document.apply(operations.merge(document, 2, 4))
    assert (document.info(2).first, document.info(2).last) == (None, 4)


def test_changes_add_up(document: Document) -> None:
    before = state(document)
    first = operations.cut(document, 1, 5)
    document.apply(first)
    second = operations.merge(document, 1, 2)
    document.apply(second)
    both = first.then(second)
    assert both.title == first.title
    document.apply(both.inverse())
    assert state(document) == before
    assert first.then(first.inverse()).is_empty
    assert Change("x").is_empty


def test_unlocking_everywhere_frees_single_frames_too(document: Document) -> None:
    document.apply(operations.lock(document, [1], [2]))
    assert [document.info(1).holds(t) for t in (1, 2)] == [False, True]
    document.apply(operations.lock(document, [1]))
    assert document.info(1).holds(9)
    document.apply(operations.lock(document, [1], locked=False))
    assert not any(document.info(1).holds(t) for t in range(10))
    document.apply(operations.review(document, [1], "accepted"))
    assert document.info(1).holds(9)


def test_a_brush_spares_locked_masks(document: Document) -> None:
    document.apply(operations.lock(document, [1], [3]))
    stroke = np.zeros(SHAPE[1:], bool)
    stroke[0:8, 4:12] = True  # over the whole of object 1
    eaten = document.masklets.mask(1, 3) & ~stroke
    assert set(spare(document, 2, {1: eaten, 9: stroke})) == {1, 9}
    left = spare(document, 3, {1: eaten, 9: stroke})
    assert set(left) == {9}
    np.testing.assert_array_equal(left[9], stroke & ~document.masklets.mask(1, 3))
    only_there = document.masklets.mask(1, 3) | document.masklets.mask(2, 3)
    assert spare(document, 3, {2: only_there}) == {}
