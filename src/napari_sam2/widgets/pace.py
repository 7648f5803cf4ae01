"""How long runs take here: measured, and expected of the next one."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.editing.document import Document
    from napari_sam2.predictor.options import PropagateOptions

NEWEST = 0.5
"""Weight of the newest measurement; machines are busy now and idle then."""


class Pace:
    """Seconds that an object costs on a frame, for each network on each device."""

    def __init__(self) -> None:
        self._network = ""
        self._measured: dict[str, float] = {}
        self._clicked: dict[str, list[float]] = {}

    def use(self, network: str, device: str) -> None:
        """Count for this network on this device from now on."""
        self._network = f"{network} on {device}"

    @property
    def seconds(self) -> float | None:
        """Seconds an object and frame, None while nothing is known."""
        clicked = self._clicked.get(self._network)
        return self._measured.get(self._network, median(clicked) if clicked else None)

    @property
    def is_measured(self) -> bool:
        """Whether a run was measured, not only clicks."""
        return self._network in self._measured

    def note_click(self, seconds: float) -> None:
        """Learn from an answer: encoding and decoding is most of a tracked frame, too."""
        # Of all of them: the first warms up, and another mask of the same click costs nothing.
        self._clicked.setdefault(self._network, []).append(seconds)

    def note_run(self, object_frames: int, seconds: float) -> None:
        """Learn from a run that computed so many masks."""
        if object_frames <= 0:
            return
        now = seconds / object_frames
        before = self._measured.get(self._network, now)
        self._measured[self._network] = NEWEST * now + (1 - NEWEST) * before

    def expected(self, object_frames: int) -> float | None:
        """Seconds that so many masks will take, None while nothing is known."""
        return None if self.seconds is None else object_frames * self.seconds


def object_frames(document: Document, options: PropagateOptions, num_frames: int) -> int:
    """Count the masks that a run will make, as far as the window knows.

    Parameters
    ----------
    document : Document
        Prompts, masks and locks.
    options : PropagateOptions
    num_frames : int
        Of the movie.
    """
    prompted = document.prompts.object_ids()
    objects = prompted if options.objects is None else set(options.objects) & set(prompted)
    last = num_frames - 1 if options.stop is None else options.stop
    frames = range(options.start or 0, last + 1)
    return sum(len(_made(document, object_id, options, frames)) for object_id in objects)


def _made(document: Document, object_id: int, options: PropagateOptions, frames: range) -> set[int]:
    """Frames on which a run makes masks of an object."""
    info, anchors = document.info(object_id), document.prompts.frames(object_id)
    if info.is_fixed:
        return set()
    first, last = frames.start, frames.stop - 1
    if options.direction == "forward":
        first = max(first, min(anchors))
    if options.direction == "backward":
        last = min(last, max(anchors))
    first = first if info.first is None else max(first, info.first)
    last = last if info.last is None else min(last, info.last)
    made = set(range(first, last + 1)) - set(anchors) - info.locked
    return made - set(document.masklets.frames(object_id)) if options.resume else made
