"""What a user says about an object on a frame: points, a box, a mask; and the store that keeps it.

Coordinates are ``(y, x)`` in frame pixels with pixel centres at integers, as napari has them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BoxPrompt",
    "MaskPrompt",
    "PointPrompt",
    "Prompt",
    "PromptStore",
    "reassigned",
    "say_absent",
]

_LARGEST_LABEL = 2**32 - 1
"""Object ids are the values of label images."""

_CANDIDATES = 3
"""Masks that the decoder offers for an ambiguous prompt."""


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A click: this pixel belongs to the object, or does not.

    Parameters
    ----------
    object_id : int
        Object that the click is about, from 1.
    frame : int
        Frame that was clicked, from 0.
    yx : tuple of float
        Position in pixels; pixel centres are integers.
    positive : bool
        True if the pixel is inside the object.
    candidate : int or None
        Where this is the only click on its frame, the network offers three masks, 0 to 2 in the
        decoder's order; which of them the user chose. None leaves the choice to the network.
    """

    object_id: int
    frame: int
    yx: tuple[float, float]
    positive: bool = True
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A rectangle around the whole object.

    Parameters
    ----------
    object_id : int
        Object in the box, from 1.
    frame : int
        Frame that was drawn on, from 0.
    yxyx : tuple of float
        ``(y0, x0, y1, x1)``, the centres of the first and the last pixel inside.
    """

    object_id: int
    frame: int
    yxyx: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, init=False)
class MaskPrompt:
    """The pixels of the object on one frame; no pixel at all says that it is not visible there.

    Parameters
    ----------
    object_id : int
        Object that the mask is of, from 1.
    frame : int
        Frame of the mask, from 0.
    mask : array_like of bool, shape (H, W)
        True inside the object; as large as the frame.

    Raises
    ------
    ValueError
        If `mask` is not two-dimensional.

    Notes
    -----
    Only the bounding box is kept, one bit a pixel: the masks of two hundred cells on a frame of
    2048 x 2048 pixels would otherwise take 800 MB.
    """

    object_id: int
    frame: int
    shape: tuple[int, int]
    bbox: tuple[int, int, int, int] = field(repr=False)
    bits: bytes = field(repr=False)

    def __init__(self, object_id: int, frame: int, mask: ArrayLike) -> None:
        pixels = np.asarray(mask)
        if pixels.ndim != 2:
            raise ValueError(
                f"a mask prompt has shape {pixels.shape}; give one (H, W) mask, as large as a frame"
            )
        inside = pixels.astype(bool, copy=False)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        y0, y1 = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        x0, x1 = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)
        shape = (int(inside.shape[0]), int(inside.shape[1]))
        bits = np.packbits(inside[y0:y1, x0:x1]).tobytes()
        self._set(object_id, frame, shape, (y0, x0, y1, x1), bits)

    @classmethod
    def packed(
        cls,
        object_id: int,
        frame: int,
        shape: tuple[int, int],
        bbox: tuple[int, int, int, int],
        bits: bytes,
    ) -> MaskPrompt:
        """Make a prompt of a mask that is packed already, as a `MaskRecord` holds it."""
        prompt = object.__new__(cls)
        prompt._set(object_id, frame, shape, bbox, bits)
        return prompt

    def _set(
        self,
        object_id: int,
        frame: int,
        shape: tuple[int, int],
        bbox: tuple[int, int, int, int],
        bits: bytes,
    ) -> None:
        values = {
            "object_id": object_id,
            "frame": frame,
            "shape": shape,
            "bbox": bbox,
            "bits": bits,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask, bool (H, W); a new array at each call."""
        y0, x0, y1, x1 = self.bbox
        size = (y1 - y0) * (x1 - x0)
        out = np.zeros(self.shape, dtype=bool)
        packed = np.frombuffer(self.bits, dtype=np.uint8)
        out[y0:y1, x0:x1] = np.unpackbits(packed, count=size).reshape(y1 - y0, x1 - x0)
        return out


Prompt = PointPrompt | BoxPrompt | MaskPrompt


