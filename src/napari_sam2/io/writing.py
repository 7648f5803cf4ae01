"""Files that are there whole or not at all, and full disks that say so."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from uuid import uuid4

__all__ = [
    "explain_full_disk",
    "refuse_folder",
    "refuse_overwrite",
    "writing_folder",
    "writing_text",
    "writing_whole",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse_overwrite(path: Path, *, overwrite: bool) -> None:
    """Raise FileExistsError for what is there already, unless it may be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another place or allow overwriting")


@contextmanager
def writing_whole(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` when all is written.

    Parameters
    ----------
    path : Path
        The file to make.
    overwrite : bool
        Whether to replace an older file; it stays as it was if the writing fails.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    OSError
        If the disk is full.
    """
    refuse_overwrite(path, overwrite=overwrite)
    unfinished = path.with_name(path.name + ".part")
    try:
        with explain_full_disk(path, "nothing that was there before has changed"):
            yield unfinished
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def writing_text(
    path: str | Path, *, overwrite: bool, newline: str | None = None
) -> Iterator[TextIOWrapper]:
    """Yield a text file in UTF-8 that becomes `path` when all is written; see `writing_whole`.

    Parameters
    ----------
    path : str or Path
        The file to make.
    overwrite : bool
        Whether to replace an older file.
    newline : str, optional
        As for `open`: empty where a writer of CSV ends the lines.

    Raises
    ------
    FileExistsError, OSError
        As `writing_whole`.
    """
    with (
        writing_whole(Path(path), overwrite=overwrite) as unfinished,
        unfinished.open("w", encoding="utf-8", newline=newline) as file,
    ):
        yield file


def refuse_folder(path: Path, is_ours: Callable[[str], bool], *, overwrite: bool) -> None:
    """Raise FileExistsError for a folder that may not be replaced.

    Parameters
    ----------
    path : Path
    is_ours : callable
        Whether a name is one that such a folder has. A folder with any other thing in it is
        somebody else's, and is refused even where overwriting is allowed.
    overwrite : bool
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise FileExistsError(f"{path} is a file: choose another name for the folder")
    names = sorted(entry.name for entry in path.iterdir())
    others = [name for name in names if not is_ours(name)]
    if others:
        raise FileExistsError(
            f"{path} has other things in it ({others[0]}{' ...' * (len(others) > 1)}): choose a "
            "new folder"
        )
    if names:
        refuse_overwrite(path, overwrite=overwrite)


@contextmanager
def writing_folder(
    path: Path, is_ours: Callable[[str], bool], *, overwrite: bool
) -> Iterator[Path]:
    """Yield an empty folder to write to, which becomes `path` when all is written.

    Parameters
    ----------
    path : Path
        The folder to make.
    is_ours, overwrite
        As in `refuse_folder`. An older folder stays as it was if the writing fails.

    Raises
    ------
    FileExistsError
        If there is something that may not be replaced.
    OSError
        If the disk is full.
    """
    refuse_folder(path, is_ours, overwrite=overwrite)
    # A name of its own: a folder that is there already is somebody else's.
    unfinished = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        with explain_full_disk(path, "nothing that was there before has changed"):
            unfinished.mkdir(parents=True)
            yield unfinished
            if path.exists():
                shutil.rmtree(path)
            unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def explain_full_disk(path: Path, kept: str) -> Iterator[None]:
    """Turn the bare error of a full disk into one that says where, how full, and what is safe."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        place = next(folder for folder in path.absolute().parents if folder.exists())
        free = shutil.disk_usage(place).free / 2**20
        raise OSError(
            error.errno,
            f"no space to write {path} ({free:.1f} MiB free in {place}); {kept}: "
            "free some space or write elsewhere",
        ) from error
