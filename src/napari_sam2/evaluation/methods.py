"""What every contestant offers, be it the network or a rival."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from napari_sam2.evaluation.clicks import BoxYXYX, PointYX
from napari_sam2.evaluation.ground_truth import AnnotatedMovie, MaskletTask
from napari_sam2.evaluation.metrics import BoolMask

StillProtocol = Literal["1 click", "3 clicks", "box"]
STILL_PROTOCOLS: tuple[StillProtocol, ...] = ("1 click", "3 clicks", "box")


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

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> BoolMask:
        """Return the mask (H, W) of the prompted object; it never sees the labels."""
        ...


class MaskletMethod(Protocol):
    """Follows objects from their masks on one frame."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, BoolMask]]]:
        """Yield every frame after the first with the mask (H, W) of each object."""
        ...
