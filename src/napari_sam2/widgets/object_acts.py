"""What buttons and the context menu of the table do to the selected objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.widgets.keys import tip

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController


@dataclass(frozen=True, slots=True)
class Act:
    """Something to do to objects.

    Attributes
    ----------
    title, tip : str
    action : callable
        Takes the controller and the selected objects, the one in work first.
    counts : tuple of int
        Least and most objects that it takes.
    """

    title: str
    tip: str
    action: Callable[[SegmentationController, Sequence[int]], object]
    counts: tuple[int, int] = (1, 1)

    def takes(self, objects: Sequence[int]) -> bool:
        """Whether it can be done to so many objects."""
        return self.counts[0] <= len(objects) <= self.counts[1]


_MANY = (1, 10**9)
_PAIR = (2, 2)

ACTS: dict[str, Act] = {
    "accept": Act(
        "Accept",
        tip("accept", "No run and no brush changes an accepted object."),
        lambda sam2, ids: sam2.review.accept(ids),
        _MANY,
    ),
    "reject": Act(
        "Reject",
        "Leave the selected objects out of results, or take them back into work\n"
        "sam2.review.reject([3])",
        lambda sam2, ids: sam2.review.reject(ids),
        _MANY,
    ),
    "lock": Act(
        "Lock",
        tip("lock", "No run and no brush changes a locked object."),
        lambda sam2, ids: sam2.review.lock(ids),
        _MANY,
    ),
    "delete": Act(
        "Delete",
        "Remove the selected objects from every frame\nsam2.review.delete([3, 4])",
        lambda sam2, ids: sam2.review.delete(ids),
        _MANY,
    ),
    "merge": Act(
        "Merge",
        "Give all that the second selected object has to the one in work\nsam2.edits.merge(1, 4)",
        lambda sam2, ids: sam2.edits.merge(*ids),
        _PAIR,
    ),
    "split": Act(
        "Split",
        "Make this object a new one from the shown frame on\nsam2.edits.split(1)",
        lambda sam2, ids: sam2.edits.split(*ids),
    ),
    "swap": Act(
        "Swap",
        "Exchange the two selected objects from the shown frame on\nsam2.edits.swap(1, 2)",
        lambda sam2, ids: sam2.edits.swap(*ids),
        _PAIR,
    ),
    "absent": Act(
        "Not on this frame",
        tip("absent", "A prompt, as a click is one: runs go by it."),
        lambda sam2, ids: sam2.edits.mark_absent(*ids),
    ),
    "cut": Act(
        "Cut from here to the end",
        "Remove this object from the shown frame on\nsam2.edits.cut(1)",
        lambda sam2, ids: sam2.edits.cut(*ids),
    ),
    "cut before": Act(
        "Cut before here",
        "Remove this object before the shown frame\nsam2.edits.cut(1, before=True)",
        lambda sam2, ids: sam2.edits.cut(*ids, before=True),
    ),
}
"""In the order of the menu; renaming is the table's own."""
