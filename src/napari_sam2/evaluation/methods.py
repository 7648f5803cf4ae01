"""What every contestant offers, be it the network or a rival."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from napari_sam2.evaluation.clicks import BoxYXYX, PointYX
from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.metrics import BoolMask
from napari_sam2.evaluation.tasks import MaskletTask
from napari_sam2.masklets import MaskRecord

StillProtocol = Literal["1 click", "3 clicks", "5 clicks", "box"]
STILL_PROTOCOLS: tuple[StillProtocol, ...] = ("1 click", "3 clicks", "5 clicks", "box")
NETWORK = "network"
"""Name in tables of the network as users run it; only it has scores to be calibrated."""


@dataclass(frozen=True)
class StillPrompts:
    """All that a user has said of one object on one frame.

    Attributes
    ----------
    clicks : tuple of ((y, x), bool)
        Points in frame pixels, and whether each is positive; in the order of the clicks.
    box : (y0, x0, y1, x1) or None
        Inclusive pixel-centre corners.
    """

    clicks: tuple[tuple[PointYX, bool], ...] = ()
    box: BoxYXYX | None = None


class StillMethod(Protocol):
    """Answers prompts on one frame."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def protocols(self) -> tuple[StillProtocol, ...]:
        """Protocols that the method can take part in."""
        ...

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> MaskRecord:
        """Return the mask of the prompted object; it never sees the labels.

        A user adds clicks one by one: the first ones are those of the call before.
        """
        ...


class MaskletMethod(Protocol):
    """Follows objects from the prompts that a task gives them."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, MaskRecord]]]:
        """Yield every frame after the first, with the mask of each object that is on.

        The true masks are looked at only to say of an object what its prompt says.
        """
        ...


class InteractiveRun(Protocol):
    """One stretch of a movie that a person corrects."""

    def click(self, object_id: int, frame: int, yx: PointYX, positive: bool) -> BoolMask:
        """Add a click and return the answer on its frame (H, W)."""
        ...

    def mark_absent(self, object_id: int, frame: int) -> None:
        """Say that an object is not on a frame."""
        ...

    def propagate(self) -> None:
        """Follow all objects from all their prompts through the whole stretch."""
        ...

    def advance(self) -> Iterator[int]:
        """Follow all objects forward; clicks may be added on each frame that is yielded."""
        ...

    def record(self, object_id: int, frame: int) -> MaskRecord:
        """Return the mask of an object as it stands."""
        ...


class InteractiveMethod(Protocol):
    """Takes corrections on any frame."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def open(self, task: MaskletTask) -> InteractiveRun:
        """Begin anew, with no prompts."""
        ...
