"""What a user can do to objects, each undoable, on the movie in work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.editing import operations
from napari_sam2.widgets.drawn_masks import absent
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari_sam2.editing.change import Change
    from napari_sam2.editing.document import Document
    from napari_sam2.editing.objects import ReviewState
    from napari_sam2.widgets.open_movie import OpenMovie

Operation = Callable[["Document"], "Change"]


class Edits:
    """Edits of objects, and undo and redo of everything.

    Frames default to the one that is shown.

    Parameters
    ----------
    movie : callable
        Returns the movie in work, None without one.
    """

    changed = Signal()
    """There is something else to undo or to redo."""
    done = Signal()
    """Masks or objects were edited, taken back or done again."""
    told = Signal(Status)
    """What to tell the user."""

    def __init__(self, movie: Callable[[], OpenMovie | None]) -> None:
        self._movie = movie

    @property
    def undo_title(self) -> str | None:
        """What undo would take back."""
        movie = self._movie()
        return None if movie is None else movie.history.undo_title

    @property
    def redo_title(self) -> str | None:
        """What redo would do again."""
        movie = self._movie()
        return None if movie is None else movie.history.redo_title

    def undo(self) -> None:
        """Take the newest change back: a prompt, a stroke, a run, an edit."""
        movie = self._movie()
        title = None if movie is None else movie.undo()
        self._tell("There is nothing to undo" if title is None else f"Taken back: {title}")

    def redo(self) -> None:
        """Do once more what was last taken back."""
        movie = self._movie()
        title = None if movie is None else movie.redo()
        self._tell("There is nothing to redo" if title is None else f"Done again: {title}")

    def clear(self, object_id: int, frame: int | None = None) -> bool:
        """Take back the prompts and the mask of an object on a frame."""
        return self._on_frame(operations.clear, object_id, frame)

    def mark_absent(self, object_id: int, frame: int | None = None) -> bool:
        """Say that an object is not on a frame, hidden or gone: a prompt, as a click is one."""

        def act(movie: OpenMovie) -> str | None:
            drawn = absent(movie.document, object_id, self._shown(frame))
            movie.take_drawn(drawn)
            return drawn.title if drawn.masks else None

        return self._attempt(act)

    def delete(self, objects: int | Sequence[int]) -> bool:
        """Remove one object or several everywhere."""
        return self._perform(lambda document: operations.delete(document, *_several(objects)))

    def merge(self, kept: int, other: int) -> bool:
        """Give what one object has to another."""
        return self._perform(partial(operations.merge, kept=kept, other=other))

    def split(self, object_id: int, frame: int | None = None) -> bool:
        """Make an object from a frame on a new one."""
        return self._on_frame(operations.split, object_id, frame)

    def cut(self, object_id: int, frame: int | None = None, *, before: bool = False) -> bool:
        """Remove an object from a frame on, or before it."""
        return self._on_frame(partial(operations.cut, before=before), object_id, frame)

    def swap(self, first: int, second: int, frame: int | None = None) -> bool:
        """Exchange two objects from a frame on."""
        where = self._shown(frame)
        return self._perform(partial(operations.swap, first=first, second=second, frame=where))

    def divide(self, mother: int, daughters: Sequence[int], frame: int | None = None) -> bool:
        """End an object before a frame and make others its daughters."""
        where = self._shown(frame)
        return self._perform(
            partial(operations.divide, mother=mother, daughters=daughters, frame=where)
        )

    def set_parent(self, object_id: int, parent: int | None) -> bool:
        """Set or clear the mother of an object."""
        return self._perform(partial(operations.set_parent, object_id=object_id, parent=parent))

    def review(self, objects: int | Sequence[int], state: ReviewState) -> bool:
        """Accept one object or several, reject them, or take them back into work."""
        return self._perform(partial(operations.review, objects=_several(objects), state=state))

    def rename(self, object_id: int, name: str) -> bool:
        """Name an object."""
        return self._perform(partial(operations.rename, object_id=object_id, name=name))

    def lock(
        self,
        objects: int | Sequence[int],
        frames: Sequence[int] | None = None,
        *,
        locked: bool = True,
    ) -> bool:
        """Lock or unlock masks of objects on some frames, by default on every frame."""
        return self._perform(
            partial(operations.lock, objects=_several(objects), frames=frames, locked=locked)
        )

    def _on_frame(
        self, operation: Callable[[Document, int, int], Change], object_id: int, frame: int | None
    ) -> bool:
        where = self._shown(frame)
        return self._perform(lambda document: operation(document, object_id, where))

    def _shown(self, frame: int | None) -> int:
        movie = self._movie()
        if frame is not None or movie is None:
            return frame or 0
        return movie.frame

    def _perform(self, operation: Operation) -> bool:
        """Change the document and say so; whether there was anything to change."""

        def act(movie: OpenMovie) -> str | None:
            change = operation(movie.document)
            if change.is_empty:
                return None
            movie.perform(change)
            return change.title

        return self._attempt(act)

    def _attempt(self, act: Callable[[OpenMovie], str | None]) -> bool:
        """Do something that has a title, or nothing, and say so; whether it was done."""
        movie = self._movie()
        if movie is None:
            self._tell("There is no movie: choose an image layer first", is_error=True)
            return False
        try:
            title = act(movie)
        except ValueError as error:
            self._tell(_sentence(error), is_error=True)
            return False
        if title is not None:
            self._tell(f"{_sentence(title)}: done")
        return title is not None

    def _tell(self, text: str, *, is_error: bool = False) -> None:
        self.changed.emit()
        self.done.emit()
        self.told.emit(Status(text, "error" if is_error else "info"))


def _sentence(what: object) -> str:
    text = str(what)
    return f"{text[:1].upper()}{text[1:]}"


def _several(objects: int | Sequence[int]) -> tuple[int, ...]:
    return (objects,) if isinstance(objects, int) else tuple(objects)
