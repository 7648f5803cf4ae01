"""The masks of a session on disk: labels in zarr, frame by frame, with what is known of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam2.io.writing import explain_full_disk, writing_text
from napari_sam2.masklets import MaskletSet, MaskRecord

__all__ = ["Scores", "SessionMasks", "records_on", "scores_of"]

_CHUNK = 1024
"""Largest side of a chunk: the mask of one cell on a huge frame rewrites one of them."""

Records = Mapping[int, MaskRecord]
Scores = tuple[Any, ...]
"""Predicted IoU, object score, whether prompted, whether visible."""


class SessionMasks:
    """Masks in a folder: ``labels`` in ``masks.zarr``, and ``scores.jsonl`` beside it.

    Where masks overlap, the objects behind go to ``labels_1``, ``labels_2`` and so on, so nothing
    is lost. A line of the scores lists every object of a frame; the last line of a frame counts,
    and one that a power cut left half is left out. Labels are written first, then the line, and no
    object leaves its labels before it is in others: a crash leaves each as it was before or after.

    Parameters
    ----------
    folder : Path
        Exists.
    shape : tuple of int
        (T, H, W).
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self._folder = folder
        self._shape = shape
        self._scores = folder / "scores.jsonl"
        with explain_full_disk(folder, "the session was not begun"):
            self._root = zarr.open_group(str(folder / "masks.zarr"), mode="a")
        self._layers: list[zarr.Array[Any]] = []
        while (name := _layer_name(len(self._layers))) in self._root:
            self._layers.append(self._opened(name))

    def write(self, frame: int, records: Records) -> None:
        """Write, or replace, all masks of a frame.

        Parameters
        ----------
        frame : int
            0 to T - 1.
        records : mapping of int to MaskRecord
            Every object that has a record there, hidden ones too.

        Raises
        ------
        OSError
            If the disk is full; earlier frames are kept.
        """
        pictures, places = _stack(records, self._shape[1:])
        is_layered = max(len(pictures), len(self._layers)) > 1
        before = self._places(frame) if is_layered else {}
        is_rising = any(places.get(i, 0) > number for i, number in before.items())
        if is_rising:
            # Then nobody may come down: what changes places would be nowhere in between.
            pictures, _ = _stack(records, self._shape[1:], before)
        numbers = range(max(len(pictures), len(self._layers), 1))
        kept = "the frames written before are kept there"
        with explain_full_disk(self._folder, kept):
            for number in reversed(numbers) if is_rising else numbers:
                self._write_layer(number, frame, pictures[number : number + 1])
            with self._scores.open("a") as file:
                file.write(_line(frame, records))

    def compact(self, masklets: MaskletSet) -> None:
        """Write the scores anew, one line a frame."""
        with writing_text(self._scores, overwrite=True) as file:
            for frame in range(self._shape[0]):
                if records := records_on(masklets, frame):
                    file.write(_line(frame, records))

    def read(self) -> MaskletSet:
        """Return every mask that is on disk."""
        masklets = MaskletSet(self._shape)
        scores = dict(self.read_scores())
        for frame in range(self._shape[0]):
            for object_id, record in self.read_frame(frame, scores.get(frame, {})).items():
                masklets.write(object_id, frame, record)
        return masklets

    def read_frame(self, frame: int, scores: Mapping[int, Scores]) -> dict[int, MaskRecord]:
        """Return the masks of a frame.

        Parameters
        ----------
        frame : int
            0 to T - 1.
        scores : mapping of int to Scores
            What `read_scores` says of the frame, by object.

        Returns
        -------
        dict of int to MaskRecord
        """
        found: dict[int, MaskRecord] = {}
        for layer in self._layers:
            labels = np.asarray(layer[frame])
            if labels.any():
                one = MaskletSet.from_labels(labels[None].astype(np.int64))
                found |= records_on(one, 0)
        for object_id, values in scores.items():
            record = found.get(object_id)
            if record is not None or not values[3]:
                found[object_id] = _scored(record, values)
        return found

    def read_scores(self) -> Iterator[tuple[int, dict[int, Scores]]]:
        """Yield frames and what is known of their objects; what comes later for a frame counts."""
        if not self._scores.is_file():
            return
        with self._scores.open() as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    found = {int(i): tuple(v) for i, v in entry["objects"].items()}
                    yield int(entry["t"]), found
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # half a line: the power went while it was written

    def _places(self, frame: int) -> dict[int, int]:
        """Return the labels, by number, that hold each object of a frame; the last ones count."""
        places: dict[int, int] = {}
        for number, layer in enumerate(self._layers):
            labels = np.asarray(layer[frame])
            # Most of a frame is empty: what is not is quickly sorted.
            places |= dict.fromkeys(np.unique(labels[labels > 0]).tolist(), number)
        return places

    def _write_layer(self, number: int, frame: int, pictures: list[NDArray[np.uint32]]) -> None:
        while number >= len(self._layers):
            self._layers.append(self._created(_layer_name(len(self._layers))))
        if pictures:
            self._layers[number][frame] = pictures[0]
        elif number == 0 or np.any(self._layers[number][frame]):
            self._layers[number][frame] = 0

    def _created(self, name: str) -> zarr.Array[Any]:
        return self._root.create_array(
            name,
            shape=self._shape,
            chunks=(1, *(min(side, _CHUNK) for side in self._shape[1:])),
            dtype="uint32",
            dimension_names=("t", "y", "x"),
            fill_value=0,
        )

    def _opened(self, name: str) -> zarr.Array[Any]:
        array = self._root[name]
        if not isinstance(array, zarr.Array) or array.shape != self._shape:
            found = getattr(array, "shape", "no array")
            raise ValueError(
                f"{self._folder} holds masks of shape {found} and its movie has {self._shape}: "
                "choose the session that belongs to this movie"
            )
        return array


