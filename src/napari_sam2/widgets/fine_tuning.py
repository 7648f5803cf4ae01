"""What is written so that a network can learn the movie in work; free of Qt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.io.label_stack import write_label_tiff
from napari_sam2.io.writing import writing_whole
from napari_sam2.model.registry import trained_folder, trained_model

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.masklets import MaskletSet
    from napari_sam2.widgets.source import Movie


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a network is to learn.

    Attributes
    ----------
    movie : Movie
        The images.
    masklets : MaskletSet
        The masks, read while they may still change; a frame is taken as it is then.
    frames : tuple of int
        Frames whose masks are right.
    name, start : str
        The network that is made, and the one that it starts from.
    minutes : float
        Time to spend.
    """

    movie: Movie
    masklets: MaskletSet
    frames: tuple[int, ...]
    name: str
    start: str
    minutes: float

    @property
    def folder(self) -> Path:
        """Where data and checkpoints of the run are."""
        return trained_folder() / f"{self.name}_run"


def write_lesson(lesson: Lesson) -> Path:
    """Write images, labels and options for ``napari-sam2 train``; return the TOML file.

    The images are copied, so that a movie in memory, or one channel of it, can be learned from.

    Raises
    ------
    ValueError
        If no frame has masks, or the name cannot be used.
    OSError
        If the disk is full.
    """
    trained_model(lesson.name)
    if not lesson.frames:
        raise ValueError("there is no frame with masks to learn from: track, and correct, first")
    folder = lesson.folder
    folder.mkdir(parents=True, exist_ok=True)
    _write_images(folder / "movie.tif", lesson.movie)
    labels = np.zeros(lesson.movie.shape, np.uint16 if _fits(lesson.masklets) else np.uint32)
    for frame in lesson.frames:
        labels[frame] = lesson.masklets.labels(frame)
    write_label_tiff(folder / "labels.tif", labels, overwrite=True)
    config = folder / "lesson.toml"
    lines = [
        "[[data]]",
        'images = "movie.tif"',
        'labels = "labels.tif"',
        f"frames = {list(lesson.frames)}",
        # Frames that a person has looked at may still lack cells that nobody clicked.
        "complete = false",
        # In a movie of stacks the plane after the last slice is the first of the next time.
        f"tracked = {json.dumps(lesson.movie.grid.is_line)}",
        "",
        "[options]",
        f"name = {json.dumps(lesson.name)}",
        f"start = {json.dumps(lesson.start)}",
        f"minutes = {float(lesson.minutes)}",
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def _write_images(path: Path, movie: Movie) -> None:
    """Write what the network sees as grey or as red, green and blue, frame by frame."""
    is_grey = len(set(movie.channels)) == 1

    def frame(number: int) -> NDArray[Any]:
        picture = np.asarray(movie.data.read(number))
        if picture.ndim == 2:
            return picture
        return picture[..., movie.channels[0]] if is_grey else picture[..., list(movie.channels)]

    first = frame(0)
    with writing_whole(path, overwrite=True) as unfinished:
        tifffile.imwrite(
            unfinished,
            (frame(number) for number in range(movie.shape[0])),
            shape=(movie.shape[0], *first.shape),
            dtype=first.dtype,
            photometric="minisblack" if first.ndim == 2 else "rgb",
            metadata={"axes": "TYX" if first.ndim == 2 else "TYXS"},
            bigtiff=True,
        )


def frames_to_learn(document: Document, *, all_tracked: bool) -> tuple[int, ...]:
    """Return frames whose masks count as right.

    Parameters
    ----------
    document : Document
        What is known of the movie.
    all_tracked : bool
        Take every frame with masks, not only those that somebody has prompted.
    """
    tracked = {frame for masklet in document.masklets for frame in masklet.visible_frames}
    if all_tracked:
        return tuple(sorted(tracked))
    return tuple(sorted(tracked & {prompt.frame for prompt in document.prompts.all()}))


def _fits(masklets: MaskletSet) -> bool:
    return max(masklets.object_ids(), default=0) <= np.iinfo(np.uint16).max
