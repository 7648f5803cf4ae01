"""Labels as prompts: which object each one is, and what is refused."""

import numpy as np
import pytest

from napari_sam2.editing import operations, seeding
from napari_sam2.editing.document import Document
from napari_sam2.editing.seeding import read_seeds
from napari_sam2.masklets import MaskletSet, MaskRecord


@pytest.fixture
def document() -> Document:
    """Objects 1 and 2 on frames 0 and 1 of a movie of three frames."""
    found = Document(MaskletSet((3, 40, 40)))
    for object_id, x in ((1, 2), (2, 22)):
        for frame in (0, 1):
            mask = np.zeros((40, 40), bool)
            mask[5:15, x : x + 10] = True
            found.masklets.write(object_id, frame, MaskRecord.from_mask(mask))
    return found


def plane(**boxes: tuple[int, int]) -> np.ndarray:
    """Ten-pixel squares by their label, from their upper left corners."""
    labels = np.zeros((40, 40), np.uint16)
    for name, (y, x) in boxes.items():
        labels[y : y + 10, x : x + 10] = int(name[1:])
    return labels


def seed(document, labels, *least_iou):
    return seeding.seed(document, read_seeds(document.masklets, labels.items()), *least_iou)


def assign_labels(document, labels, *least_iou):
    seeds = read_seeds(document.masklets, labels.items())
    return seeding.assign_labels(document, seeds, *least_iou)


def test_labels_of_an_empty_movie_keep_their_numbers(document):
    empty = Document(MaskletSet((3, 40, 40)))
    found = seed(empty, {2: plane(n4=(5, 2), n9=(20, 20))})
    assert found.new == (4, 9)
    empty.apply(found.change)
    (prompt,) = empty.prompts.on(9, 2)
    np.testing.assert_array_equal(prompt.mask, plane(n9=(20, 20)) == 9)
    assert empty.masklets.record(9, 2).prompted
    empty.apply(found.change.inverse())
    assert empty.object_ids == ()


def test_a_label_that_overlaps_an_object_is_that_object(document):
    # Label 1 lies on object 2 and label 7 on object 1; label 2 is new, and 2 is taken.
    labels = plane(n1=(6, 23), n7=(5, 3), n2=(25, 25))
    owners = assign_labels(document, {0: labels})
    assert owners == {1: 2, 7: 1, 2: 3}
    found = seed(document, {0: labels})
    assert (found.new, found.matched) == ((3,), (1, 2))
    assert found.change.frames == {0}


def test_too_little_overlap_is_a_new_object(document):
    labels = plane(n1=(11, 2))  # IoU with object 1: 40 / 160
    assert assign_labels(document, {0: labels}, 0.5) == {1: 3}
    assert assign_labels(document, {0: labels}, 0.2) == {1: 1}
    assert assign_labels(document, {0: labels}, None) == {1: 3}


def test_overlap_counts_on_all_frames_together(document):
    # Label 5 lies on object 1 on frame 0 and on object 2 on frame 1, label 6 on object 1 there.
    labels = {0: plane(n5=(5, 2)), 1: plane(n5=(5, 22), n6=(5, 2))}
    owners = assign_labels(document, labels, 0.1)
    assert owners == {5: 2, 6: 1}
    assert len(seed(document, labels, 0.1).change.prompts) == 3


def test_frames_without_the_object_do_not_count(document):
    labels = {1: plane(n5=(5, 2)), 2: plane(n5=(20, 20))}  # object 1 is not on frame 2
    assert assign_labels(document, labels) == {5: 1}


def test_two_labels_never_become_one_object(document):
    labels = np.zeros((40, 40), int)
    labels[5:15, 2:8], labels[5:15, 8:12] = 11, 12
    owners = assign_labels(document, {0: labels}, 0.1)
    assert owners == {11: 1, 12: 12}


def test_accepted_and_locked_masks_stay(document):
    document.apply(operations.review(document, [1], "accepted"))
    document.apply(operations.lock(document, [2], [0]))
    found = seed(document, {0: plane(n1=(5, 2), n2=(5, 22)), 1: plane(n2=(5, 22))})
    assert found.kept == (1, 2)
    assert set(found.change.prompts) == {(2, 1)}


def test_a_label_too_large_for_the_layer_gets_a_free_number(document):
    labels = np.where(plane(n1=(25, 25)) > 0, 70000, 0)
    assert assign_labels(document, {0: labels}) == {70000: 3}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.ones((40, 40), np.float32), "float32: labels are whole numbers"),
        (np.ones((40, 30), int), "40 x 30 pixels and the movie's frames 40 x 40"),
        (np.zeros((40, 40), int), "there is no label on frame 1"),
        (-np.ones((40, 40), int), "label -1 is below 0"),
    ],
)
def test_what_cannot_be_seeds_is_refused(document, labels, said):
    with pytest.raises(ValueError, match=said):
        seed(document, {1: labels})
