"""Fetching weights: resumed where it broke off, checked, and only then given their name.

pooch says where the cache is and computes hashes, but cannot resume; a 900 MB file over a shaky
line needs that, so the transfer itself is done here with requests, which pooch brings along.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pooch
import requests

from napari_sam2.model.registry import ModelFile, models_folder

__all__ = ["Progress", "download", "verify"]

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes that there will be."""

_ATTEMPTS = 4
_CHUNK = 1 << 16
_TIMEOUT = (10, 60)


def download(file: ModelFile, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Bring a file of weights to this machine, unless it is there already.

    Parameters
    ----------
    file : ModelFile
        What to fetch.
    folder : Path, optional
        Where to put it; by default the folder of downloaded weights.
    progress : callable, optional
        Told ``(bytes_done, bytes_in_all)`` as the transfer goes on.

    Returns
    -------
    Path
        The whole, verified file. What has arrived of an unfinished one waits beside it as
        ``.part`` and is gone on with the next time.

    Raises
    ------
    ConnectionError
        If the address cannot be reached; says where to put the file by hand.
    OSError
        If the disk has no room for it.
    ValueError
        If what arrived is not the file that was expected.
    """
    target = file.path(folder)
    if file.url is None:
        return verify(file, target)
    if target.exists():
        return verify(file, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    _transfer(file, target, part, progress)
    try:
        verify(file, part)
    except ValueError:
        part.unlink()
        raise
    part.replace(target)
    return target


def verify(file: ModelFile, path: Path) -> Path:
    """Check the size and the hash of a file of weights.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is another file than expected, such as a truncated one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the weights of {file.name!r} are not at {path}: {_by_hand(file)}")
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise ValueError(
            f"{path} has {size} bytes and the weights of {file.name!r} have {file.size}: "
            f"it is truncated or another file. {_again(file, path)}"
        )
    if file.sha256 is None:
        return path
    found = pooch.file_hash(str(path), alg="sha256")
    if found != file.sha256:
        raise ValueError(
            f"{path} has the sha256 {found} and the weights of {file.name!r} have {file.sha256}: "
            f"it is damaged or another file. {_again(file, path)}"
        )
    return path


def _transfer(file: ModelFile, target: Path, part: Path, progress: Progress | None) -> None:
    """Fill ``part``, going on where an earlier attempt broke off."""
    total = file.size or 0
    for attempt in range(1, _ATTEMPTS + 1):
        before = _length(part)
        if total and before > total:
            part.unlink()
            before = 0
        if total and before == total:
            return
        _check_room(part, total - before)
        try:
            _receive(file, part, before, progress)
            if not total or _length(part) >= total:
                return
            broken = f"it broke off after {_length(part)} of {total} bytes"
        except requests.RequestException as error:
            if before and _status(error) == requests.codes.requested_range_not_satisfiable:
                part.unlink()
                continue
            broken = _reason(error)
        except OSError as error:
            advice = f"{error.strerror}; what has arrived is kept, make room and try again"
            raise OSError(error.errno, advice, str(part)) from error
        # Worth another attempt only if this one brought something.
        if attempt == _ATTEMPTS or _length(part) <= before:
            raise ConnectionError(
                f"could not download {file.url}: {broken}. Try again (what has arrived is kept), "
                f"or {_by_hand(file, target)}"
            )


def _receive(file: ModelFile, part: Path, start: int, progress: Progress | None) -> None:
    """Ask for the rest of the file and write it behind what is there."""
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(file.url or "", headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        answer.raise_for_status()
        # A server that knows no ranges answers 200 and sends everything again.
        begun = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        done = start if answer.status_code == 206 and begun else 0
        with part.open("ab" if done else "wb") as out:
            for chunk in answer.iter_content(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, file.size or done)
            out.flush()
            os.fsync(out.fileno())


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"{needed} bytes are needed and {free} are free: make room, or name another folder "
            "with NAPARI_SAM2_MODELS",
            str(part.parent),
        )


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _status(error: requests.RequestException) -> int:
    return 0 if error.response is None else error.response.status_code


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return f"{type(error).__name__} (is this machine online?)"


def _by_hand(file: ModelFile, target: Path | None = None) -> str:
    if file.url is None:
        return "this installation is incomplete, install napari-sam2 again"
    place = models_folder() / file.file if target is None else target
    return (
        f"download {file.url} on any machine and put it at {place} "
        f"({file.size} bytes, sha256 {file.sha256})"
    )


def _again(file: ModelFile, path: Path) -> str:
    if file.url is None:
        return "Install napari-sam2 again."
    return f"Delete it and fetch it again, or {_by_hand(file, path)}."
