"""A careful user who knows the truth: what is said of an object, and how it is corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from napari_sam2.evaluation.clicks import PointYX, box_of, corrective_click, innermost_point
from napari_sam2.evaluation.methods import StillPrompts
from napari_sam2.evaluation.metrics import BoolMask
from napari_sam2.evaluation.tasks import PromptKind

Click = tuple[PointYX, bool]
Ask = Callable[[StillPrompts], BoolMask]


def clicking(truth: BoolMask, count: int, ask: Ask) -> Iterator[BoolMask]:
    """Click an object, look at the answer, and correct its largest error, again and again.

    Parameters
    ----------
    truth : bool array, (H, W)
        What the user wants; not empty.
    count : int
        Clicks in all.
    ask : callable
        Takes all clicks so far and returns the answer to them.

    Yields
    ------
    bool array, (H, W)
        The answer to each click; the last one again once nothing is left to correct.
    """
    clicks: tuple[Click, ...] = ((innermost_point(truth), True),)
    mask = ask(StillPrompts(clicks))
    yield mask
    for _ in range(count - 1):
        correction = corrective_click(mask, truth)
        if correction is not None:
            clicks = (*clicks, correction)
            mask = ask(StillPrompts(clicks))
        yield mask


def prompted_mask(truth: BoolMask, kind: PromptKind, ask: Ask) -> BoolMask:
    """Say of an object what a prompt of this kind says, and return the mask that comes of it.

    Parameters
    ----------
    truth : bool array, (H, W)
        Not empty.
    kind : str
        "mask" needs no answer: the mask is the truth itself.
    ask : callable
        As for `clicking`; it is asked about a box too.
    """
    if kind == "mask":
        return truth
    if kind == "box":
        return ask(StillPrompts(box=box_of(truth)))
    *_, mask = clicking(truth, int(kind.split()[0]), ask)
    return mask
