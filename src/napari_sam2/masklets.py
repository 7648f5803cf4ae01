"""Masks of objects over frames, kept small: a bounding box and one bit for each pixel in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["MaskRecord", "Masklet", "MaskletSet", "records_of"]

_EMPTY_BOX = (0, 0, 0, 0)

_ENDED_SCORE = -1024.0
"""Object score after an object's end; no network gives so low a one."""


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """The mask of one object on one frame, with what the network thinks of it.

    Parameters
    ----------
    bbox : tuple of int
        ``(y0, x0, y1, x1)`` in frame pixels, half open; all zero when no pixel is inside.
    bits : bytes
        The pixels of the box in row order, eight a byte, most significant bit first.
    predicted_iou : float
        Overlap with the truth that the network expects, 0 to 1.
    object_score : float
        Logit of the object being visible.
    prompted : bool
        Whether the user prompted the object on this frame.
    """

    bbox: tuple[int, int, int, int]
    bits: bytes = field(repr=False)
    predicted_iou: float = 1.0
    object_score: float = 0.0
    prompted: bool = False

    @classmethod
    def from_mask(
        cls,
        mask: NDArray[np.bool_],
        *,
        predicted_iou: float = 1.0,
        object_score: float = 0.0,
        prompted: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> MaskRecord:
        """Pack a mask.

        Parameters
        ----------
        mask : ndarray of bool, shape (H, W)
            The frame, or a part of it that contains the object.
        predicted_iou, object_score, prompted
            As in the class.
        origin : tuple of int
            Where the first pixel of `mask` lies in the frame, (y, x).

        Raises
        ------
        ValueError
            If `mask` is not two-dimensional, or would begin outside the frame.
        """
        inside = np.asarray(mask)
        if inside.ndim != 2:
            raise ValueError(f"a mask has shape {inside.shape}; give one (H, W) mask")
        if min(origin) < 0:
            raise ValueError(f"origin {origin} lies outside the frame; cut the mask to the frame")
        inside = inside.astype(bool, copy=False)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if rows.size == 0:
            return cls(_EMPTY_BOX, b"", float(predicted_iou), float(object_score), prompted)
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        bits = np.packbits(inside[y0:y1, x0:x1]).tobytes()
        dy, dx = int(origin[0]), int(origin[1])
        bbox = (y0 + dy, x0 + dx, y1 + dy, x1 + dx)
        return cls(bbox, bits, float(predicted_iou), float(object_score), prompted)

    @classmethod
    def ended(cls, confidence: float = 1.0) -> MaskRecord:
        """Return what stands for an object that has divided, and is no more.

        Parameters
        ----------
        confidence : float
            How sure that is, 0 to 1; kept as the predicted overlap of an empty mask.
        """
        return cls(_EMPTY_BOX, b"", confidence, _ENDED_SCORE)

    @property
    def visible(self) -> bool:
        """Whether any pixel is inside."""
        return self.bbox != _EMPTY_BOX

    @property
    def has_ended(self) -> bool:
        """Whether a run has found that the object had divided before this frame."""
        return not self.visible and self.object_score == _ENDED_SCORE

    @property
    def area(self) -> int:
        """Number of pixels inside."""
        return int.from_bytes(self.bits, "big").bit_count()

    def centroid(self) -> tuple[float, float]:
        """Return the mean position of the pixels inside, (y, x) in the frame.

        Raises
        ------
        ValueError
            If no pixel is inside.
        """
        if not self.visible:
            raise ValueError("an empty mask has no centre: check `visible` first")
        crop = self.crop()
        area = np.count_nonzero(crop)
        y = crop.sum(axis=1) @ np.arange(crop.shape[0]) / area
        x = crop.sum(axis=0) @ np.arange(crop.shape[1]) / area
        return float(y) + self.bbox[0], float(x) + self.bbox[1]

    def crop(self) -> NDArray[np.bool_]:
        """Return the pixels of the bounding box, bool (y1 - y0, x1 - x0)."""
        y0, x0, y1, x1 = self.bbox
        height, width = y1 - y0, x1 - x0
        packed = np.frombuffer(self.bits, dtype=np.uint8)
        return np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)

    def mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the whole frame, bool (H, W).

        Raises
        ------
        ValueError
            If the object does not lie inside a frame of `shape`.
        """
        y0, x0, y1, x1 = self.bbox
        if y1 > shape[0] or x1 > shape[1]:
            raise ValueError(f"mask in {self.bbox} does not fit a frame of {tuple(shape)} pixels")
        out = np.zeros(shape, dtype=bool)
        out[y0:y1, x0:x1] = self.crop()
        return out


@dataclass(slots=True)
class Masklet:
    """The masks of one object over frames."""

    object_id: int
    records: MutableMapping[int, MaskRecord] = field(default_factory=dict)

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames with a record, ascending; the object may be hidden on some of them."""
        return tuple(sorted(self.records))

    @property
    def visible_frames(self) -> tuple[int, ...]:
        """Frames on which the object is seen, ascending."""
        return tuple(sorted(t for t, record in list(self.records.items()) if record.visible))

    @property
    def first_visible(self) -> int | None:
        """First frame on which the object is seen, None if there is none."""
        return min(self.visible_frames, default=None)

    @property
    def last_visible(self) -> int | None:
        """Last frame on which the object is seen, None if there is none."""
        return max(self.visible_frames, default=None)


