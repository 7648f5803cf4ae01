"""The movie of a session, read as it was when the session was made."""

from __future__ import annotations

from pathlib import Path

from napari_sam2.io.axes import MovieArray
from napari_sam2.io.read import read_movie, read_stacks
from napari_sam2.io.session_file import SessionRecord

__all__ = ["open_session_movie"]


def open_session_movie(
    record: SessionRecord, other: str | Path | None = None
) -> tuple[MovieArray, str | None]:
    """Open the movie of a session.

    Parameters
    ----------
    record : SessionRecord
    other : str or Path, optional
        Another file; by default the one that the session was made on.

    Returns
    -------
    array : array-like
        The pixels, lazy.
    axes : str or None
        The letters of its axes where it has depth.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no movie, or was in memory only.
    """
    path = other or record.movie.path
    if path is None:
        raise ValueError("the session's movie was in memory only: name its file")
    axes = str(record.settings.get("axes", ""))
    if "Z" not in axes:
        return read_movie(path), None
    try:
        return read_stacks(path, axes)
    except ValueError:
        # The axes are those of a layer: napari leaves axes of length 1 out.
        return read_stacks(path)
