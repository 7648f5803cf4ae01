"""What is wrong with labels or images, said before hours are spent on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.io.axes import MovieArray

__all__ = ["MOST_BYTES", "check_labels", "check_pixels", "check_size", "find_jumps"]

MOST_BYTES = 8 * 2**30
"""Largest movie that is read into memory for training."""

JUMP = 4.0
"""Diameters by which an object has to move from one annotated frame to the next to be another."""


def check_size(name: str, images: Sequence[int], labels: Sequence[int]) -> None:
    """Refuse labels that do not have the frames and pixels of the images."""
    if tuple(images[:3]) == tuple(labels):
        bytes_needed = 6 * int(np.prod(images))
        if bytes_needed > MOST_BYTES:
            raise ValueError(
                f"{name} would need about {bytes_needed / 2**30:.0f} GiB of memory: cut out the "
                "part that is annotated and give that"
            )
        return
    if tuple(images[1:3]) != tuple(labels[1:]):
        raise ValueError(
            f"the labels of {name} have {labels[1]} x {labels[2]} pixels and its images "
            f"{images[1]} x {images[2]}: give labels of the same movie, not cropped or scaled"
        )
    raise ValueError(
        f"the labels of {name} have {labels[0]} frames and its images {images[0]}: give one label "
        "image a frame, empty where nothing is annotated, or name the frames that the labels are "
        "of by frames = [...]"
    )


def check_labels(name: str, labels: MovieArray) -> None:
    """Refuse labels that are no numbers of objects."""
    if labels.dtype.kind == "b":
        raise ValueError(
            f"the labels of {name} are a mask of yes and no: give each object a number of its own, "
            "for example with skimage.measure.label"
        )
    if labels.dtype.kind not in "ui":
        raise ValueError(f"the labels of {name} are {labels.dtype}: give integers")
    if labels.dtype.kind == "i":
        for t in range(int(labels.shape[0])):
            low = int(np.asarray(labels[t]).min())
            if low < 0:
                raise ValueError(
                    f"the labels of {name} hold {low} on frame {t}: ids are positive, and 0 is "
                    "where no object is"
                )


def check_pixels(name: str, images: NDArray[Any]) -> None:
    """Refuse images in which there is nothing to see."""
    low, high = images.min(), images.max()
    if low == high:
        raise ValueError(
            f"the images of {name} hold the value {low} everywhere: there is nothing to learn "
            "from; check the file, or choose another channel"
        )


def find_jumps(name: str, labels: NDArray[Any], frames: Sequence[int]) -> frozenset[int]:
    """Find the ids that are at one place on an annotated frame and far away on the next.

    Parameters
    ----------
    name : str
        For the message.
    labels : integer array, (T, Y, X)
    frames : sequence of int
        The annotated ones, ascending.

    Returns
    -------
    frozenset of int
        Ids that belong to different cells.

    Raises
    ------
    ValueError
        If that is so for most objects: then every frame was labelled by itself.
    """
    jumping: set[int] = set()
    pairs = jumps = 0
    before: dict[int, tuple[float, float, float]] = {}
    for t in frames:
        here = _places(labels[t])
        for number in before.keys() & here.keys():
            pairs += 1
            (y, x, size), (y1, x1, size1) = before[number], here[number]
            if np.hypot(y1 - y, x1 - x) > JUMP * max(size, size1):
                jumps += 1
                jumping.add(number)
        before = here
    # Labelled frame by frame, a few numbers lie near their former place by chance.
    if jumps > 0.3 * pairs and jumps >= 3:
        raise ValueError(
            f"the ids of {name} jump: {jumps} of {pairs} times an object is far from where it was "
            "on the annotated frame before, as if every frame was numbered by itself; track the "
            "objects first, or set tracked = false to learn from single frames"
        )
    return frozenset(jumping)


def _places(labels: NDArray[Any]) -> dict[int, tuple[float, float, float]]:
    """Return the middle (y, x) and the larger side of the box of every object."""
    found = {}
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        if where is not None:
            (y0, y1), (x0, x1) = ((w.start, w.stop) for w in where)
            found[number] = ((y0 + y1) / 2, (x0 + x1) / 2, float(max(y1 - y0, x1 - x0)))
    return found
