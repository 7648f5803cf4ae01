"""Files that are there whole or not at all, and full disks that say so."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["explain_full_disk", "refuse_overwrite", "writing_whole"]

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
