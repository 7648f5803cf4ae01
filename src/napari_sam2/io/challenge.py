"""Reading the folders of the Cell Tracking Challenge: a label stack and its table of tracks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["ChallengeFolder", "find_challenge_folder", "read_challenge", "read_track_table"]

_RESULT = "res_track.txt"
_TRUTH = "man_track.txt"


@dataclass(frozen=True, slots=True)
class ChallengeFolder:
    """Labels with their tracks.

    Attributes
    ----------
    name : str
        Of the sequence and what it is, such as ``01_RES``.
    labels : dask.array.Array
        (T, Y, X) or (T, Z, Y, X), read frame by frame.
    parents : dict
        Track to the track that it descends from; roots are left out.
    spans : dict
        Track to its first and last frame, as numbered in the files.
    """

    name: str
    labels: da.Array
    parents: dict[int, int]
    spans: dict[int, tuple[int, int]]

    def centres(self) -> NDArray[np.float64]:
        """Return rows of track, frame, (z,) y, x, in the order that napari's Tracks want.

        Every frame is read once, one at a time.
        """
        rows: list[tuple[float, ...]] = []
        for frame in range(self.labels.shape[0]):
            labels = np.asarray(self.labels[frame])
            ids = np.unique(labels[labels > 0])
            middles = ndimage.center_of_mass(labels > 0, labels, ids) if len(ids) else []
            rows += [(int(i), frame, *middle) for i, middle in zip(ids, middles, strict=True)]
        table = np.array(sorted(rows), dtype=np.float64)
        return table.reshape(-1, self.labels.ndim + 1)


def find_challenge_folder(folder: Path) -> Path | None:
    """Return where the table of tracks of a folder is, None if it is no such folder.

    Parameters
    ----------
    folder : Path
        Results such as ``01_RES``, truth such as ``01_GT``, or its folder ``TRA``.
    """
    for place in (folder / _RESULT, folder / _TRUTH, folder / "TRA" / _TRUTH):
        if place.is_file():
            return place
    return None


def read_challenge(folder: str | Path) -> ChallengeFolder:
    """Read results or truth of the Cell Tracking Challenge.

    Parameters
    ----------
    folder : str or Path
        ``01_RES`` with ``mask*.tif`` and ``res_track.txt``, or ``01_GT`` (or its ``TRA``) with
        ``man_track*.tif`` and ``man_track.txt``.

    Raises
    ------
    FileNotFoundError
        If there is no table of tracks, or no label image.
    ValueError
        If a line of the table is none, or the images are of different sizes.
    """
    folder = Path(folder)
    table = find_challenge_folder(folder)
    if table is None:
        raise FileNotFoundError(
            f"{folder} holds neither {_RESULT} nor {_TRUTH}: choose a folder such as 01_RES, "
            "01_GT or 01_GT/TRA"
        )
    pattern = r"mask_?\d+" if table.name == _RESULT else r"man_track_?\d+"
    files = [p for p in table.parent.glob("*.tif*") if re.fullmatch(pattern, p.stem)]
    files.sort(key=lambda path: int(re.sub(r"\D", "", path.stem)))
    if not files:
        raise FileNotFoundError(
            f"{table.parent} has {table.name} and no label images: copy the .tif files too"
        )
    spans, parents = read_track_table(table)
    return ChallengeFolder(folder.name, _stack(files), parents, spans)


def read_track_table(path: Path) -> tuple[dict[int, tuple[int, int]], dict[int, int]]:
    """Read lines of label, begin, end, parent.

    Returns
    -------
    spans : dict
        Track to its first and last frame.
    parents : dict
        Track to the one that it descends from; roots are left out.

    Raises
    ------
    ValueError
        If a line is another; the message names it.
    """
    spans, parents = {}, {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) < 4 or not all(word.isdigit() for word in words[:4]):
            raise ValueError(f"{path}, line {number}: {line!r} is not label, begin, end, parent")
        label, begin, end, parent = map(int, words[:4])
        spans[label] = (begin, end)
        if parent:
            parents[label] = parent
    return spans, parents


def _stack(files: Sequence[Path]) -> da.Array:
    """Return label images as a stack; each is read when it is asked for."""
    first = tifffile.imread(files[0])

    def read(block_id: tuple[int, ...]) -> NDArray[Any]:
        picture = tifffile.imread(files[block_id[0]])
        if picture.shape != first.shape:
            raise ValueError(
                f"{files[block_id[0]]} has shape {picture.shape} and {files[0]} {first.shape}: "
                "the images of a sequence have one size"
            )
        return np.asarray(picture, dtype=first.dtype)[None]

    chunks = ((1,) * len(files), *((size,) for size in first.shape))
    meta = np.empty((0,) * (first.ndim + 1), first.dtype)
    return da.map_blocks(read, chunks=chunks, dtype=first.dtype, meta=meta)
