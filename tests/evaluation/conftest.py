"""A tiny movie of moving disks, with exact truth; some frames pretend not to be annotated."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from napari_sam2.evaluation.ground_truth import AnnotatedMovie


def _moving_disks(frames=8, speed=2.0, annotated=None, shape=(96, 112)):
    """Three bright disks on dark noise; the first moves right at `speed` pixels a frame."""
    rng = np.random.default_rng(3)
    labels = np.zeros((frames, *shape), dtype=np.uint16)
    for t in range(frames):
        for value, centre, radius in (
            (1, (25, 20 + speed * t), 9),
            (2, (60, 40), 12),
            (5, (45, 90), 7),
        ):
            labels[t][disk(centre, radius, shape=shape)] = value
    images = rng.normal(20, 3, labels.shape) + 100 * (labels > 0)
    chosen = tuple(range(frames)) if annotated is None else annotated
    for t in set(range(frames)) - set(chosen):
        labels[t] = 0
    return AnnotatedMovie("disks", images.astype(np.uint8), labels, chosen)


def _dividing_disk(frames=9, division=4, shape=(96, 112)):
    """Disk 1 becomes disks 2 and 3; disk 4 stays."""
    rng = np.random.default_rng(5)
    labels = np.zeros((frames, *shape), dtype=np.uint16)
    for t in range(frames):
        if t < division:
            labels[t][disk((30, 40), 11, shape=shape)] = 1
        else:
            apart = 9 + t - division
            labels[t][disk((30, 40 - apart), 8, shape=shape)] = 2
            labels[t][disk((30, 40 + apart), 8, shape=shape)] = 3
        labels[t][disk((70, 60), 10, shape=shape)] = 4
    images = (rng.normal(20, 3, labels.shape) + 100 * (labels > 0)).astype(np.uint8)
    return AnnotatedMovie.of_stack("dividing", images, labels, {2: 1, 3: 1})


@pytest.fixture
def moving_disks():
    """The function that makes the movie."""
    return _moving_disks


@pytest.fixture
def dividing_disk():
    """The function that makes a movie with one division."""
    return _dividing_disk
