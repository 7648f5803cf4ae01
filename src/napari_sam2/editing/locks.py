"""What is locked stays as it is under a brush, too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam2.editing.document import Document

Masks = dict[int, NDArray[np.bool_]]


def held_on(document: Document, frame: int) -> frozenset[int]:
    """Return the objects whose masks on a frame are accepted or locked."""
    return frozenset(
        object_id
        for object_id, info in document.objects.items()
        if info.holds(frame) and document.masklets.record(object_id, frame) is not None
    )


def spare(document: Document, frame: int, painted: Mapping[int, NDArray[np.bool_]]) -> Masks:
    """Take from what was painted on a frame whatever would change a locked mask.

    Parameters
    ----------
    document : Document
    frame : int
    painted : mapping of int to ndarray of bool, (H, W)
        Objects and what they would cover.

    Returns
    -------
    dict of int to ndarray of bool, (H, W)
        Without locked objects, without their pixels, and without objects that then stay the same.
    """
    held = held_on(document, frame)
    if not held:
        return dict(painted)
    size = document.masklets.shape[1:]
    taken = np.zeros(size, bool)
    for object_id in held:
        taken |= document.masklets.mask(object_id, frame)
    left = {i: mask & ~taken for i, mask in painted.items() if i not in held}
    return {
        i: mask
        for i, mask in left.items()
        if not np.array_equal(mask, document.masklets.mask(i, frame))
    }
