"""Masks of very long movies: the last frames in memory, the others read back from the session."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2.io.session_masks import Scores, SessionMasks, scores_of
from napari_sam2.masklets import MaskletSet, MaskRecord

__all__ = ["SpilledMasks"]

_SCORES = np.dtype(
    [("iou", "f8"), ("score", "f8"), ("prompted", "?"), ("visible", "?"), ("known", "?")]
)


class SpilledMasks:
    """The masks of a session that is being written, of which few frames are held in memory.

    `masklets` looks like any other set: a frame that is not held is read from the folder. What is
    written there waits until `flush`; frames that wait are always held.

    Parameters
    ----------
    store : SessionMasks
        Where the masks are, and will be.
    shape : tuple of int
        (T, H, W).
    held : int
        Flushed frames to hold.

    Notes
    -----
    Each object has 19 bytes a frame beside that: 3 MB for 8 objects on 20,000 frames.
    """

    def __init__(self, store: SessionMasks, shape: tuple[int, int, int], held: int = 64) -> None:
        self._store = store
        self._held_frames = held
        self._num_frames = shape[0]
        self._scores: dict[int, NDArray[np.void]] = {}
        self._held: OrderedDict[int, dict[int, MaskRecord]] = OrderedDict()
        self._waiting: set[int] = set()
        self.masklets = MaskletSet(shape, lambda object_id: _Records(self, object_id))
        for frame, objects in store.read_scores():
            for rows in self._scores.values():
                rows[frame]["known"] = False
            for object_id, values in objects.items():
                self._note(object_id, frame, values)
        for object_id, rows in sorted(self._scores.items()):
            known = np.flatnonzero(rows["known"])
            if known.size:
                record = self.on(int(known[0]))[object_id]
                self.masklets.write(object_id, int(known[0]), record)
        self._waiting.clear()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.masklets.shape

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames on which any object has a record, ascending."""
        known = [rows["known"] for rows in self._scores.values()]
        return tuple(map(int, np.flatnonzero(np.any(known, axis=0)))) if known else ()

    def seen(self) -> tuple[int, ...]:
        """Return the objects that are visible on any frame, ascending."""
        return tuple(i for i, rows in sorted(self._scores.items()) if rows["visible"].any())

    def first_seen(self, object_id: int) -> int | None:
        """Return the first frame that an object is visible on, None if it is on none."""
        if object_id not in self._scores:
            return None
        visible = np.flatnonzero(self._scores[object_id]["visible"])
        return int(visible[0]) if visible.size else None

    def on(self, frame: int) -> dict[int, MaskRecord]:
        """Return every record of a frame by object, hidden ones too."""
        if frame in self._held:
            self._held.move_to_end(frame)
            return self._held[frame]
        scores = {
            i: _plain(rows[frame]) for i, rows in self._scores.items() if rows[frame]["known"]
        }
        found = self._store.read_frame(frame, scores) if scores else {}
        self._held[frame] = {i: one for i, one in found.items() if i in scores}
        self._let_go()
        return self._held[frame]

    def flush(self) -> None:
        """Write the frames that wait."""
        for frame in sorted(self._waiting):
            self._store.write(frame, self._held[frame])
            self._waiting.discard(frame)
        self._let_go()

    def waiting(self) -> Mapping[int, Mapping[int, MaskRecord]]:
        """Return the frames that wait, each with its records by object."""
        return {frame: self._held[frame] for frame in sorted(self._waiting)}

    def compact(self) -> None:
        """Write the frames that wait, and the scores anew, one line a frame."""
        self.flush()
        self._store.compact(self.masklets)

    def put(self, object_id: int, frame: int, record: MaskRecord | None) -> None:
        """Set, or with None remove, a record; it is kept with the digits that a session keeps."""
        here = self.on(frame)
        if record is None:
            here.pop(object_id, None)
            self._note(object_id, frame, None)
        else:
            scores = scores_of(record)
            here[object_id] = replace(record, predicted_iou=scores[0], object_score=scores[1])
            self._note(object_id, frame, scores)
        self._held[frame] = here
        self._waiting.add(frame)

    def has(self, object_id: int, frame: int) -> bool:
        """Whether an object has a record on a frame."""
        rows = self._scores.get(object_id)
        return rows is not None and 0 <= frame < len(rows) and bool(rows[frame]["known"])

    def frames_of(self, object_id: int) -> NDArray[np.intp]:
        """Return the frames on which an object has a record, ascending."""
        rows = self._scores.get(object_id)
        return np.zeros(0, np.intp) if rows is None else np.flatnonzero(rows["known"])

    def _note(self, object_id: int, frame: int, values: Scores | None) -> None:
        rows = self._scores.get(object_id)
        if rows is None:
            rows = self._scores[object_id] = np.zeros(self._num_frames, _SCORES)
        rows[frame] = (0.0, 0.0, False, False, False) if values is None else (*values, True)

    def _let_go(self) -> None:
        for frame in list(self._held)[: max(0, len(self._held) - self._held_frames)]:
            if frame not in self._waiting:
                del self._held[frame]


class _Records(MutableMapping[int, MaskRecord]):
    """The records of one object by frame, as `Masklet` asks for them."""

    def __init__(self, masks: SpilledMasks, object_id: int) -> None:
        self._masks = masks
        self._object_id = object_id

    def __getitem__(self, frame: int) -> MaskRecord:
        if not self._masks.has(self._object_id, frame):
            raise KeyError(frame)
        return self._masks.on(frame)[self._object_id]

    def __setitem__(self, frame: int, record: MaskRecord) -> None:
        self._masks.put(self._object_id, frame, record)

    def __delitem__(self, frame: int) -> None:
        if not self._masks.has(self._object_id, frame):
            raise KeyError(frame)
        self._masks.put(self._object_id, frame, None)

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int | np.integer) and self._masks.has(self._object_id, int(frame))

    def __iter__(self) -> Iterator[int]:
        return iter(self._masks.frames_of(self._object_id).tolist())

    def __len__(self) -> int:
        return len(self._masks.frames_of(self._object_id))


def _plain(row: np.void) -> Scores:
    return float(row["iou"]), float(row["score"]), bool(row["prompted"]), bool(row["visible"])