class MaskletSet:
    """The masks of every object of a movie.

    Parameters
    ----------
    shape : tuple of int
        Frames, height and width of the movie, (T, H, W).
    keep : callable, optional
        Makes what keeps the records of an object by frame, from its id; a dictionary by default.

    Notes
    -----
    Where masks overlap, the smaller object is shown, so that it is not lost inside a larger one;
    the larger one keeps its own mask all the same.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        keep: Callable[[int], MutableMapping[int, MaskRecord]] = lambda object_id: {},
    ) -> None:
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape {tuple(shape)} is not (T, H, W) with at least one pixel")
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self._keep = keep
        self._masklets: dict[int, Masklet] = {}

    @classmethod
    def from_labels(cls, labels: NDArray[np.integer]) -> MaskletSet:
        """Take the masks from a label stack, integer (T, H, W), 0 being background.

        Raises
        ------
        ValueError
            If `labels` is not (T, H, W), not of an integer type or has a label below 0.
        """
        if labels.ndim != 3 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels are {labels.dtype} of shape {labels.shape}; give integers (T, H, W)"
            )
        out = cls(labels.shape)
        for frame in range(labels.shape[0]):
            for object_id, record in records_of(np.asarray(labels[frame])):
                out.write(object_id, frame, record)
        return out

    def __iter__(self) -> Iterator[Masklet]:
        return iter([self._masklets[object_id] for object_id in self.object_ids()])

    def __len__(self) -> int:
        return len(self._masklets)

    def object_ids(self) -> tuple[int, ...]:
        """Objects with a record, ascending."""
        return tuple(sorted(self._masklets))

    def frames(self, object_id: int) -> tuple[int, ...]:
        """Frames with a record of an object, ascending."""
        masklet = self._masklets.get(object_id)
        return () if masklet is None else masklet.frames

    def write(self, object_id: int, frame: int, record: MaskRecord) -> None:
        """Set the mask of an object on a frame.

        Raises
        ------
        ValueError
            If the object id is below 1, or the frame or the mask lies outside the movie.
        """
        if object_id < 1:
            raise ValueError(f"object id {object_id} is below 1; 0 is the background")
        self._check_frame(frame)
        if record.bbox[2] > self.shape[1] or record.bbox[3] > self.shape[2]:
            raise ValueError(
                f"mask in {record.bbox} does not fit frames of {self.shape[1:]} pixels"
            )
        if object_id not in self._masklets:
            self._masklets[object_id] = Masklet(object_id, self._keep(object_id))
        self._masklets[object_id].records[frame] = record

    def record(self, object_id: int, frame: int) -> MaskRecord | None:
        """Return the record of an object on a frame, None if there is none."""
        masklet = self._masklets.get(object_id)
        return None if masklet is None else masklet.records.get(frame)

    def mask(self, object_id: int, frame: int) -> NDArray[np.bool_]:
        """Return the mask of an object on a frame, bool (H, W); empty without a record."""
        self._check_frame(frame)
        record = self.record(object_id, frame)
        size = self.shape[1:]
        return np.zeros(size, dtype=bool) if record is None else record.mask(size)

    def remove(self, object_id: int, frames: Iterable[int] | None = None) -> None:
        """Forget an object, or its records on some frames; what is not there is no error."""
        masklet = self._masklets.get(object_id)
        if masklet is None:
            return
        for frame in masklet.frames if frames is None else frames:
            masklet.records.pop(frame, None)
        if not masklet.records:
            del self._masklets[object_id]

    @property
    def label_dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest of uint16 and uint32 that holds every object id."""
        largest = max(self._masklets, default=0)
        return np.dtype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)

    def paste(self, frame: int, out: NDArray[np.integer]) -> None:
        """Write the object ids of a frame into `out`, (H, W), over what is there."""
        self._check_frame(frame)
        found = [(m.object_id, m.records[frame]) for m in self if frame in m.records]
        for object_id, record in sorted(found, key=lambda item: (-item[1].area, item[0])):
            y0, x0, y1, x1 = record.bbox
            out[y0:y1, x0:x1][record.crop()] = object_id

    def labels(
        self, frame: int, dtype: np.dtype[np.unsignedinteger] | None = None
    ) -> NDArray[np.unsignedinteger]:
        """Return the object ids of a frame, (H, W), 0 being background; see `label_dtype`."""
        out = np.zeros(self.shape[1:], dtype=dtype or self.label_dtype)
        self.paste(frame, out)
        return out

    def to_labels(self) -> NDArray[np.unsignedinteger]:
        """Return the object ids of the movie, (T, H, W), 0 being background."""
        out = np.zeros(self.shape, dtype=self.label_dtype)
        for frame in range(self.shape[0]):
            self.paste(frame, out[frame])
        return out

    def _check_frame(self, frame: int) -> None:
        """Refuse a frame outside the movie."""
        if not 0 <= frame < self.shape[0]:
            raise ValueError(f"frame {frame} is outside the movie: use 0 to {self.shape[0] - 1}")


def records_of(labels: NDArray[np.integer]) -> Iterator[tuple[int, MaskRecord]]:
    """Yield the id and the record of every label of a frame, (H, W), reading it only once.

    Raises
    ------
    ValueError
        If a label is below 0.
    """
    ys, xs = np.nonzero(labels)
    ids = labels[ys, xs]
    if ids.size and ids.min() < 0:
        raise ValueError(f"label {ids.min()} is below 0; labels are object ids, from 1")
    order = np.argsort(ids, kind="stable")
    ids, ys, xs = ids[order], ys[order], xs[order]
    for part in np.split(np.arange(ids.size), np.flatnonzero(np.diff(ids)) + 1):
        if part.size:
            rows, columns = ys[part], xs[part]
            y0, x0 = int(rows.min()), int(columns.min())
            crop = np.zeros((int(rows.max()) - y0 + 1, int(columns.max()) - x0 + 1), dtype=bool)
            crop[rows - y0, columns - x0] = True
            yield int(ids[part[0]]), MaskRecord.from_mask(crop, origin=(y0, x0))