def records_on(masklets: MaskletSet, frame: int) -> dict[int, MaskRecord]:
    """Return the records of a frame by object."""
    found = {i: masklets.record(i, frame) for i in masklets.object_ids()}
    return {i: record for i, record in found.items() if record is not None}


def _layer_name(number: int) -> str:
    return "labels" if number == 0 else f"labels_{number}"


def _stack(
    records: Records, shape: tuple[int, ...], lowest: Mapping[int, int] | None = None
) -> tuple[list[NDArray[np.uint32]], dict[int, int]]:
    """Paint masks into as few pictures as keep them all whole.

    Parameters
    ----------
    records : mapping of int to MaskRecord
    shape : tuple of int
        (H, W).
    lowest : mapping of int to int, optional
        Pictures below which objects are not painted, by number.

    Returns
    -------
    pictures : list of ndarray, (H, W) uint32
    places : dict of int to int
        The number of the picture that an object is in.
    """
    pictures: list[NDArray[np.uint32]] = []
    places: dict[int, int] = {}
    for object_id, record in sorted(records.items()):
        if not record.visible:
            continue
        y0, x0, y1, x1 = record.bbox
        inside, number = record.crop(), (lowest or {}).get(object_id, 0)
        while number < len(pictures) and pictures[number][y0:y1, x0:x1][inside].any():
            number += 1
        while number >= len(pictures):
            pictures.append(np.zeros(shape, np.uint32))
        pictures[number][y0:y1, x0:x1][inside] = object_id
        places[object_id] = number
    return pictures, places


def scores_of(record: MaskRecord) -> Scores:
    """Return what is kept of a mask beside its pixels, with the digits that a session keeps."""
    iou, score = round(record.predicted_iou, 6), round(record.object_score, 6)
    return iou, score, record.prompted, record.visible


def _line(frame: int, records: Records) -> str:
    objects = {str(i): scores_of(one) for i, one in sorted(records.items())}
    return json.dumps({"t": frame, "objects": objects}) + "\n"


def _scored(record: MaskRecord | None, values: Scores) -> MaskRecord:
    iou, score, prompted, _ = values
    bbox, bits = ((0, 0, 0, 0), b"") if record is None else (record.bbox, record.bits)
    return MaskRecord(bbox, bits, float(iou), float(score), bool(prompted))
