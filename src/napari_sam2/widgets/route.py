"""Which way a run goes through a movie of stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from psygnal import Signal

from napari_sam2.predictor.options import Along, PropagateOptions

if TYPE_CHECKING:
    from napari_sam2.planes import PlaneGrid


class Route:
    """Along time, along z, or both; in movies without stacks it means nothing.

    Attributes
    ----------
    along : {"both", "time", "z"}
    only_here : bool
        Only in the slice (along time) or at the time (along z) that is shown; objects without a
        prompt there start from the mask that they have there.
    """

    changed = Signal()
    """It goes another way."""

    def __init__(self) -> None:
        self._along: Along = "both"
        self._only_here = False

    @property
    def along(self) -> Along:
        """Along what."""
        return self._along

    @along.setter
    def along(self, value: Along) -> None:
        self.go(value, self._only_here)

    @property
    def only_here(self) -> bool:
        """Whether only on the line that is shown."""
        return self._only_here

    @only_here.setter
    def only_here(self, value: bool) -> None:
        self.go(self._along, value)

    def go(self, along: Along, only_here: bool) -> None:
        """Go this way from now on.

        Raises
        ------
        ValueError
            If there is no such way.
        """
        if along not in get_args(Along):
            raise ValueError(f"along is {along!r}; choose one of {', '.join(get_args(Along))}")
        if (along, only_here) != (self._along, self._only_here):
            self._along, self._only_here = along, bool(only_here)
            self.changed.emit()

    def apply(self, options: PropagateOptions, grid: PlaneGrid, shown: int) -> PropagateOptions:
        """Return the options of a run that goes this way."""
        if grid.is_line:
            return options
        time, z = grid.place(shown)
        here = {"time": z, "z": time, "both": None}[self.along] if self.only_here else None
        return replace(options, along=self.along, at=here)

    def position(self, grid: PlaneGrid, plane: int) -> int:
        """Return where on the way a plane lies."""
        if grid.is_line:
            return plane
        time, z = grid.place(plane)
        return z if self.along == "z" else time

    def length(self, grid: PlaneGrid) -> int:
        """Return over how many places the range of a run reaches."""
        if grid.is_line:
            return len(grid)
        return grid.slices if self.along == "z" else grid.times

    def onward(
        self, grid: PlaneGrid, plane: int, objects: Sequence[int], stop: int
    ) -> PropagateOptions:
        """Return the options of a run that tracks objects from a plane on.

        It goes as far as `stop`, or to the end where that lies behind; along z through all of it.
        """
        if self._along == "z" and not grid.is_line:
            return self.apply(PropagateOptions(tuple(objects)), grid, plane)
        start = self.position(grid, plane)
        last = stop if stop >= start else None
        return self.apply(PropagateOptions(tuple(objects), "forward", start, last), grid, plane)
