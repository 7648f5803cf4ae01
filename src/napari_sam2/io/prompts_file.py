"""Prompts in files: JSON (complete), CSV (easy to write by hand), or a label image.

JSON is a list of prompts, or an object with such a list under ``"prompts"``::

    {"object_id": 1, "t": 0, "y": 40.0, "x": 52.0, "positive": true, "candidate": 2}
    {"object_id": 1, "t": 0, "box": [y0, x0, y1, x1]}
    {"object_id": 1, "t": 0, "mask": {"shape": [H, W], "runs": [outside, inside, outside, ...]}}
    {"t": 0, "mask": "labels.tif"}

``candidate`` is there only where somebody chose among the masks that a click offers.
CSV has the columns ``object_id, t, y, x, positive``; a row with ``y1, x1`` is a box from (y, x) to
(y1, x1), a row with ``mask`` names a label image. Every label of a label image is an object, or
only the one that ``object_id`` names; its path is taken from the folder of the file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.writing import writing_whole
from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt

__all__ = [
    "prompt_entry",
    "prompts_from_labels",
    "prompts_of_entry",
    "read_prompts",
    "write_prompts",
]

_FORMAT = {"format": "napari-sam2 prompts", "version": 1}
_TRUE = {"1", "true", "yes", "y", "+", "positive", ""}
_FALSE = {"0", "false", "no", "n", "-", "negative"}


def read_prompts(path: str | Path) -> list[Prompt]:
    """Read prompts.

    Parameters
    ----------
    path : str or Path
        A ``.json`` or ``.csv`` file, or a label image or stack, of which each object is prompted
        with its mask on the first frame that has it.

    Returns
    -------
    list of Prompt
        In the order of the file.

    Raises
    ------
    FileNotFoundError
        If the file, or a label image that it names, is not there.
    ValueError
        If an entry is wrong; the message names its line (CSV) or its number (JSON).
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path of the prompts")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return list(_read_csv(path))
    if suffix == ".json":
        return list(_read_json(path))
    return prompts_from_labels(read_labels(path))


def prompts_from_labels(labels: Any, grid: PlaneGrid | None = None) -> list[Prompt]:
    """Return a mask prompt for each object of a label stack.

    Parameters
    ----------
    labels : array-like of int, (P, H, W)
        Plane by plane.
    grid : PlaneGrid, optional
        Times and slices of the planes; by default each plane is a time.

    Returns
    -------
    list of Prompt
        At the first time that has the object, in the slice on which it is largest.
    """
    grid = PlaneGrid(labels.shape[0]) if grid is None else grid
    found: list[Prompt] = []
    known: set[int] = set()
    for time in range(grid.times):
        fresh: dict[int, tuple[int, int]] = {}
        for plane in grid.along_z(time):
            for label, count in zip(*_counted(labels[plane]), strict=True):
                if label not in known and count > fresh.get(label, (0, 0))[0]:
                    fresh[label] = count, plane
        for label, (_, plane) in sorted(fresh.items()):
            found.append(MaskPrompt(label, plane, np.asarray(labels[plane]) == label))
        known.update(fresh)
    return found


def _counted(picture: Any) -> tuple[list[int], list[int]]:
    """Return the labels of a plane and how many pixels each has."""
    ids, counts = np.unique(np.asarray(picture), return_counts=True)
    return ids[ids > 0].tolist(), counts[ids > 0].tolist()


def write_prompts(path: str | Path, prompts: Iterable[Prompt], *, overwrite: bool = False) -> Path:
    """Write prompts as JSON, one a line, masks included.

    Parameters
    ----------
    path : str or Path
        The ``.json`` file to make.
    prompts : iterable of Prompt
        In the order in which they were given.
    overwrite : bool
        Whether to replace an older file.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    """
    path = Path(path)
    head = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in _FORMAT.items())
    lines = ",\n".join("  " + json.dumps(prompt_entry(prompt)) for prompt in prompts)
    with writing_whole(path, overwrite=overwrite) as unfinished:
        unfinished.write_text(f'{{{head}, "prompts": [\n{lines}\n]}}\n')
    return path


