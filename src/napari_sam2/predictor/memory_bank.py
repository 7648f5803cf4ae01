"""What is remembered of one object: prompted frames and recent frames, and which of them count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from napari_sam2.predictor.transforms import View
from napari_sam2.prompts import Prompt, say_absent

Center = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class FrameMemory:
    """What is remembered of an object on one frame.

    Attributes
    ----------
    view : View
        Through which the frame was seen; a spatial memory means nothing in another view.
    spatial : Tensor, (Cm, h, w)
        Spatial memory.
    pointer : Tensor, (C,)
        Object pointer.
    logits : Tensor, (4h, 4w)
        Mask logits of the frame, the starting point of a correction.
    center : tuple of float or None
        Where the object was thought to be, (y, x) in the frame; None for that of its mask.
    """

    view: View
    spatial: Tensor
    pointer: Tensor
    logits: Tensor
    center: Center | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Frames that one frame attends to.

    Attributes
    ----------
    spatial : tuple of (int, int)
        Frame, and row of the temporal embedding.
    pointers : tuple of (int, int)
        Frame, and distance in frames along the direction of travel.
    """

    spatial: tuple[tuple[int, int], ...]
    pointers: tuple[tuple[int, int], ...]

    @property
    def frames(self) -> tuple[int, ...]:
        """All frames of the selection, each once."""
        return tuple(dict.fromkeys(f for f, _ in (*self.spatial, *self.pointers)))


@dataclass(slots=True)
class MemoryBank:
    """The memories of one object.

    Parameters
    ----------
    window : int
        Recent spatial memories that a frame attends to (``num_maskmem - 1``).
    pointer_window : int
        Recent frames whose pointers it attends to (``max_object_pointers - 1``).

    Notes
    -----
    Prompted memories stay until their prompt is gone. Recent ones are let go as the run moves
    on, except near prompted frames: a backward run that starts there looks at them, as in the
    reference. So the size depends on the number of prompted frames, not on that of frames.
    """

    window: int
    pointer_window: int
    prompted: dict[int, FrameMemory] = field(default_factory=dict)
    recent: dict[int, FrameMemory] = field(default_factory=dict)
    sources: dict[int, tuple[Prompt, ...]] = field(default_factory=dict)

    def get(self, frame: int) -> FrameMemory | None:
        """Return the memory of a frame, the prompted one first."""
        return self.prompted.get(frame) or self.recent.get(frame)

    def commit(self, frame: int, memory: FrameMemory, prompts: tuple[Prompt, ...]) -> None:
        """Keep a prompted frame and drop the stale memories around it, so that it wins."""
        self.prompted[frame] = memory
        self.sources[frame] = prompts
        reach = max(self.window, self.pointer_window)
        for stale in [f for f in self.recent if abs(f - frame) <= reach]:
            del self.recent[stale]

    def is_committed(self, frame: int, prompts: tuple[Prompt, ...]) -> bool:
        """Say whether a frame's memory was made from exactly these prompts."""
        return self.sources.get(frame) == prompts

    def forget(self, frame: int) -> None:
        """Drop a prompted frame."""
        self.prompted.pop(frame, None)
        self.sources.pop(frame, None)

    def push(self, frame: int, memory: FrameMemory) -> None:
        """Keep a tracked frame."""
        self.recent[frame] = memory

    def evict(self, frame: int, step: int) -> None:
        """Drop what no later frame of a run at ``frame`` in direction ``step`` attends to."""
        reach = max(self.window, self.pointer_window)
        for old in list(self.recent):
            is_behind = (frame - old) * step >= reach
            is_near_prompt = any(abs(old - p) <= reach for p in self.prompted)
            if is_behind and not is_near_prompt:
                del self.recent[old]

    def reachable(self, frame: int, step: int) -> range:
        """Return the frames, the nearest first, that a frame may attend to without a prompt."""
        reach = max(self.window, self.pointer_window)
        return range(frame - step, frame - step * (reach + 1), -step)

    def select(
        self, frame: int, step: int, limits: tuple[int, int | None], known: Iterable[int]
    ) -> Selection:
        """Choose the memories of a frame by the rules of SAM 2.

        Parameters
        ----------
        frame : int
            Frame that will attend.
        step : {1, -1}
            Direction of travel.
        limits : tuple of (int, int or None)
            Number of frames in the movie; most prompted frames to attend to.
        known : iterable of int
            Tracked frames that have a memory, or can be given one; those of `reachable` are enough.

        Returns
        -------
        Selection
            All prompted frames (or the nearest), the ``window`` frames before, and the pointers
            of prompted frames in the past and of the ``pointer_window`` frames before. A frame on
            which somebody said that the object is absent tells nothing of how it looks: it counts
            among the frames before alone, and it and those before it only until the next frame on
            which somebody said where the object is.
        """
        num_frames, max_prompted = limits
        seen = self._seen()
        chosen = closest_prompted(frame, seen, max_prompted)
        usable = (set(known) | set(self.prompted)) - set(chosen)
        over = self._over_by(frame, step, seen)
        usable = {f for f in usable if over is None or (f - over) * step > 0}
        spatial = [(f, self.window) for f in chosen]
        for distance in range(self.window, 0, -1):
            if (past := frame - step * distance) in usable:
                spatial.append((past, distance - 1))
        pointers = [(f, (frame - f) * step) for f in chosen if (frame - f) * step >= 0]
        for distance in range(1, min(self.pointer_window, num_frames - 1) + 1):
            if (past := frame - step * distance) in usable:
                pointers.append((past, distance))
        return Selection(tuple(spatial), tuple(pointers))

    def _over_by(self, frame: int, step: int, seen: list[int]) -> int | None:
        """Return the last frame of an absence that has ended on the way to a frame, if there is."""
        ways = [f * step for f in seen if f * step < frame * step]
        absent = set(self.prompted) - set(seen)
        ended = [f * step for f in absent if ways and f * step < max(ways)]
        return max(ended) * step if ended else None

    def _seen(self) -> list[int]:
        """Return the prompted frames that show the object; all of them where none does."""
        frames = sorted(self.prompted)
        return [f for f in frames if not say_absent(self.sources.get(f, ()))] or frames


def closest_prompted(frame: int, prompted: list[int], limit: int | None) -> list[int]:
    """Choose prompted frames: the closest before, the closest at or after, then the nearest.

    Parameters
    ----------
    frame : int
        Frame that will attend.
    prompted : list of int
        Prompted frames, ascending.
    limit : int or None
        Most frames to choose; all if None.

    Returns
    -------
    list of int, ascending
    """
    if limit is None or len(prompted) <= limit:
        return prompted
    before = [f for f in prompted if f < frame][-1:]
    after = [f for f in prompted if f >= frame][:1]
    first = (before + after)[:limit]
    rest = sorted((f for f in prompted if f not in first), key=lambda f: (abs(f - frame), f))
    return sorted(first + rest[: limit - len(first)])
