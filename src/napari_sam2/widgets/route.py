"""Which way a run goes through a movie of stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_sam2.predictor.options import Along, PropagateOptions

if TYPE_CHECKING:
    from napari_sam2.planes import PlaneGrid


@dataclass(slots=True)
class Route:
    """Along time, along z, or both; in movies without stacks it means nothing.

    Attributes
    ----------
    along : {"both", "time", "z"}
    only_here : bool
        Only in the slice (along time) or at the time (along z) that is shown; objects without a
        prompt there start from the mask that they have there.
    """

    along: Along = "both"
    only_here: bool = False

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

        It goes as far as `stop`, or to the end where that lies behind.
        """
        start = self.position(grid, plane)
        last = stop if stop >= start else None
        return self.apply(PropagateOptions(tuple(objects), "forward", start, last), grid, plane)
