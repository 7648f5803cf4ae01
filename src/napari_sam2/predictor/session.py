"""Everything about one video that is being annotated."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.masklets import MaskletSet
from napari_sam2.model.outputs import MaskPrediction
from napari_sam2.predictor.composed_frames import LineFrames
from napari_sam2.predictor.feature_cache import FeatureCache
from napari_sam2.predictor.followed import Followed
from napari_sam2.predictor.frames import ArrayFrames, FrameSource, IntensityMapping, Prefetcher
from napari_sam2.predictor.locks import Locks
from napari_sam2.predictor.memory_bank import MemoryBank
from napari_sam2.predictor.transforms import View
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt, PromptStore

DEFAULT_CACHE_BYTES = 64 * 2**20
"""Bytes of encoded frames that a session keeps: 128 views of the bundled network."""

_KEPT_FRAMES = 5
"""Frames whose pixels are kept: how an object has moved is seen between two, and whether it has
divided on two before, and two after."""


@dataclass(frozen=True, slots=True)
class PromptedFrame:
    """The network's answer to the prompts of one object on one frame, not yet in memory.

    Attributes
    ----------
    prompts : tuple of Prompt
        What was answered.
    view : View
        Through which it was seen.
    prediction : MaskPrediction
        One row.
    others : tuple of (y, x)
        Clicks on other objects on the frame that were known then.
    """

    prompts: tuple[Prompt, ...]
    view: View
    prediction: MaskPrediction
    others: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionedFrame:
    """A frame's features after memory attention; they do not depend on the clicks."""

    frame: int
    view: View
    key: tuple[object, ...]
    embedding: Tensor


@dataclass(slots=True)
class ObjectState:
    """What the engine knows of one object.

    Attributes
    ----------
    bank : MemoryBank
        Its memories.
    view : View or None
        View it was last seen in.
    revision : int
        Grows when its prompts change; masks tracked under an older one are out of date.
    tracked : dict
        Frame to the revision that it was tracked under.
    corrected : set
        Frames that were tracked before they were prompted; what follows from it for the frames
        around them has not been worked out yet.
    answers : dict
        Frame to the answer to the prompts there.
    conditioned : ConditionedFrame or None
        Kept for the next click on the same frame.
    """

    bank: MemoryBank
    view: View | None = None
    revision: int = 0
    tracked: dict[int, int] = field(default_factory=dict)
    corrected: set[int] = field(default_factory=set)
    answers: dict[int, PromptedFrame] = field(default_factory=dict)
    conditioned: ConditionedFrame | None = None

    def forget(self, frame: int) -> None:
        """Drop a prompted frame: its memory, its answer, and what was tracked there."""
        self.bank.forget(frame)
        self.answers.pop(frame, None)
        self.tracked.pop(frame, None)
        self.corrected.discard(frame)
        self.revision += 1


