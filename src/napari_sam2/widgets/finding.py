"""Objects that the network finds by itself, taken over as one step; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sam2.editing.change import Change, Place
from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
from napari_sam2.prompts import MaskPrompt
from napari_sam2.widgets.search import SearchOrder
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari_sam2.editing.history import Step
    from napari_sam2.prompts import Prompt
    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.messages import Differences, Found
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie

TITLE = "find objects"


class Finding:
    """Starts searches, and makes what they find objects.

    Parameters
    ----------
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
        Gives the ids.
    engine : Engine
        Who searches.
    """

    told = Signal(Status)
    """What to tell the user."""
    begun = Signal(object, Status)
    """A run is to be started: what the worker calls with its number, and what to say."""

    def __init__(
        self, movie: Callable[[], OpenMovie | None], objects: ObjectChoice, engine: Engine
    ) -> None:
        self._movie = movie
        self._objects = objects
        self._engine = engine
        self._number = 0
        self._ids: dict[int, int] = {}
        self._step: Step | None = None

    @property
    def count(self) -> int:
        """Objects that the last search has found and that are still there."""
        movie = self._movie()
        return 0 if movie is None else len(set(self._ids.values()) & set(movie.document.object_ids))

    def find(
        self,
        everywhere: bool = False,
        diameter: float | None = None,
        start: int | None = None,
        stop: int | None = None,
        **options: Any,
    ) -> bool:
        """Find the objects that are not there yet; what is there stays as it is.

        Parameters
        ----------
        everywhere : bool
            In the whole movie, following what is found; else on the frame that is shown. In a
            movie of stacks, in the slice that is shown.
        diameter : float, optional
            Typical diameter of the objects in pixels; estimated if not given.
        start, stop : int, optional
            First and last frame, or time, of the whole movie.
        **options
            Fields of `FindOptions` and `AutomaticOptions`.

        Returns
        -------
        bool
            Whether a search has begun; how far it is is told as of any run.
        """
        movie = self._movie()
        try:
            if movie is None:
                raise ValueError("there is no movie: choose an image layer first")
            order = _order(movie, everywhere, (start, stop), {"diameter": diameter, **options})
        except (ValueError, TypeError) as error:
            self.told.emit(Status(f"{str(error)[:1].upper()}{str(error)[1:]}", "error"))
            return False
        movie.send_contrast()
        where = f"{len(order.planes)} frames" if everywhere else f"frame {movie.frame}"
        news = Status(f"Looking for objects on {where}…", "busy")
        self.begun.emit(partial(self._engine.start, order), news)
        return True

    def take(self, movie: OpenMovie, found: Found) -> bool:
        """Take over what a search has found; whether there was anything."""
        if found.number != self._number:
            self._number, self._ids, self._step = found.number, {}, None
        if found.news is None:
            return False
        change = self._change(movie, found.news)
        if change.is_empty:
            return False
        movie.grouping = self._step
        try:
            self._step = movie.perform(change)
        finally:
            movie.grouping = None
        return True

    def _change(self, movie: OpenMovie, news: Differences) -> Change:
        """Return the difference as an edit of the document, under ids of the document."""
        document = movie.document
        there = set(document.object_ids)
        # Who was deleted, or taken back, since it was found stays away.
        lost = {number for number, own in self._ids.items() if own not in there}

        def own(place: Place) -> Place | None:
            if place[0] in lost:
                return None
            if place[0] not in self._ids:
                self._ids[place[0]] = self._objects.reserve()
            mine = self._ids[place[0]], place[1]
            return None if document.info(mine[0]).holds(place[1]) else mine

        masks, prompts, parents = {}, {}, {}
        for place, record in news.masks.items():
            if (mine := own(place)) is not None:
                masks[mine] = document.masklets.record(*mine), record
        for place, given in news.prompts.items():
            if (mine := own(place)) is not None:
                renamed = tuple(_renamed(one, mine[0]) for one in given)
                prompts[mine] = document.prompts.on(*mine), renamed
        for daughter, mother in news.mothers.items():
            child, parent = self._ids.get(daughter), self._ids.get(mother)
            if child is not None and parent is not None and not {daughter, mother} & lost:
                before = document.objects.get(child)
                parents[child] = before, replace(document.info(child), parent=parent)
        return Change(TITLE).then(Change(TITLE, masks, prompts, parents))


def _order(
    movie: OpenMovie,
    everywhere: bool,
    frames: tuple[int | None, int | None],
    options: dict[str, Any],
) -> SearchOrder:
    """Return what to search: planes of the movie, and how."""
    names = set(FindOptions.__dataclass_fields__)
    find = FindOptions(**{name: value for name, value in options.items() if name in names})
    rest = {name: value for name, value in options.items() if name not in names}
    if not everywhere:
        return SearchOrder((movie.frame,), find, AutomaticOptions(least_frames=1, **rest))
    grid = movie.layers.movie.grid
    planes = tuple(grid.along_time(grid.place(movie.frame)[1]))
    first = 0 if frames[0] is None else frames[0]
    last = len(planes) - 1 if frames[1] is None else frames[1]
    if not 0 <= first <= last < len(planes):
        raise ValueError(
            f"frames {first} to {last} are no range: the movie has 0 to {len(planes) - 1}"
        )
    return SearchOrder(planes[first : last + 1], find, AutomaticOptions(**rest))


def _renamed(prompt: Prompt, object_id: int) -> Prompt:
    if isinstance(prompt, MaskPrompt):
        return MaskPrompt.packed(object_id, prompt.frame, prompt.shape, prompt.bbox, prompt.bits)
    return replace(prompt, object_id=object_id)
