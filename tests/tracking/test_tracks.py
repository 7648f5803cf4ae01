"""Masklets as tracks."""

from __future__ import annotations

import numpy as np

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.tracking.lineage import Lineage
from napari_sam2.tracking.tracks import tracks_from_masklets


def square(y, x, size=3, shape=(40, 40)):
    mask = np.zeros(shape, bool)
    mask[y : y + size, x : x + size] = True
    return MaskRecord.from_mask(mask)


def three_objects():
    masklets = MaskletSet((4, 40, 40))
    for frame in (2, 0):
        masklets.write(7, frame, square(10 + frame, 20))
    masklets.write(7, 1, MaskRecord.from_mask(np.zeros((40, 40), bool)))
    masklets.write(2, 3, square(0, 0, 4))
    masklets.write(5, 3, MaskRecord.from_mask(np.zeros((40, 40), bool)))
    return masklets


def test_rows_are_centres_sorted_by_object_and_frame():
    tracks = tracks_from_masklets(three_objects())
    assert tracks.table.tolist() == [[2, 3, 1.5, 1.5], [7, 0, 11, 21], [7, 2, 13, 21]]
    assert tracks.track_ids == (2, 7)
    assert len(tracks) == 3


def test_links_to_objects_that_are_never_seen_are_left_out():
    lineage = Lineage.from_mothers({2: 7, 5: 7})
    assert tracks_from_masklets(three_objects(), lineage).graph == {2: [7]}
    assert tracks_from_masklets(three_objects(), Lineage.from_mothers({2: 5})).graph == {}


def test_nothing_seen_gives_an_empty_table():
    assert tracks_from_masklets(MaskletSet((2, 5, 5))).table.shape == (0, 4)
