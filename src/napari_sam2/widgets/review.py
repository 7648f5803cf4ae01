"""What is known of every object, and where to look next; free of Qt.

Masks are measured in slices of a few milliseconds, so that the window keeps up with a run and with
a session of hundreds of objects.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_sam2.tracking.measures import MeasureTable
from napari_sam2.tracking.quality import ObjectQuality, quality_from
from napari_sam2.tracking.stack_quality import stack_quality
from napari_sam2.widgets.camera import bring_into_view
from napari_sam2.widgets.coordinates import show_frame
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.editing.objects import ObjectInfo, ReviewState
    from napari_sam2.widgets.edits import Edits
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie

SLICE_SECONDS = 0.008
"""Time that measuring may take of the window's thread at once."""
REST_SECONDS = 0.01
"""Time that the window has for itself between two slices."""
NEWS_SECONDS = 0.1
"""Least time between two rounds of news, each of which redraws rows and the lane."""
PATIENCE_SECONDS = 0.1
"""How long a jump to the next doubtful frame may wait for masks to be measured."""


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One row of the table of objects.

    Attributes
    ----------
    object_id : int
    name : str
    first, last : int or None
        Frames on which the object is seen first and last.
    span : tuple of str
        How people call those two, in few letters.
    prompts : int
        Clicks, boxes and masks that a person gave.
    confidence : float or None
        0 to 1; see `tracking.quality.ObjectQuality.confidence`.
    state : str
        ``"in work"``, ``"accepted"`` or ``"rejected"``.
    locked : bool or None
        On all frames, on none, or None for some.
    parent : int or None
    """

    object_id: int
    name: str
    first: int | None
    last: int | None
    span: tuple[str, str]
    prompts: int
    confidence: float | None
    state: ReviewState
    locked: bool | None
    parent: int | None


class Review:
    """The objects of the movie in work as rows, their quality, and the jump to doubtful frames.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its slider is moved.
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
    edits : Edits
    wake : callable
        Asks for a call of `refresh`.
    """

    entered = Signal()
    """Another movie is in work."""
    objects_changed = Signal()
    """Rows came or went, or all are others."""
    rows_changed = Signal(set)
    """What is shown of these objects is different."""
    lane_changed = Signal()
    """The object in work, or its quality, is another."""
    told = Signal(Status)
    """What to tell the user."""

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        objects: ObjectChoice,
        edits: Edits,
        wake: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._objects = objects
        self._edits = edits
        self._wake = wake
        self._tables: WeakKeyDictionary[OpenMovie, MeasureTable] = WeakKeyDictionary()
        self._qualities: dict[int, ObjectQuality] = {}
        self._heads: dict[int, tuple[int, ObjectInfo]] = {}  # number of prompts, what is known
        self._news: set[int] = set()
        self._is_head_due = False
        self._last_news = 0.0
        objects.changed.connect(self._on_chosen)

    def attach(self, movie: OpenMovie) -> None:
        """Follow the changes of a movie that was opened."""
        self._tables[movie] = MeasureTable(movie.document.masklets)
        movie.changed.connect(lambda frames: self._note(movie, frames))

    def enter(self) -> None:
        """Show the objects of the movie that is in work now."""
        self._qualities.clear()
        self._news.clear()
        self._heads = self._read_heads()
        self.entered.emit()
        self.objects_changed.emit()
        self.lane_changed.emit()
        self._wake()

    def refresh(self) -> float | None:
        """Measure for a slice of time and tell what is new.

        Returns
        -------
        float or None
            Seconds after which to call again, None if everything is told.
        """
        table = self._table()
        if table is None:
            return None
        end = time.perf_counter() + SLICE_SECONDS
        while not table.is_current and time.perf_counter() < end:
            self._forget(table.measure_next())
        wait = self._last_news + NEWS_SECONDS - time.monotonic()
        has_news = bool(self._news) or self._is_head_due
        if has_news and wait <= 0:
            self._tell_news()
            has_news = False
        if not table.is_current:
            return REST_SECONDS
        return max(wait, 0.001) if has_news else None

    def ids(self) -> tuple[int, ...]:
        """Objects with a row, ascending."""
        return tuple(sorted(self._heads))

    def row(self, object_id: int) -> ObjectRow:
        """Return what is known of an object, as far as it has been measured."""
        prompts, info = self._heads[object_id]
        quality = self.quality(object_id)
        first, last = quality.span or (None, None)
        locked = True if info.is_locked else (None if info.locked else False)
        return ObjectRow(
            object_id, info.name, first, last, (self._short(first), self._short(last)), prompts,
            quality.confidence, info.state, locked, info.parent,
        )  # fmt: skip

    @property
    def has_depth(self) -> bool:
        """Whether the movie in work is one of stacks."""
        movie = self._movie()
        return movie is not None and not movie.document.grid.is_line

    def where(self, frame: int) -> str:
        """Return how people call a frame of the movie in work."""
        movie = self._movie()
        return f"frame {frame}" if movie is None else movie.document.grid.name(frame)

    def _short(self, frame: int | None) -> str:
        movie = self._movie()
        return "" if frame is None or movie is None else movie.document.grid.short(frame)

    def quality(self, object_id: int | None = None) -> ObjectQuality:
        """Return the quality of an object, by default the one in work, as far as measured."""
        chosen = self._objects.current if object_id is None else object_id
        known = self._qualities.get(chosen)
        if known is None:
            table, movie = self._table(), self._movie()
            if table is None or movie is None:
                raise ValueError("there is no movie: choose an image layer first")
            measures, grid = table.of(chosen), movie.document.grid
            known = quality_from(measures) if grid.is_line else stack_quality(measures, grid)
            self._qualities[chosen] = known
        return known

    def go_to(self, frame: int) -> None:
        """Move the slider to a frame, and the camera if the object in work is off the screen."""
        movie = self._movie()
        if movie is None:
            return
        show_frame(self._viewer, movie.image, frame)
        record = movie.document.masklets.record(self._objects.current, frame)
        if record is not None and record.visible:
            bring_into_view(self._viewer, movie.image, frame, record.bbox)

    def next_doubtful(self, *, of_any: bool = False) -> tuple[int, int] | None:
        """Go to the next doubtful frame, after the last to the first.

        Parameters
        ----------
        of_any : bool
            Of any object that is in work still, choosing it; by default of the chosen one.

        Returns
        -------
        tuple of int or None
            Object and frame; None if nothing is doubtful.
        """
        movie, table = self._movie(), self._table()
        if movie is None or table is None:
            return None
        end = time.perf_counter() + PATIENCE_SECONDS
        while not table.is_current and time.perf_counter() < end:
            self._forget(table.measure_next())
        current = self._objects.current
        stops = self._stops() if of_any else [(t, current) for t in self.quality().stops]
        if not stops:
            whose = "No object" if of_any else f"Object {current}"
            verb = "has" if of_any else "has no"
            self.told.emit(Status(f"{whose} {verb} doubtful frames"))
            return None
        here = movie.frame, current
        number = next((n for n, stop in enumerate(stops) if stop > here), 0)
        frame, object_id = stops[number]
        self._objects.select(object_id)
        self.go_to(frame)
        reason = self.quality(object_id).reason(frame)
        place = f"Object {object_id}, {movie.document.grid.name(frame)}"
        self.told.emit(Status(f"{place}: {reason} ({number + 1} of {len(stops)} doubtful)"))
        return object_id, frame

    def accept(self, objects: Sequence[int] | None = None) -> bool:
        """Accept objects, or take them back into work if all are accepted."""
        return self._toggle_state("accepted", objects)

    def reject(self, objects: Sequence[int] | None = None) -> bool:
        """Reject objects, or take them back into work if all are rejected."""
        return self._toggle_state("rejected", objects)

    def lock(self, objects: Sequence[int] | None = None) -> bool:
        """Lock objects on every frame, or unlock them if all are locked."""
        chosen = self._chosen(objects)
        is_locked = all(self._heads[i][1].is_locked for i in chosen if i in self._heads)
        return self._edits.lock(chosen, locked=not is_locked)

    def delete(self, objects: Sequence[int] | None = None) -> bool:
        """Remove objects everywhere, and go to a neighbour of the one in work if it is gone."""
        chosen = self._chosen(objects)
        is_done = self._edits.delete(chosen)
        if is_done and self._objects.current in chosen:
            self._objects.leave()
        return is_done

    def _toggle_state(self, state: ReviewState, objects: Sequence[int] | None) -> bool:
        chosen = self._chosen(objects)
        has_it = all(self._heads[i][1].state == state for i in chosen if i in self._heads)
        return self._edits.review(chosen, "in work" if has_it else state)

    def _chosen(self, objects: Sequence[int] | None) -> tuple[int, ...]:
        # What was done a moment ago counts, told or not.
        self._heads = {**self._heads, **self._read_heads()}
        return (self._objects.current,) if objects is None else tuple(objects)

    def _stops(self) -> list[tuple[int, int]]:
        """Doubtful frames of all objects in work, with their objects, ascending."""
        open_ids = [i for i, (_, info) in self._heads.items() if info.state == "in work"]
        return sorted(
            (frame, i)
            for i in open_ids
            for frame in self.quality(i).stops
            if not self._heads[i][1].holds(frame)
        )

    def _table(self) -> MeasureTable | None:
        movie = self._movie()
        return None if movie is None else self._tables.get(movie)

    def _note(self, movie: OpenMovie, frames: set[int]) -> None:
        self._tables[movie].mark(frames)
        if movie is self._movie():
            self._is_head_due = True
            self._wake()

    def _forget(self, changed: frozenset[int]) -> None:
        for object_id in changed:
            self._qualities.pop(object_id, None)
        self._news |= changed

    def _read_heads(self) -> dict[int, tuple[int, ObjectInfo]]:
        movie = self._movie()
        if movie is None:
            return {}
        document = movie.document
        counts = Counter(prompt.object_id for prompt in document.prompts.all())
        return {i: (counts[i], document.info(i)) for i in document.object_ids}

    def _tell_news(self) -> None:
        """Emit what has changed since the last time."""
        self._last_news = time.monotonic()
        news, self._news = self._news, set()
        if self._is_head_due:
            self._is_head_due = False
            before, self._heads = self._heads, self._read_heads()
            news |= {i for i, head in self._heads.items() if before.get(i) != head}
            if before.keys() != self._heads.keys():
                self.objects_changed.emit()
        if known := news & self._heads.keys():
            self.rows_changed.emit(known)
        if self._objects.current in news:
            self.lane_changed.emit()

    def _on_chosen(self) -> None:
        self.lane_changed.emit()
