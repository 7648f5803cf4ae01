"""Sequences of the Cell Tracking Challenge, as they are distributed or flattened into stacks.

As distributed, a sequence ``01`` has its images ``01/t000.tif``, human masks of some cells on some
frames ``01_GT/SEG``, computed masks of nearly all cells ``01_ST/SEG``, and markers of all cells
with ``man_track.txt`` in ``01_GT/TRA``. Masks get the number of the track whose marker they cover.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.read import read_movie
from napari_sam2.io.read_series import list_pictures
from napari_sam2.training.readers.annotation import Annotation

__all__ = ["is_challenge_folder", "is_flat_folder", "read_challenge_folder", "read_flat_folder"]


def is_challenge_folder(folder: Path) -> bool:
    """Tell whether a folder holds the images of a sequence, with truth beside it."""
    has_truth = any(folder.with_name(f"{folder.name}_{kind}").is_dir() for kind in ("GT", "ST"))
    return has_truth and any(folder.glob("t[0-9]*.tif"))


def is_flat_folder(folder: Path) -> bool:
    """Tell whether a folder holds ``NAME_images.tif`` with ``NAME_labels.tif``."""
    return _flat_images(folder) is not None


def read_flat_folder(folder: Path, frames: list[int] | None) -> Annotation:
    """Open ``NAME_images.tif``, ``NAME_labels.tif`` and what stands beside them.

    ``info.json`` may list the annotated frames under ``labelled_frame_indices``, and the original
    numbers of the frames under ``frame_numbers``; ``man_track.txt`` says how long tracks are.
    """
    images = _flat_images(folder)
    if images is None:
        raise ValueError(f"{folder} holds no NAME_images.tif with NAME_labels.tif")
    labels = images.with_name(images.name.replace("_images.", "_labels."))
    movie = read_movie(images)
    path = folder / "info.json"
    info: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    numbers = info.get("frame_numbers", list(range(int(movie.shape[0]))))
    annotated = info.get("labelled_frame_indices")
    lifetimes = _lifetimes(folder / "man_track.txt", numbers)
    return Annotation(folder.name, movie, read_labels(labels), annotated, frames, lifetimes)


def read_challenge_folder(folder: Path, frames: list[int] | None) -> Annotation:
    """Open a sequence as it is distributed.

    Raises
    ------
    ValueError
        If it is a volume, or has no masks.
    """
    pictures = [p for p in list_pictures(folder.iterdir()) if re.fullmatch(r"t\d+", p.stem)]
    movie = read_movie(folder / "t[0-9]*.tif")
    numbers = [int(path.stem[1:]) for path in pictures]
    tracks = folder.with_name(f"{folder.name}_GT") / "TRA"
    masks = _masks(folder)
    if not masks:
        raise ValueError(
            f"{folder} has no masks: there is no man_seg*.tif in {folder.name}_GT/SEG or "
            f"{folder.name}_ST/SEG"
        )
    lifetimes = _lifetimes(tracks / "man_track.txt", numbers)
    labels = np.zeros((len(pictures), *movie.shape[1:3]), np.int32)
    loose = max(lifetimes or {0: (0, 0)}) + 1
    for place, number in enumerate(numbers):
        for path in masks.get(number, ()):
            frame = _picture(path, labels.shape[1:])
            loose = _paint(labels[place], frame, _marker(tracks, path), loose)
    annotated = [place for place, number in enumerate(numbers) if number in masks]
    # Human masks are of some cells only: what has no mask is gone where its track says so.
    name = f"{folder.parent.name}/{folder.name}"
    return Annotation(name, movie, labels, annotated, frames, lifetimes, is_complete=False)


def _flat_images(folder: Path) -> Path | None:
    for path in sorted(folder.glob("*_images.tif*")):
        if path.with_name(path.name.replace("_images.", "_labels.")).is_file():
            return path
    return None


def _masks(folder: Path) -> dict[int, list[Path]]:
    """Return the mask files of each frame: computed ones first, human ones over them."""
    found: dict[int, list[Path]] = {}
    for kind in ("ST", "GT"):
        for path in sorted(
            (folder.with_name(f"{folder.name}_{kind}") / "SEG").glob("man_seg*.tif")
        ):
            match = re.fullmatch(r"man_seg_?(\d+)", path.stem)
            if match is None:
                raise ValueError(f"{path} is a mask of a slice of a volume: only flat sequences")
            found.setdefault(int(match[1]), []).append(path)
    return found


def _marker(tracks: Path, mask: Path) -> NDArray[Any] | None:
    """Return the markers of the frame of a mask, (Y, X), None where there are none."""
    digits = re.sub(r"\D", "", mask.stem)
    path = tracks / f"man_track{digits}.tif"
    return np.asarray(read_labels(path)[0]) if path.is_file() else None


def _picture(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    labels = read_labels(path)
    if tuple(labels.shape) != (1, *shape):
        raise ValueError(f"{path} has shape {labels.shape[1:]} and the images of it {shape}")
    return np.asarray(labels[0])


def _paint(out: NDArray[Any], masks: NDArray[Any], marker: NDArray[Any] | None, loose: int) -> int:
    """Write masks over a frame under the numbers of their tracks; return the next free number."""
    for number in np.unique(masks[masks > 0]):
        inside = masks == number
        track = int(number)
        if marker is not None:
            covered = np.bincount(marker[inside])
            covered[0] = 0
            if covered.any():
                track = int(covered.argmax())
            else:
                track, loose = loose, loose + 1
        out[out == track] = 0
        out[inside] = track
    return loose


def _lifetimes(path: Path, numbers: list[int]) -> dict[int, tuple[int, int]] | None:
    """Read label, begin, end of every track as places in the movie; None without a table."""
    if not path.is_file():
        return None
    lifetimes = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if not words:
            continue
        if len(words) < 3 or not all(word.lstrip("-").isdigit() for word in words):
            raise ValueError(f"{path} has the line {line!r}: write label, begin, end, parent")
        label, begin, end = map(int, words[:3])
        inside = [place for place, number in enumerate(numbers) if begin <= number <= end]
        if inside:
            lifetimes[label] = (inside[0], inside[-1])
    return lifetimes
