"""One entry of training data: where it is, what of it counts, and which reader it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.read import read_movie
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.readers.annotation import Annotation, label_movie
from napari_sam2.training.readers.challenge import (
    is_challenge_folder,
    is_flat_folder,
    read_challenge_folder,
    read_flat_folder,
)
from napari_sam2.training.readers.results import is_result_folder, read_result_folder
from napari_sam2.training.readers.stills import find_pairs, read_stills

__all__ = ["DataEntry", "parse_frames", "read_entry"]

Use = Literal["auto", "train", "validate"]


def _about(title: str, text: str) -> dict[str, Any]:
    return {"title": title, "help": text}


@dataclass(frozen=True, slots=True)
class DataEntry:
    """Where annotated images are.

    Raises
    ------
    ValueError
        If it names neither a folder nor a movie with its labels, or both.
    """

    path: str = field(
        default="",
        metadata=_about(
            "Folder",
            "Results of `napari-sam2 track`, a Cell Tracking Challenge sequence, or stills with "
            "masks.",
        ),
    )
    images: str = field(
        default="", metadata=_about("Images", "A movie or stack, instead of a folder.")
    )
    labels: str = field(
        default="", metadata=_about("Labels", "Its labels: one number an object, 0 elsewhere.")
    )
    frames: str | Sequence[int] = field(
        default="",
        metadata=_about(
            "Frames",
            'Which frames count: "0-9,14", a list, or "prompted" for results. All that have labels '
            "if not given.",
        ),
    )
    channels: str = field(
        default="", metadata=_about("Channels", 'One, or three for red, green, blue: "0", "2,1,0".')
    )
    axes: str = field(
        default="",
        metadata=_about("Axes", "Order of the axes of the images, such as TCYX."),
    )
    tracked: bool = field(
        default=True,
        metadata=_about(
            "Tracked", "Whether a cell keeps its number over the frames; if not, frames are stills."
        ),
    )
    complete: bool = field(
        default=True,
        metadata=_about(
            "Complete",
            "Whether a cell without a mask on an annotated frame has gone; if not, it may have "
            "been left out.",
        ),
    )
    use: Use = field(
        default="auto",
        metadata=_about("Use", "train, validate, or auto: some of all data are kept back."),
    )

    def __post_init__(self) -> None:
        """Check that the entry says where its data are, in one way."""
        if bool(self.path) == bool(self.images or self.labels):
            raise ValueError(
                "an entry of [[data]] has either path = FOLDER, or images = MOVIE with "
                f"labels = LABELS; this one has path = {self.path!r}, images = {self.images!r}, "
                f"labels = {self.labels!r}"
            )
        if not self.path and not (self.images and self.labels):
            missing = "labels" if self.images else "images"
            raise ValueError(f"{self.images or self.labels} is given without its {missing}")
        if self.use not in ("auto", "train", "validate"):
            raise ValueError(f"use = {self.use!r} is none of auto, train, validate")


def read_entry(entry: DataEntry, base: Path = Path()) -> list[LabelledMovie]:
    """Read the annotated movies, or stills, of an entry.

    Parameters
    ----------
    entry : DataEntry
    base : Path
        Folder that relative paths start from.

    Returns
    -------
    list of LabelledMovie
        At least one, each with an object on an annotated frame.

    Raises
    ------
    FileNotFoundError
        If something named is not there.
    ValueError
        If it cannot be read, labels do not fit the images, or nothing is annotated.
    """
    return label_movie_or_stills(_open(entry, base), tracked=entry.tracked)


def label_movie_or_stills(
    annotations: Sequence[Annotation], *, tracked: bool
) -> list[LabelledMovie]:
    """Check annotations and load them; untracked frames become movies of one frame each."""
    if tracked:
        return [label_movie(annotation) for annotation in annotations]
    return [label_movie(still) for annotation in annotations for still in annotation.stills()]


def _open(entry: DataEntry, base: Path) -> list[Annotation]:
    """Open an entry without reading its pixels."""
    frames = parse_frames(entry.frames)
    if entry.path:
        found = _open_folder(base / Path(entry.path).expanduser(), frames)
    else:
        images = base / Path(entry.images).expanduser()
        labels = base / Path(entry.labels).expanduser()
        if frames == "prompted":
            raise ValueError('frames = "prompted" is for results of `napari-sam2 track` only')
        movie = read_movie(images, entry.axes or None)
        found = [Annotation(images.stem, movie, read_labels(labels), wanted=frames)]
    channels = _parse_channels(entry.channels)
    return [annotation.showing(channels, complete=entry.complete) for annotation in found]


def _open_folder(folder: Path, frames: list[int] | Literal["prompted"] | None) -> list[Annotation]:
    """Open a folder by what it holds."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder} does not exist: check the path of the data")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: give a movie as images = ... with labels = ...")
    if is_result_folder(folder):
        return [read_result_folder(folder, frames)]
    if frames == "prompted":
        raise ValueError('frames = "prompted" is for results of `napari-sam2 track` only')
    if is_challenge_folder(folder):
        return [read_challenge_folder(folder, frames)]
    if is_flat_folder(folder):
        return [read_flat_folder(folder, frames)]
    if find_pairs(folder):
        return read_stills(folder, frames)
    raise ValueError(
        f"{folder} holds nothing that training can read: give results of `napari-sam2 track`, a "
        "Cell Tracking Challenge sequence (t000.tif ... beside its _GT or _ST folder), a folder "
        "with NAME_images.tif and NAME_labels.tif, or stills with masks (x.png and x_masks.png, "
        "x_image.png and x_labels.png, or the folders images and masks)"
    )


def parse_frames(frames: str | Sequence[int]) -> list[int] | Literal["prompted"] | None:
    """Return the frames of ``"0-9,14"``, ascending; None if the text is empty.

    Raises
    ------
    ValueError
        If it is no such text.
    """
    if isinstance(frames, str):
        if frames.strip() in ("", "prompted"):
            return "prompted" if frames.strip() else None
        parts = [part.strip() for part in frames.split(",")]
    else:
        parts = [str(number) for number in frames]
    found: set[int] = set()
    for part in parts:
        match = re.fullmatch(r"(\d+)(?:\s*[-:]\s*(\d+))?", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError(f'frames {part!r} is no frame or range: write for example "0-9,14"')
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(found)


def _parse_channels(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    numbers = [part.strip() for part in str(text).split(",")]
    if len(numbers) not in (1, 3) or not all(number.isdigit() for number in numbers):
        raise ValueError(f'channels {text!r} is neither one nor three: write "0" or "2,1,0"')
    return tuple(map(int, numbers))
