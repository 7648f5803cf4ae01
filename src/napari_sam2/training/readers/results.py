"""What `napari-sam2 track` wrote, after its user has corrected it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.prompts_file import read_prompts
from napari_sam2.io.read import read_movie
from napari_sam2.training.readers.annotation import Annotation

__all__ = ["is_result_folder", "read_result_folder"]


def is_result_folder(folder: Path) -> bool:
    """Tell whether a folder holds the results of a run."""
    return (folder / "run.json").is_file()


def read_result_folder(folder: Path, frames: list[int] | Literal["prompted"] | None) -> Annotation:
    """Open the movie of a run and the labels that are in the folder now.

    Parameters
    ----------
    folder : Path
        With ``run.json`` and ``labels.tif`` or ``labels.zarr``.
    frames : list of int, "prompted" or None
        Which frames count: those with prompts are those that the user looked at for certain.

    Raises
    ------
    FileNotFoundError
        If the labels, or the movie that they are of, are not there.
    ValueError
        If ``run.json`` does not say which movie it was.
    """
    try:
        note: dict[str, Any] = json.loads((folder / "run.json").read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder / 'run.json'} is damaged ({error}): track again") from error
    if "movie" not in note:
        raise ValueError(
            f"{folder / 'run.json'} does not say which movie was tracked: give images = MOVIE and "
            "labels = LABELS instead of the folder"
        )
    labels = [folder / "labels.tif", folder / "labels.zarr"]
    found = next((path for path in labels if path.exists()), None)
    if found is None:
        raise FileNotFoundError(f"{folder} holds neither labels.tif nor labels.zarr: track again")
    wanted = _prompted(folder) if frames == "prompted" else frames
    channels = note.get("intensities", {}).get("channels")
    movie = read_movie(note["movie"])
    # One channel shown in all three colours is a grey picture.
    if channels is not None and len(set(channels)) == 1:
        channels = channels[:1] if len(movie.shape) == 4 else None
    return Annotation(
        folder.name,
        movie,
        read_labels(found),
        wanted=wanted,
        channels=None if channels is None else tuple(channels),
    )


def _prompted(folder: Path) -> list[int]:
    path = folder / "prompts.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there, so no frame is known to be prompted")
    return sorted({prompt.frame for prompt in read_prompts(path)})
