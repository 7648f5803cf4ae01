"""Lets napari open session folders: dropped on the window, or by ``napari cells.sam2``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_sam2.io.read import read_movie
from napari_sam2.io.session_file import SUFFIX, read_session

LayerData = tuple[Any, dict[str, Any], str]
SESSION_KEY = "session"
"""Under this key of a layer's metadata the dock finds the session that it came from."""


def session_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the function that opens a session, None for what is none."""
    if not isinstance(path, str) or not path.rstrip("/").endswith(SUFFIX):
        return None
    if not (Path(path) / "session.json").is_file():
        return None
    return lambda chosen: open_session(Path(chosen))


def open_session(folder: Path) -> list[LayerData]:
    """Return the movie of a session and its labels; the dock goes on where the session stopped.

    Raises
    ------
    ValueError
        If the movie was never in a file.
    FileNotFoundError
        If it is not where it was.
    """
    record = read_session(folder)
    if record.movie.path is None:
        raise ValueError(
            f"{folder} belongs to a movie that was in memory only: open that movie as an image "
            "layer, then the session with Open… in the dock"
        )
    path = Path(record.movie.path)
    metadata = {"napari-sam2": {SESSION_KEY: str(folder.absolute()), "movie": str(path)}}
    return [(read_movie(path), {"name": path.stem, "metadata": metadata}, "image")]
