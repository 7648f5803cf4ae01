"""Sessions on disk with all that an export has to cope with, and their movies with a scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2.editing.document import Document
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.read_planes import read_planes
from napari_sam2.io.session_file import MovieStamp, SessionFolder
from napari_sam2.masklets import MaskletSet, MaskRecord

SIZE = (60, 80)


def disc(y: float, x: float, radius: float, **about) -> MaskRecord:
    ys, xs = np.indices(SIZE)
    return MaskRecord.from_mask((ys - y) ** 2 + (xs - x) ** 2 <= radius**2, **about)


def save(folder: Path, document: Document, pixels: np.ndarray, axes: str) -> Path:
    """Write a movie of two channels with a scale, and a session on it."""
    while (folder / "cells.sam2").exists():
        folder = folder / "other"
        folder.mkdir()
    movie = folder / "cells.ome.tif"
    about = {"axes": axes, "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    about |= {"PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "µm"}
    about |= {"TimeIncrement": 5.0, "TimeIncrementUnit": "min"}
    tifffile.imwrite(movie, pixels, ome=True, photometric="minisblack", metadata=about)
    stamp = MovieStamp.of(read_planes(movie), movie)
    SessionFolder(folder / "cells.sam2", stamp).write_all(document, {})
    return folder / "cells.sam2"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Eight frames: 1 divides into 2 and 3, 5 is hidden on 3 and overlaps 6, 9 is rejected."""
    masklets = MaskletSet((8, *SIZE))
    for t in range(8):
        if t < 4:
            masklets.write(1, t, disc(20, 20 + t, 7, predicted_iou=0.75, object_score=4.0))
        else:
            masklets.write(2, t, disc(14, 20 + t, 5, predicted_iou=0.5))
            masklets.write(3, t, disc(28, 20 + t, 5, predicted_iou=0.5))
        hidden = MaskRecord.from_mask(np.zeros((2, 2), bool), object_score=-3.0)
        masklets.write(5, t, hidden if t == 3 else disc(45, 15 + 2 * t, 8, prompted=t == 0))
        masklets.write(6, t, disc(45, 28 + 2 * t, 7))
        masklets.write(9, t, disc(10, 70, 4))
    masklets.write(70000, 0, disc(50, 70, 3))
    document = Document(masklets)
    document.objects |= {
        1: ObjectInfo(1, "mother", "accepted"),
        2: ObjectInfo(2, parent=1),
        3: ObjectInfo(3, parent=1),
        9: ObjectInfo(9, state="rejected"),
    }
    pixels = np.random.default_rng(0).integers(0, 4000, (8, 2, *SIZE)).astype(np.uint16)
    pixels[:, 1] = 7
    return save(tmp_path, document, pixels, "TCYX")


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Four times of three slices: 1 divides into 2 and 3, and 4 comes late, in one slice."""
    masklets = MaskletSet((12, *SIZE))
    for t in range(4):
        for z in range(3):
            radius = 8 - 2 * abs(z - 1)
            if t < 2:
                masklets.write(1, 3 * t + z, disc(30, 30 + t, radius))
            else:
                masklets.write(2, 3 * t + z, disc(22, 30 + t, radius - 3))
                masklets.write(3, 3 * t + z, disc(38, 30 + t, radius - 3))
        if t in (1, 3):
            masklets.write(4, 3 * t + 2, disc(30, 65, 4))
    document = Document(masklets)
    document.objects |= {2: ObjectInfo(2, parent=1), 3: ObjectInfo(3, parent=1)}
    pixels = np.zeros((4, 3, *SIZE), np.uint16)
    pixels += np.arange(12, dtype=np.uint16).reshape(4, 3, 1, 1)
    return save(tmp_path, document, pixels, "TZYX")


@pytest.fixture
def flat_objects(flat):
    """The objects of the flat session, ready to be written."""
    return open_tracked(flat)


@pytest.fixture
def deep_objects(deep):
    """The objects of the session of stacks, ready to be written."""
    return open_tracked(deep)
