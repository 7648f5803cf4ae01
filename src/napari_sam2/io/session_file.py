"""Sessions on disk: a folder with everything that was done to a movie, saved while it is done.

``NAME.sam2/session.json`` holds prompts, objects, the movie and the settings; ``masks.zarr`` and
``scores.jsonl`` the masks (`session_masks`). The movie itself is not copied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2 import __version__
from napari_sam2.editing.document import Document
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.io.prompts_file import prompt_entry, prompts_of_entry
from napari_sam2.io.session_masks import SessionMasks, records_on
from napari_sam2.io.writing import writing_whole
from napari_sam2.masklets import MaskletSet

__all__ = ["MovieStamp", "SessionFolder", "SessionRecord", "read_session"]

FORMAT = "napari-sam2 session"
VERSION = 2
"""The second one knows objects that are locked as a whole."""
SUFFIX = ".sam2"
_SAMPLED_FRAMES = 3


@dataclass(frozen=True, slots=True)
class MovieStamp:
    """By what a movie is known again.

    Attributes
    ----------
    shape : tuple of int
        (T, H, W).
    dtype : str
    digest : str
        SHA-256 of the first, the middle and the last frame.
    path : str or None
        Where it was read from; None if it is in memory only.
    """

    shape: tuple[int, int, int]
    dtype: str
    digest: str
    path: str | None = None

    @classmethod
    def of(cls, movie: Any, path: str | Path | None = None) -> MovieStamp:
        """Look at a movie, (T, H, W) or (T, H, W, C); three frames are read."""
        frames = int(movie.shape[0])
        digest = hashlib.sha256()
        for frame in sorted({0, frames // 2, frames - 1})[:_SAMPLED_FRAMES]:
            digest.update(np.ascontiguousarray(np.asarray(movie[frame])).tobytes())
        shape = (frames, int(movie.shape[1]), int(movie.shape[2]))
        where = None if path is None else str(Path(path).absolute())
        return cls(shape, str(np.dtype(movie.dtype)), digest.hexdigest(), where)

    def problem_with(self, other: MovieStamp) -> str | None:
        """Say how another movie differs from this one, None if it is the same."""
        if other.shape != self.shape:
            return (
                f"the session belongs to a movie of {self.shape} (frames, height, width) and this "
                f"one has {other.shape}: open the movie that it was made on"
            )
        if other.digest != self.digest:
            return (
                "the session belongs to a movie of this size with other pixels: masks may not "
                "fit; open the movie that it was made on, or go on if only intensities changed"
            )
        return None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a session file says.

    Attributes
    ----------
    document : Document
        Prompts, masks, objects.
    movie : MovieStamp
    settings : dict
        Network, its hash, contrast, options: whatever the writer gave, as JSON.
    package : str
        Version of this package that wrote it.
    """

    document: Document
    movie: MovieStamp
    settings: dict[str, Any] = field(default_factory=dict)
    package: str = __version__


class SessionFolder:
    """A session that is being saved.

    Parameters
    ----------
    root : str or Path
        The folder, by custom ``NAME.sam2``; made if it is not there.
    movie : MovieStamp

    Raises
    ------
    FileExistsError
        If there is a folder that is no session, or a file.
    ValueError
        If it is the session of a movie of another shape.
    OSError
        If it cannot be written to.
    """

    def __init__(self, root: str | Path, movie: MovieStamp) -> None:
        self.root = Path(root)
        self.movie = movie
        is_there = self.root.exists()
        if is_there and not self.root.is_dir():
            raise FileExistsError(f"{self.root} is a file: choose another name for the session")
        if is_there and not _head(self.root).is_file() and not _is_left_half(self.root):
            raise FileExistsError(
                f"{self.root} is a folder with other things in it: choose a new name"
            )
        if _head(self.root).is_file():
            there = tuple(_read_head(self.root)["movie"]["shape"])
            if there != movie.shape:
                raise ValueError(
                    f"{self.root} is the session of a movie of {there} (frames, height, width) and "
                    f"this one has {movie.shape}: choose another name"
                )
        self.root.mkdir(parents=True, exist_ok=True)
        self.masks = SessionMasks(self.root, movie.shape)

    def write_head(self, document: Document, settings: Mapping[str, Any]) -> None:
        """Write everything but the masks; the file is replaced as a whole."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "package": __version__,
            "movie": asdict(self.movie),
            "settings": dict(settings),
            "objects": [_object_entry(info) for _, info in sorted(document.objects.items())],
            "prompts": [prompt_entry(prompt) for prompt in document.prompts.all()],
        }
        with writing_whole(_head(self.root), overwrite=True) as unfinished:
            unfinished.write_text(json.dumps(content, indent=1))

    def write_all(self, document: Document, settings: Mapping[str, Any]) -> None:
        """Write head and every mask, and make the scores short."""
        self.write_head(document, settings)
        for frame in range(self.movie.shape[0]):
            records = records_on(document.masklets, frame)
            if records:
                self.masks.write(frame, records)
        self.masks.compact(document.masklets)


def read_session(root: str | Path, *, with_masks: bool = True) -> SessionRecord:
    """Read a session.

    Parameters
    ----------
    root : str or Path
        The folder, or its ``session.json``.
    with_masks : bool
        Whether to read the masks, too; those of a long movie are large.

    Returns
    -------
    SessionRecord

    Raises
    ------
    FileNotFoundError
        If there is no session.
    ValueError
        If it is damaged, or was written by a newer version of this package.
    """
    folder = Path(root)
    folder = folder.parent if folder.name == "session.json" else folder
    content = _read_head(folder)
    try:
        return _parsed(folder, content, with_masks)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{_head(folder)} is damaged: {error!r}; restore it from a copy"
        ) from error


def _read_head(folder: Path) -> dict[str, Any]:
    head = _head(folder)
    if not head.is_file():
        raise FileNotFoundError(f"{folder} is no session: there is no session.json in it")
    try:
        content = json.loads(head.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{head}, line {error.lineno}: no valid JSON ({error.msg})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{head} is no session file: its format is not {FORMAT!r}")
    if int(content["version"]) > VERSION:
        raise ValueError(
            f"{folder} was written by napari-sam2 {content.get('package', '?')}, session format "
            f"{content['version']}; this version reads up to {VERSION}: update napari-sam2"
        )
    return content


def _parsed(folder: Path, content: Mapping[str, Any], with_masks: bool) -> SessionRecord:
    about = dict(content["movie"])
    frames, height, width = map(int, about.pop("shape"))
    movie = MovieStamp(shape=(frames, height, width), **about)
    masks = SessionMasks(folder, movie.shape).read() if with_masks else MaskletSet(movie.shape)
    document = Document(masks)
    for number, entry in enumerate(content["prompts"], start=1):
        for prompt in prompts_of_entry(entry, folder, f"prompt {number}"):
            document.prompts.add(prompt)
    for entry in content["objects"]:
        values = {**entry, "locked": frozenset(entry.get("locked", ()))}
        document.objects[int(entry["object_id"])] = ObjectInfo(**values)
    return SessionRecord(document, movie, dict(content["settings"]), str(content["package"]))


def _head(folder: Path) -> Path:
    return folder / "session.json"


def _is_left_half(folder: Path) -> bool:
    """Whether a folder holds no more than a session that ended before its first line."""
    return all(
        entry.name in ("masks.zarr", "scores.jsonl") or entry.name.endswith(".part")
        for entry in folder.iterdir()
    )


def _object_entry(info: ObjectInfo) -> dict[str, Any]:
    return {**asdict(info), "locked": sorted(info.locked)}
