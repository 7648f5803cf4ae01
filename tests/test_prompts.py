"""Prompts and the store that keeps them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, PromptStore, reassigned


def point(object_id=1, frame=0, yx=(3.0, 4.0), positive=True):
    return PointPrompt(object_id, frame, yx, positive)


def disk(shape=(20, 30), centre=(8, 12), radius=4):
    y, x = np.indices(shape)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def store_of(*prompts):
    store = PromptStore()
    for prompt in prompts:
        store.add(prompt)
    return store


def test_points_of_a_frame_come_back_in_the_order_they_were_given():
    first, second, other = point(), point(yx=(9.0, 9.0), positive=False), point(object_id=2)
    store = store_of(first, other, second)
    assert store.on(1, 0) == (first, second)
    assert store.all() == (first, other, second)
    assert store.on(1, 5) == ()


def test_objects_and_frames_are_listed_in_ascending_order():
    store = store_of(point(7, 9), point(2, 3), point(7, 1), point(7, 9, (1.0, 1.0)))
    assert store.object_ids() == (2, 7)
    assert store.frames(7) == (1, 9)
    assert store.objects_on(9) == (7,)
    assert store.frames(99) == ()


def test_a_mask_replaces_points_and_box_of_its_frame_only():
    elsewhere = point(frame=1)
    mask = MaskPrompt(1, 0, disk())
    store = store_of(point(), BoxPrompt(1, 0, (0, 0, 5, 5)), elsewhere, mask)
    assert store.on(1, 0) == (mask,)
    assert store.on(1, 1) == (elsewhere,)


def test_a_point_replaces_the_mask_and_a_box_the_box():
    box = BoxPrompt(1, 0, (1, 1, 6, 6))
    store = store_of(MaskPrompt(1, 0, disk()), point(), BoxPrompt(1, 0, (0, 0, 5, 5)), box)
    assert store.on(1, 0) == (point(), box)


def test_removing_takes_the_last_of_equal_prompts_and_refuses_unknown_ones():
    store = store_of(point(), point(yx=(1.0, 1.0)), point())
    store.remove(point())
    assert store.all() == (point(), point(yx=(1.0, 1.0)))
    with pytest.raises(ValueError, match="not among the 2 prompts"):
        store.remove(point(5))


def test_clearing_a_frame_and_removing_an_object():
    store = store_of(point(1, 0), point(1, 4), point(2, 0))
    store.clear(1, 0)
    assert store.all() == (point(1, 4), point(2, 0))
    store.remove_object(1)
    assert store.object_ids() == (2,)


def test_undo_and_redo_walk_through_every_change():
    store = store_of(point(), MaskPrompt(1, 0, disk()))
    store.remove_object(1)
    assert len(store) == 0
    assert store.undo()
    assert store.on(1, 0) == (MaskPrompt(1, 0, disk()),)
    assert store.undo()
    assert store.on(1, 0) == (point(),)
    assert store.redo()
    assert store.can_redo
    store.add(point(3))
    assert not store.can_redo
    assert not store.redo()


def test_undo_on_an_empty_store_says_no():
    store = PromptStore()
    assert not store.can_undo
    assert not store.undo()
    assert store.revision == 0


def test_revision_grows_with_every_change_and_only_then():
    store = store_of(point())
    before = store.revision
    store.clear(1, 7)
    store.remove_object(12)
    assert store.revision == before
    store.undo()
    store.redo()
    assert store.revision == before + 2
    assert len(store) == 1


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (point(object_id=0), "object id 0"),
        (point(frame=-1), "frame -1"),
        (point(yx=(math.nan, 1.0)), "nan"),
        (BoxPrompt(1, 0, (0, math.inf, 1, 1)), "inf"),
        (BoxPrompt(1, 0, (5, 0, 4, 9)), "ends before it begins"),
        (BoxPrompt(1, 0, (0, 9, 4, 5)), "ends before it begins"),
    ],
)
def test_a_prompt_that_is_wrong_in_every_movie_is_refused(prompt, message):
    store = PromptStore()
    with pytest.raises(ValueError, match=message):
        store.add(prompt)
    assert len(store) == 0


def test_a_mask_prompt_keeps_its_pixels_and_ignores_later_changes():
    mask = disk()
    prompt = MaskPrompt(1, 0, mask)
    expected = mask.copy()
    mask[:] = False
    assert np.array_equal(prompt.mask, expected)
    assert prompt.mask.dtype == bool
    assert prompt.shape == (20, 30)


def test_a_mask_prompt_takes_integers_and_may_be_empty():
    assert np.array_equal(MaskPrompt(1, 0, disk().astype(np.uint8) * 7).mask, disk())
    empty = MaskPrompt(1, 0, np.zeros((4, 5), bool))
    assert empty.mask.shape == (4, 5)
    assert not empty.mask.any()


def test_a_mask_prompt_is_refused_unless_two_dimensional():
    with pytest.raises(ValueError, match=r"\(2, 4, 4\)"):
        MaskPrompt(1, 0, np.zeros((2, 4, 4), bool))


def test_mask_prompts_compare_by_value():
    assert MaskPrompt(1, 0, disk()) == MaskPrompt(1, 0, disk())
    assert MaskPrompt(1, 0, disk()) != MaskPrompt(1, 0, disk(radius=3))


def test_replacing_the_prompts_of_a_place_is_one_step():
    store = store_of(point(), point(frame=1), point(yx=(8.0, 8.0), positive=False))
    mask = MaskPrompt(1, 0, disk())
    store.replace(1, 0, [mask])
    assert store.on(1, 0) == (mask,)
    assert store.on(1, 1) == (point(frame=1),)
    store.undo()
    assert len(store.on(1, 0)) == 2
    revision = store.revision
    store.replace(1, 1, [point(frame=1)])
    assert store.revision == revision
    with pytest.raises(ValueError, match="is not about object 1 on frame 0"):
        store.replace(1, 0, [point(object_id=2)])


@pytest.mark.parametrize(
    "prompt", [point(), BoxPrompt(1, 2, (0, 0, 4, 4)), MaskPrompt(1, 3, disk())]
)
def test_a_prompt_is_given_to_another_object(prompt):
    other = reassigned(prompt, 7)
    assert (type(other), other.object_id, other.frame) == (type(prompt), 7, prompt.frame)
    assert reassigned(other, 1) == prompt
