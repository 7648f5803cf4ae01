"""Family trees, given and found."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.tracking.lineage import Division, Lineage, find_divisions


def disk(y, x, radius, shape=(100, 100)):
    rows, columns = np.indices(shape)
    return MaskRecord.from_mask((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def test_a_lineage_knows_its_family():
    lineage = Lineage([Division(1, (2, 3)), Division(3, (4, 5))])
    assert lineage.mother_of(4) == 3
    assert lineage.mother_of(1) is None
    assert lineage.daughters_of(1) == (2, 3)
    assert lineage.ancestors_of(5) == (3, 1)
    assert lineage.graph() == {2: [1], 3: [1], 4: [3], 5: [3]}
    assert list(Lineage.from_mothers({2: 1, 3: 1, 4: 3, 5: 3})) == list(lineage)


@pytest.mark.parametrize(
    ("divisions", "message"),
    [
        ([Division(1, (2, 3)), Division(4, (3, 5))], "track 3 would have two mothers, 1 and 4"),
        ([Division(1, (2, 3)), Division(1, (4, 5))], "track 1 divides twice"),
        ([Division(1, (1, 2))], "track 1 would be its own ancestor"),
        ([Division(1, (2, 3)), Division(3, (4, 1))], "track 1 would be its own ancestor"),
    ],
)
def test_what_makes_no_tree_is_refused(divisions, message):
    with pytest.raises(ValueError, match=message):
        Lineage(divisions)


def dividing(daughters_at=2, second_radius=7):
    masklets = MaskletSet((5, 100, 100))
    for frame in range(2):
        masklets.write(1, frame, disk(50, 50, 10))
        masklets.write(9, frame, disk(15, 80, 10))
    for frame in range(daughters_at, 5):
        masklets.write(2, frame, disk(42, 50, 7))
        masklets.write(3, frame, disk(58, 50, second_radius))
        masklets.write(9, frame, disk(15, 80, 10))
    return masklets


def test_a_division_is_found_where_one_ends_and_two_begin():
    assert list(find_divisions(dividing())) == [Division(1, (2, 3))]


def test_daughters_may_be_a_frame_late_but_no_more():
    assert len(find_divisions(dividing(daughters_at=3))) == 1
    assert len(find_divisions(dividing(daughters_at=4))) == 0


def test_one_new_track_or_one_too_large_is_no_division():
    assert len(find_divisions(dividing(second_radius=20))) == 0
    alone = dividing()
    alone.remove(3)
    assert len(find_divisions(alone)) == 0


def test_tracks_from_the_first_frame_on_have_no_mother():
    masklets = dividing()
    masklets.write(2, 0, disk(10, 10, 5))
    assert len(find_divisions(masklets)) == 0
