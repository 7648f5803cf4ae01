"""How many masks a run through a movie of stacks will make."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.predictor.options import PropagateOptions

BEYOND = 3
"""Slices on each side of an object on which a run looks for it in vain."""


def object_planes(document: Document, options: PropagateOptions) -> tuple[int, bool]:
    """Count the masks that a run will make, as far as the window knows.

    Parameters
    ----------
    document : Document
        Of a movie of stacks.
    options : PropagateOptions
        Way, objects and range.

    Returns
    -------
    int
    bool
        Whether that is an upper bound only: no object has been followed through depth yet, so each
        may be on every slice.
    """
    objects = _objects(document, options)
    if options.along == "time":
        return sum(
            _lines(document, i, options) * _length(document, options) for i in objects
        ), False
    depth, is_bound = _depth(document), False
    if depth is None:
        depth, is_bound = document.grid.slices, True
    if options.along == "z":
        lines = sum(_lines(document, i, options) for i in objects)
        return lines * min(depth, _length(document, options)), is_bound and lines > 0
    # One more at each time, where it is handed over.
    times = sum(_times(document, i, options) for i in objects)
    return times * (depth + 1), is_bound and times > 0


def _objects(document: Document, options: PropagateOptions) -> list[int]:
    known = document.prompts.object_ids()
    if options.at is not None and options.along != "both":
        known = document.object_ids
    chosen = known if options.objects is None else sorted(set(options.objects) & set(known))
    return [i for i in chosen if not document.info(i).is_fixed]


def _length(document: Document, options: PropagateOptions) -> int:
    """Count the places of a line that the range covers."""
    grid = document.grid
    last = (grid.slices if options.along == "z" else grid.times) - 1
    stop = last if options.stop is None else min(options.stop, last)
    return max(stop - (options.start or 0) + 1, 0)


def _lines(document: Document, object_id: int, options: PropagateOptions) -> int:
    """Count the lines on which an object has something to start from."""
    if options.at is not None:
        return 1
    which = 1 if options.along == "time" else 0
    frames = document.prompts.frames(object_id)
    return len({document.grid.place(plane)[which] for plane in frames})


def _times(document: Document, object_id: int, options: PropagateOptions) -> int:
    """Count the times to which an object is followed."""
    times = sorted({document.grid.place(p)[0] for p in document.prompts.frames(object_id)})
    stop = document.grid.times - 1 if options.stop is None else options.stop
    first, last = options.start or 0, stop
    if options.direction == "forward":
        first = max(first, times[0])
    if options.direction == "backward":
        last = min(last, times[-1])
    info = document.info(object_id)
    first = first if info.first is None else max(first, document.grid.place(info.first)[0])
    last = last if info.last is None else min(last, document.grid.place(info.last)[0])
    wanted = set(range(first, last + 1))
    if options.resume:
        wanted -= {document.grid.place(p)[0] for p in document.masklets.frames(object_id)}
    return len(wanted)


def _depth(document: Document) -> int | None:
    """Return on how many slices an object is looked for at a time, None if nobody knows yet."""
    counts: Counter[tuple[int, int]] = Counter()
    for masklet in document.masklets:
        for plane in masklet.visible_frames:
            counts[masklet.object_id, document.grid.place(plane)[0]] += 1
    followed = [count for count in counts.values() if count > 1]
    if not followed:
        return None
    mean = sum(followed) / len(followed)
    return min(round(mean) + 2 * BEYOND, document.grid.slices)
