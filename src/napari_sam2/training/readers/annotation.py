"""From a movie and its labels to something that training can use, after every check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.axes import MovieArray
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.readers.checks import (
    check_labels,
    check_pixels,
    check_size,
    find_jumps,
)

__all__ = ["Annotation", "label_movie"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """Images and labels as they lie in files, opened but not read.

    Attributes
    ----------
    name : str
        For messages.
    images, labels : array-like
        (T, Y, X) or (T, Y, X, C), and (T, Y, X) integers.
    annotated : sequence of int or None
        Frames that the source says are annotated. None: those that have a label, because a frame
        without any may as well have been skipped.
    wanted : sequence of int or None
        Frames that are asked for; None for all.
    lifetimes : mapping of int to (int, int), or None
        As in `LabelledMovie`.
    channels : tuple of int or None
        Channels that are shown; by default the first, or the first three.
    is_complete : bool
        Whether an object that has no mask on an annotated frame is not there. `lifetimes` say it
        better where there are some.
    """

    name: str
    images: MovieArray
    labels: MovieArray
    annotated: Sequence[int] | None = None
    wanted: Sequence[int] | None = None
    lifetimes: Mapping[int, tuple[int, int]] | None = None
    channels: tuple[int, ...] | None = None
    is_complete: bool = True

    def showing(self, channels: tuple[int, ...] | None, *, complete: bool) -> Annotation:
        """Return the same with other channels, unless None, or known to leave objects out."""
        changed = self if channels is None else replace(self, channels=channels)
        return changed if complete else replace(changed, is_complete=False)

    def frames(self) -> list[int]:
        """Return the frames to learn from, ascending.

        Raises
        ------
        ValueError
            If there are none, or a frame is asked for that is not in the movie.
        """
        count = int(self.images.shape[0])
        outside = [t for t in self.wanted or () if t >= count]
        if outside:
            raise ValueError(
                f"frames {outside[:5]} of {self.name} are asked for, and it has frames 0 to "
                f"{count - 1}"
            )
        known = range(count) if self.annotated is None else sorted(self.annotated)
        chosen = [t for t in known if self.wanted is None or t in set(self.wanted)]
        labelled = [t for t in chosen if np.asarray(self.labels[t]).any()]
        found = labelled if self.annotated is None else chosen
        if not labelled:
            among = "it" if self.wanted is None else f"the frames asked for, {self.wanted[:5]} ...,"
            raise ValueError(
                f"{self.name} has nothing to learn from: no frame of {among} has a label"
            )
        return found

    def stills(self) -> Iterator[Annotation]:
        """Yield each annotated frame that has a label as an annotation of its own."""
        check_size(self.name, self.images.shape, self.labels.shape)
        for t in self.frames():
            labels = np.asarray(self.labels[t])[None]
            if labels.any():
                images = np.asarray(self.images[t])[None]
                yield replace(
                    self,
                    name=f"{self.name} frame {t}",
                    images=images,
                    labels=labels,
                    annotated=None,
                    wanted=None,
                    lifetimes=None,
                )


def label_movie(annotation: Annotation) -> LabelledMovie:
    """Read an annotation into memory, from its first annotated frame to its last.

    Ids are numbered anew from 1, so that ids that leave gaps cost nothing. Objects whose id jumps
    from place to place are left out.

    Raises
    ------
    ValueError
        If labels and images do not fit each other, there is no label, or there is nothing to see.
    """
    annotation = _spread(annotation)
    check_size(annotation.name, annotation.images.shape, annotation.labels.shape)
    check_labels(annotation.name, annotation.labels)
    frames = annotation.frames()
    first, last = frames[0], frames[-1]
    images = _images(annotation, first, last)
    check_pixels(annotation.name, images)
    labels, numbers = _compact(annotation, frames)
    jumping = find_jumps(annotation.name, labels, [t - first for t in frames])
    return LabelledMovie(
        name=annotation.name,
        images=images,
        labels=labels,
        eligible=frozenset(range(1, len(numbers) + 1)) - jumping if jumping else None,
        annotated=frozenset(t - first for t in frames),
        lifetimes=_lifetimes(annotation, numbers, first),
    )


def _lifetimes(
    annotation: Annotation, numbers: Mapping[int, int], first: int
) -> dict[int, tuple[int, int]] | None:
    """Return lifetimes by new ids, in frames from `first` on; None where nobody is left out."""
    given = annotation.lifetimes
    if given is None and annotation.is_complete:
        return None
    whole = (0, int(annotation.labels.shape[0]))
    spans = {new: (given or {}).get(old, whole) for old, new in numbers.items()}
    return {number: (begin - first, end - first) for number, (begin, end) in spans.items()}


def _spread(annotation: Annotation) -> Annotation:
    """Lay labels of only the frames asked for at their places in the movie."""
    wanted, labels = annotation.wanted, annotation.labels
    count = int(labels.shape[0])
    if wanted is None or count == annotation.images.shape[0] or count != len(wanted):
        return annotation
    if max(wanted) >= annotation.images.shape[0]:
        return annotation
    spread = np.zeros((int(annotation.images.shape[0]), *labels.shape[1:]), labels.dtype)
    for place, t in enumerate(wanted):
        spread[t] = np.asarray(labels[place])
    return replace(annotation, labels=spread)


def _images(annotation: Annotation, first: int, last: int) -> NDArray[Any]:
    """Read the frames of a range with the channels that are shown, finite."""
    images = annotation.images
    channels = annotation.channels
    if len(images.shape) == 4:
        count = int(images.shape[3])
        # As in the predictor: the first three, one or two repeated.
        shown = channels or ((0,) if count == 1 else (0, 1, min(2, count - 1)))
        if max(shown) >= count:
            raise ValueError(f"channel {max(shown)} of {annotation.name} is asked for; {count} are")
        picked = [np.asarray(images[t])[..., list(shown)] for t in range(first, last + 1)]
        found = np.stack(picked)
        found = found[..., 0] if len(shown) == 1 else found
    else:
        if channels is not None and set(channels) != {0}:
            raise ValueError(
                f"{annotation.name} has one channel only, and {channels} are asked for"
            )
        found = np.stack([np.asarray(images[t]) for t in range(first, last + 1)])
    if found.dtype.kind == "f":
        return np.nan_to_num(found, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return found


def _compact(annotation: Annotation, frames: Sequence[int]) -> tuple[NDArray[Any], dict[int, int]]:
    """Read the labels of the annotated frames, ids 1 to N, and say which new id is which."""
    found = {t: np.unique(np.asarray(annotation.labels[t])) for t in frames}
    ids = np.unique(np.concatenate(list(found.values())))
    ids = ids[ids > 0]
    first, last = frames[0], frames[-1]
    dtype = np.uint16 if len(ids) < 2**16 else np.uint32
    labels = np.zeros((last + 1 - first, *annotation.labels.shape[1:]), dtype)
    for t in frames:
        frame = np.asarray(annotation.labels[t])
        labels[t - first] = np.where(frame > 0, np.searchsorted(ids, frame) + 1, 0)
    return labels, {int(old): new for new, old in enumerate(ids, start=1)}