def prompt_entry(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt as JSON writes it."""
    entry: dict[str, Any] = {"object_id": prompt.object_id, "t": prompt.frame}
    if isinstance(prompt, PointPrompt):
        y, x = map(float, prompt.yx)
        chosen = {} if prompt.candidate is None else {"candidate": int(prompt.candidate)}
        return {**entry, "y": y, "x": x, "positive": bool(prompt.positive), **chosen}
    if isinstance(prompt, BoxPrompt):
        return {**entry, "box": [float(value) for value in prompt.yxyx]}
    return {**entry, "mask": {"shape": list(prompt.shape), "runs": _runs(prompt.mask)}}


def _runs(mask: NDArray[np.bool_]) -> list[int]:
    """Return the lengths of the runs of pixels in row order, the first being outside."""
    flat = mask.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return ([0] if flat.size and flat[0] else []) + [int(length) for length in lengths]


def _mask(entry: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the mask that `_runs` wrote."""
    shape, runs = tuple(entry["shape"]), entry["runs"]
    inside = np.arange(len(runs)) % 2 == 1
    flat = np.repeat(inside, runs)
    if len(shape) != 2 or flat.size != shape[0] * shape[1]:
        raise ValueError(f"the runs of the mask make {flat.size} pixels and its shape is {shape}")
    return flat.reshape(shape)


def _read_json(path: Path) -> Iterator[Prompt]:
    """Yield the prompts of a JSON file."""
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: no valid JSON ({error.msg})") from error
    entries = content.get("prompts") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds no list of prompts: give a list, or one under 'prompts'")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise ValueError(f"{path}, prompt {number}: {entry!r} is no object with named values")
        yield from prompts_of_entry(entry, path, f"prompt {number}")


def _read_csv(path: Path) -> Iterator[Prompt]:
    """Yield the prompts of a CSV file."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        if "t" not in names or not ({"y", "x"} <= set(names) or "mask" in names):
            raise ValueError(
                f"{path}, line 1: the columns {names} are not object_id, t, y, x, positive "
                "(and y1, x1 for boxes, mask for label images)"
            )
        for row in reader:
            entry: dict[str, Any] = {key: text.strip() for key, text in row.items() if key and text}
            if "y1" in entry or "x1" in entry:
                corners = [entry.pop(key, None) for key in ("y", "x", "y1", "x1")]
                entry["box"] = corners
            if entry:
                yield from prompts_of_entry(entry, path, f"line {reader.line_num}")


def prompts_of_entry(entry: Mapping[str, Any], path: Path, where: str) -> Iterator[Prompt]:
    """Yield the prompt, or the prompts of a label image, that an entry of a file describes.

    Raises
    ------
    ValueError
        If a value is wrong or missing; the message begins with `path` and `where`.
    """
    try:
        yield from _prompts(entry, path.parent)
    except KeyError as error:
        raise ValueError(
            f"{path}, {where}: {error.args[0]!r} is missing in {dict(entry)}"
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}, {where}: {error}") from error


def _prompts(entry: Mapping[str, Any], folder: Path) -> Iterator[Prompt]:
    """Yield the prompts of an entry; any error is one about its values."""
    frame = int(entry["t"])
    mask = entry.get("mask")
    if isinstance(mask, str):
        yield from _from_image(folder / mask, frame, entry.get("object_id"))
        return
    object_id = int(entry["object_id"])
    if object_id < 1 or frame < 0:
        raise ValueError(f"object_id {object_id} and t {frame} have to be at least 1 and 0")
    if mask is not None:
        yield MaskPrompt(object_id, frame, _mask(mask))
    elif "box" in entry:
        y0, x0, y1, x1 = map(float, entry["box"])
        yield BoxPrompt(object_id, frame, (y0, x0, y1, x1))
    else:
        yx = (float(entry["y"]), float(entry["x"]))
        chosen = entry.get("candidate")
        candidate = None if chosen is None else int(chosen)
        yield PointPrompt(object_id, frame, yx, _truth(entry.get("positive", True)), candidate)


def _from_image(path: Path, frame: int, object_id: Any) -> Iterator[Prompt]:
    """Yield a mask prompt for each label of an image, or for the one that is asked for."""
    labels = read_labels(path)
    if labels.shape[0] != 1:
        raise ValueError(f"{path} has {labels.shape[0]} frames: name an image of one frame")
    picture = np.asarray(labels[0])
    present = [int(label) for label in np.unique(picture) if label > 0]
    wanted = present if object_id is None else [int(object_id)]
    for label in wanted:
        if label not in present:
            raise ValueError(f"{path} has no label {label}; it has {present[:10]}")
        yield MaskPrompt(label, frame, picture == label)


def _truth(value: Any) -> bool:
    """Return whether a value means a positive point."""
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"positive is {value!r}: write true or false")
