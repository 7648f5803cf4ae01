"""Where the user looks: what is encoded before it is clicked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_REACH = 8
"""Frames on either side: what somebody who looks through a movie comes to within seconds."""


@dataclass(frozen=True, slots=True)
class Gaze:
    """Where the user looks.

    Attributes
    ----------
    frame : int
        Frame on screen.
    yx : tuple of float or None
        Where the mouse rests, in frame pixels; None if it is elsewhere.
    step : int
        1 or -1: the direction in which the slider was last moved.
    """

    frame: int
    yx: tuple[float, float] | None = None
    step: int = 1

    def frames(self, num_frames: int) -> Iterator[int]:
        """Yield the frame on screen and its neighbours, near ones and those ahead first."""
        yield self.frame
        for distance in range(1, _REACH + 1):
            for frame in (self.frame + self.step * distance, self.frame - self.step * distance):
                if 0 <= frame < num_frames:
                    yield frame