def say_absent(prompts: Iterable[Prompt]) -> bool:
    """Whether prompts of an object on a frame say that it is not visible there."""
    return any(isinstance(prompt, MaskPrompt) and not prompt.bits for prompt in prompts)


def reassigned(prompt: Prompt, object_id: int) -> Prompt:
    """Return the same prompt about another object."""
    if isinstance(prompt, MaskPrompt):
        return MaskPrompt.packed(object_id, prompt.frame, prompt.shape, prompt.bbox, prompt.bits)
    return replace(prompt, object_id=object_id)


class PromptStore:
    """All prompts of a session in the order they were given, with undo and redo.

    One object has, on one frame, either a mask or else any number of points and at most one box:
    a mask replaces points and box, a point or a box replaces the mask, a box replaces the box.
    """

    def __init__(self) -> None:
        self._prompts: tuple[Prompt, ...] = ()
        self._past: list[tuple[Prompt, ...]] = []
        self._future: list[tuple[Prompt, ...]] = []
        self._groups: dict[tuple[int, int], tuple[Prompt, ...]] = {}
        self._revision = 0

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def revision(self) -> int:
        """A number that grows with every change, undo and redo included."""
        return self._revision

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to bring back."""
        return bool(self._future)

    def add(self, prompt: Prompt) -> None:
        """Add a prompt; what it contradicts on its frame goes (see the class).

        Raises
        ------
        ValueError
            If the object id is below 1, the frame below 0, a coordinate not finite, or a box has
            its corners in the wrong order.
        """
        _check(prompt)
        kept = tuple(other for other in self._prompts if not _replaces(prompt, other))
        self._change((*kept, prompt))

    def remove(self, prompt: Prompt) -> None:
        """Remove one prompt; of equal ones, the last.

        Raises
        ------
        ValueError
            If the prompt is not in the store.
        """
        for index in range(len(self._prompts) - 1, -1, -1):
            if self._prompts[index] == prompt:
                self._change(self._prompts[:index] + self._prompts[index + 1 :])
                return
        raise ValueError(f"{prompt} is not among the {len(self)} prompts; see all()")

    def clear(self, object_id: int, frame: int) -> None:
        """Remove every prompt of an object on a frame, if there are any."""
        gone = set(map(id, self.on(object_id, frame)))
        self._keep(tuple(prompt for prompt in self._prompts if id(prompt) not in gone))

    def replace(self, object_id: int, frame: int, prompts: Iterable[Prompt]) -> None:
        """Set all prompts of an object on a frame at once.

        Raises
        ------
        ValueError
            If one of them is about something else, or is wrong in itself; see :meth:`add`.
        """
        group = tuple(prompts)
        for prompt in group:
            _check(prompt)
            if (prompt.object_id, prompt.frame) != (object_id, frame):
                raise ValueError(f"{prompt} is not about object {object_id} on frame {frame}")
        if group != self.on(object_id, frame):
            gone = set(map(id, self.on(object_id, frame)))
            self._change((*(one for one in self._prompts if id(one) not in gone), *group))

    def remove_object(self, object_id: int) -> None:
        """Remove every prompt of an object, if there are any."""
        self._keep(tuple(prompt for prompt in self._prompts if prompt.object_id != object_id))

    def on(self, object_id: int, frame: int) -> tuple[Prompt, ...]:
        """Prompts of an object on a frame, in the order they were given."""
        return self._groups.get((object_id, frame), ())

    def frames(self, object_id: int) -> tuple[int, ...]:
        """Frames with prompts of an object, ascending."""
        return tuple(sorted(frame for owner, frame in list(self._groups) if owner == object_id))

    def shown_on(self, object_id: int) -> tuple[int, ...]:
        """Frames on which prompts show an object, ascending: not those on which it is absent."""
        frames = self.frames(object_id)
        return tuple(frame for frame in frames if not say_absent(self.on(object_id, frame)))

    def starts(self, object_id: int) -> tuple[int, ...]:
        """Frames that an object is followed from, ascending.

        Nothing can be followed from where it is not: those are frames on which prompts show it, or
        all with prompts where none does.
        """
        return self.shown_on(object_id) or self.frames(object_id)

    def object_ids(self) -> tuple[int, ...]:
        """Objects that have prompts, ascending."""
        return tuple(sorted({owner for owner, _ in list(self._groups)}))

    def objects_on(self, frame: int) -> tuple[int, ...]:
        """Objects that have prompts on a frame, ascending."""
        return tuple(sorted(owner for owner, where in list(self._groups) if where == frame))

    def all(self) -> tuple[Prompt, ...]:
        """Every prompt, in the order they were given."""
        return self._prompts

    def undo(self) -> bool:
        """Take the last change back; False if there is none."""
        if not self._past:
            return False
        self._future.append(self._prompts)
        self._set(self._past.pop())
        return True

    def redo(self) -> bool:
        """Bring the last change that was taken back; False if there is none."""
        if not self._future:
            return False
        self._past.append(self._prompts)
        self._set(self._future.pop())
        return True

    def _keep(self, prompts: tuple[Prompt, ...]) -> None:
        """Change to `prompts` unless nothing would go, which is no step to undo."""
        if len(prompts) != len(self._prompts):
            self._change(prompts)

    def _change(self, prompts: tuple[Prompt, ...]) -> None:
        """Make `prompts` the content as a step that can be undone."""
        self._past.append(self._prompts)
        self._future.clear()
        self._set(prompts)

    def _set(self, prompts: tuple[Prompt, ...]) -> None:
        """Make `prompts` the content; groups are built aside, so a reader thread sees one state."""
        groups: dict[tuple[int, int], tuple[Prompt, ...]] = {}
        for prompt in prompts:
            key = (prompt.object_id, prompt.frame)
            groups[key] = (*groups.get(key, ()), prompt)
        self._prompts, self._groups = prompts, groups
        self._revision += 1


def _check(prompt: Prompt) -> None:
    """Refuse a prompt that is wrong in every movie."""
    try:
        operator.index(prompt.object_id), operator.index(prompt.frame)
    except TypeError:
        raise ValueError(
            f"object {prompt.object_id!r} on frame {prompt.frame!r}: both have to be whole numbers"
        ) from None
    if prompt.object_id > _LARGEST_LABEL:
        raise ValueError(f"object id {prompt.object_id} is above {_LARGEST_LABEL}, the last label")
    if prompt.object_id < 1:
        raise ValueError(f"object id {prompt.object_id} is below 1; 0 is the background, use 1, 2…")
    if prompt.frame < 0:
        raise ValueError(f"frame {prompt.frame} is below 0; frames count from 0")
    if isinstance(prompt, PointPrompt) and not all(map(math.isfinite, prompt.yx)):
        raise ValueError(f"point {prompt.yx} is not finite; give (y, x) in pixels")
    if isinstance(prompt, PointPrompt) and prompt.candidate not in (None, *range(_CANDIDATES)):
        raise ValueError(f"candidate {prompt.candidate} is none of the masks 0, 1 and 2 of a click")
    if isinstance(prompt, BoxPrompt):
        _check_box(prompt.yxyx)


def _check_box(yxyx: tuple[float, float, float, float]) -> None:
    """Refuse a box that is not finite or has its corners exchanged."""
    if not all(map(math.isfinite, yxyx)):
        raise ValueError(f"box {yxyx} is not finite; give (y0, x0, y1, x1) in pixels")
    y0, x0, y1, x1 = yxyx
    if y1 < y0 or x1 < x0:
        raise ValueError(
            f"box {yxyx} ends before it begins; give (y0, x0, y1, x1) with y0 <= y1 and x0 <= x1"
        )


def _replaces(new: Prompt, old: Prompt) -> bool:
    """Whether adding `new` removes `old`."""
    if (new.object_id, new.frame) != (old.object_id, old.frame):
        return False
    if isinstance(new, MaskPrompt) or isinstance(old, MaskPrompt):
        return True
    return isinstance(new, BoxPrompt) and isinstance(old, BoxPrompt)