class VideoSession:
    """One movie, its prompts, its masks, and what the engine remembers.

    Parameters
    ----------
    frames : FrameSource
        The movie.
    mapping : IntensityMapping or None
        From raw values to what the network sees, the same for all frames; percentiles of the
        movie if None.
    cache_bytes : int
        Most bytes of encoded frames to keep.

    Attributes
    ----------
    prompts : PromptStore
        What the user said; may be edited directly, the engine notices.
    masklets : MaskletSet
        The masks.
    locks : Locks
        Masks that no run changes.
    objects : dict
        Object id to :class:`ObjectState`.
    mothers : dict of int to int
        Daughters that have mothers, as far as the engine has to know.
    followed : Followed
        In movies of stacks: the way of the last run, and the prompts that were followed.
    """

    def __init__(
        self,
        frames: FrameSource,
        mapping: IntensityMapping | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.frames = frames
        self.mapping = IntensityMapping.from_percentiles(frames) if mapping is None else mapping
        self.prompts = PromptStore()
        self.masklets = MaskletSet(frames.shape)
        self.locks = Locks()
        self.objects: dict[int, ObjectState] = {}
        self.mothers: dict[int, int] = {}
        self.followed = Followed()
        self.features = FeatureCache(cache_bytes)
        self.model: object | None = None
        self._source: FrameSource = frames
        self._last_read: dict[int, NDArray[Any]] = {}

    @classmethod
    def open(
        cls,
        movie: Any,
        mapping: IntensityMapping | None = None,
        axes: str | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> VideoSession:
        """Open a movie.

        Parameters
        ----------
        movie : array-like or FrameSource
            (T, Y, X) or (T, Y, X, C), of any integer or float type; NumPy, dask and zarr arrays
            are read frame by frame.
        mapping : IntensityMapping, optional
            Intensity limits and channels; percentiles of the movie by default.
        axes : str, optional
            Order of the axes, such as "TCYX".
        cache_bytes : int
            Most bytes of encoded frames to keep.

        Returns
        -------
        VideoSession

        Raises
        ------
        ValueError
            If the array is no movie.
        """
        is_source = isinstance(movie, FrameSource) and not isinstance(movie, np.ndarray)
        frames = movie if is_source else ArrayFrames(movie, axes)
        return cls(frames, mapping, cache_bytes)

    def on_line(self, planes: Sequence[int]) -> VideoSession:
        """Return an empty session on some of the frames, in an order of their own.

        Parameters
        ----------
        planes : sequence of int
            Frames of this session.

        Returns
        -------
        VideoSession
            With the same intensities; what is encoded of a frame is kept for both.
        """
        line = VideoSession(LineFrames(self.frames, list(planes)), self.mapping)
        line.features, line.model = self.features, self.model
        return line

    def show(self, frames: FrameSource, mapping: IntensityMapping) -> None:
        """See the movie otherwise: other channels, other intensities; masks and prompts stay.

        Parameters
        ----------
        frames : FrameSource
            Of the same shape.
        mapping : IntensityMapping
        """
        if frames.shape != self.shape:
            raise ValueError(f"these are masks of {self.shape} frames, not of {frames.shape}")
        self.frames = self._source = frames
        self.mapping = mapping
        self._last_read = {}
        self.forget_memories()

    def number(self, frame: int) -> int:
        """Return the number under which what is read and encoded of a frame is kept."""
        return self.frames.planes[frame] if isinstance(self.frames, LineFrames) else frame

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width, (T, H, W)."""
        return self.frames.shape

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.frames.shape[0]

    @property
    def generation(self) -> int:
        """Grows with every change of the prompts; answers carry it, older ones are stale."""
        return self.prompts.revision

    def read(self, frame: int) -> NDArray[Any]:
        """Return the raw values of a frame; the last ones that were asked for are kept."""
        number = self.number(frame)
        if number not in self._last_read:
            kept = list(self._last_read.items())[1 - _KEPT_FRAMES :]
            self._last_read = dict([*kept, (number, self._source.read(frame))])
        return self._last_read[number]

    def can_look_at(self, frame: int) -> bool:
        """Say whether a frame beyond the one in work can be looked at.

        One that cannot be read is no reason to stop before it: the run meets the error there. And
        on a line through a movie of stacks planes are chosen as the run gets there.
        """
        if frame >= self.num_frames or isinstance(self.frames, LineFrames):
            return False
        try:
            self.read(frame)
        except Exception:  # whatever a reader makes of a bad file
            return False
        return True

    @contextmanager
    def reading_ahead(self, order: Sequence[int]) -> Iterator[None]:
        """Read the next frames of a run on a thread while the network is busy."""
        with Prefetcher(self.frames) as ahead:
            ahead.plan(order)
            self._source = ahead
            try:
                yield
            finally:
                self._source = self.frames

    def state_of(self, object_id: int, bank: MemoryBank) -> ObjectState:
        """Return what is known of an object, with an empty bank where it is new."""
        return self.objects.setdefault(object_id, ObjectState(bank))

    def note_followed(self, object_id: int, unanswered: Collection[int] = ()) -> None:
        """Take the masks of an object for what follows from its prompts, but these planes'."""
        planes = set(self.prompts.frames(object_id)) - set(unanswered)
        self.followed.mark(object_id, tuple((p, self.prompts.on(object_id, p)) for p in planes))

    def views_in_use(self) -> list[View]:
        """Return the views that objects were last seen in."""
        return [state.view for state in self.objects.values() if state.view is not None]

    def usual_side(self) -> int | None:
        """Return the side of the views in use, their median; None without any."""
        sides = sorted(view.height for view in self.views_in_use())
        return sides[len(sides) // 2] if sides else None

    def add(self, prompt: Prompt) -> None:
        """Add a prompt.

        Parameters
        ----------
        prompt : Prompt

        Raises
        ------
        ValueError
            If the frame is not in the movie, or the prompt lies outside the frame.
        """
        self.check(prompt)
        self.prompts.add(prompt)

    def remove_object(self, object_id: int) -> None:
        """Forget an object: its prompts, masks and memories. An unknown id is no error."""
        self.prompts.remove_object(object_id)
        self.masklets.remove(object_id)
        self.locks.remove(object_id)
        self.objects.pop(object_id, None)
        self.mothers.pop(object_id, None)

    def forget_memories(self) -> None:
        """Drop all that a network computed except the masks."""
        self.objects.clear()
        self.features.clear()

    def check(self, prompt: Prompt) -> None:
        """Refuse a prompt that does not lie in the movie; see :meth:`add`."""
        num_frames, height, width = self.shape
        if not 0 <= prompt.frame < num_frames:
            raise ValueError(
                f"prompt on frame {prompt.frame}: the movie has frames 0 to {num_frames - 1}"
            )
        match prompt:
            case PointPrompt(yx=yx):
                self._check_inside((yx,))
            case BoxPrompt(yxyx=(y0, x0, y1, x1)):
                # A box drawn by hand may reach over the edge, but must touch the frame.
                nearest = (max(y0, 0.0), max(x0, 0.0)), (min(y1, height - 1), min(x1, width - 1))
                self._check_inside(nearest)
            case MaskPrompt(shape=shape) if shape != (height, width):
                raise ValueError(
                    f"mask prompt of shape {shape}: frames are {height} x {width} pixels"
                )

    def _check_inside(self, points: tuple[tuple[float, float], ...]) -> None:
        _, height, width = self.shape
        for y, x in points:
            if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
                raise ValueError(
                    f"prompt at (y, x) = ({y:g}, {x:g}) is outside the frame of "
                    f"{height} x {width} pixels; coordinates are in pixels of the frame"
                )
