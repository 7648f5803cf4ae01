"""How far a run through a movie of stacks is: what one that was ended goes on from."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_sam2.predictor.session import VideoSession

__all__ = ["StackState"]


@dataclass(slots=True)
class StackState:
    """Where a run is, and what the engine knows along its lines.

    The run keeps it true at every result that it yields. Given to another run with the same options
    and masks, which has to resume, it lets that one go on behind that result.

    Attributes
    ----------
    forgets : bool
        Whether what is encoded is let go wherever the run may be ended, so that one that goes on,
        and has nothing encoded, computes the very same numbers.
    sweep : int
        Directions that are done, of a run along time and z.
    place : int or None
        The time in work, or the number of the line; None before the first.
    waiting : tuple of int
        Objects that are followed there.
    handed : dict of int to int
        Objects that were handed over to this time, and the plane on which.
    slices : dict of int to int
        Object to the slice in which it is handed over to the next time.
    passing : {0, 1, -1}
        Direction of the pass along the line in work; 0 before the first.
    line : VideoSession or None
        The line in work, if it has been begun.
    chains : dict of int to VideoSession
        Object to the line through time along which it is handed over.
    """

    forgets: bool = False
    sweep: int = 0
    place: int | None = None
    waiting: tuple[int, ...] = ()
    handed: dict[int, int] = field(default_factory=dict)
    slices: dict[int, int] = field(default_factory=dict)
    passing: int = 0
    line: VideoSession | None = None
    chains: dict[int, VideoSession] = field(default_factory=dict)

    def enter(self, place: int, waiting: tuple[int, ...] = ()) -> None:
        """Begin with a time or a line."""
        self.place, self.waiting = place, waiting
        self.handed.clear()
        self.line, self.passing = None, 0

    def turn(self) -> None:
        """Note that a direction is done."""
        self.sweep += 1
        self.place = None
        self.slices.clear()
