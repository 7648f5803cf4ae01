"""A synthetic movie as files: images, labels, and the table of tracks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2.io.label_stack import write_label_tiff
from napari_sam2.io.writing import refuse_overwrite, writing_whole
from napari_sam2.training.synthetic.movie import SyntheticMovie

TrackRow = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MovieFiles:
    """Where a movie, its labels and its tracks are written.

    Parameters
    ----------
    movie : pathlib.Path
        ``NAME.tif``; the others are ``NAME_labels.tif`` and ``NAME_man_track.txt`` beside it.
    """

    movie: Path

    def __post_init__(self) -> None:
        if self.movie.suffix.lower() not in (".tif", ".tiff"):
            raise ValueError(f"{self.movie} is no TIFF: let its name end in .tif.")

    @property
    def labels(self) -> Path:
        """The truth, one id per object."""
        return self.movie.with_name(self.movie.stem + "_labels.tif")

    @property
    def tracks(self) -> Path:
        """The table of tracks, see `track_table`."""
        return self.movie.with_name(self.movie.stem + "_man_track.txt")

    def refuse_overwrite(self, *, overwrite: bool) -> None:
        """Raise FileExistsError if one of the files is there and may not be replaced."""
        for path in (self.movie, self.labels, self.tracks):
            refuse_overwrite(path, overwrite=overwrite)

    def write(self, made: SyntheticMovie, *, overwrite: bool = False) -> None:
        """Write all three files; the folder is made if it is not there.

        Raises
        ------
        FileExistsError
            If one of them is there and ``overwrite`` is off; then none is touched.
        OSError
            If the disk is full.
        """
        self.refuse_overwrite(overwrite=overwrite)
        self.movie.parent.mkdir(parents=True, exist_ok=True)
        with writing_whole(self.movie, overwrite=overwrite) as unfinished:
            tifffile.imwrite(
                unfinished, made.images, photometric="minisblack", metadata={"axes": "TYX"}
            )
        write_label_tiff(self.labels, made.labels, overwrite=overwrite)
        with writing_whole(self.tracks, overwrite=overwrite) as unfinished:
            lines = [" ".join(map(str, row)) for row in track_table(made)]
            unfinished.write_text("\n".join(lines) + "\n", encoding="ascii")


def track_table(made: SyntheticMovie) -> list[TrackRow]:
    """List label, first frame, last frame and mother (0: none) of every object, as ``man_track``.

    An object may be absent in between: out of focus, or on a missed frame.
    """
    life: dict[int, tuple[int, int]] = {}
    for frame, labels in enumerate(made.labels):
        for number in np.flatnonzero(np.bincount(labels.ravel()))[int((labels == 0).any()) :]:
            first, _ = life.get(int(number), (frame, frame))
            life[int(number)] = (first, frame)
    return [
        (number, first, last, made.lineage.get(number, 0))
        for number, (first, last) in sorted(life.items())
    ]
