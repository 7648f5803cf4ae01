"""What a run will make, and how long that takes here, before it is begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.widgets.pace import object_frames
from napari_sam2.widgets.stack_forecast import object_planes
from napari_sam2.widgets.status import expectation_text

if TYPE_CHECKING:
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.widgets.open_movie import OpenMovie
    from napari_sam2.widgets.pace import Pace
    from napari_sam2.widgets.route import Route


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a run will make.

    Attributes
    ----------
    masks : int
    seconds : float or None
        None while nothing is known about this network here.
    text : str
        Both in words.
    """

    masks: int
    seconds: float | None
    text: str


class Forecast:
    """Counts the masks of runs of the movie in work.

    Parameters
    ----------
    movie : callable
        Returns the movie in work, None without one.
    pace : Pace
    route : Route
        Which way they go in a movie of stacks.
    """

    def __init__(self, movie: Callable[[], OpenMovie | None], pace: Pace, route: Route) -> None:
        self._movie = movie
        self._pace = pace
        self._route = route

    def of(self, options: PropagateOptions) -> Expectation:
        """Return what a run will make; in stacks from the depth that objects are known to have."""
        movie = self._movie()
        if movie is None:
            return Expectation(0, None, "")
        document, is_bound = movie.document, False
        if document.grid.is_line:
            masks = object_frames(document, options, len(document.grid))
        else:
            way = self._route.apply(options, document.grid, movie.frame)
            masks, is_bound = object_planes(document, way)
        seconds = self._pace.expected(masks)
        text = expectation_text(masks, seconds, self._pace, is_bound=is_bound)
        return Expectation(masks, seconds, text)
