"""Which object the next prompt is about, and with which sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set

from psygnal import Signal


class ObjectChoice:
    """The object in work among those that there are.

    Parameters
    ----------
    known : callable
        Returns the ids that have a prompt or a mask.
    """

    changed = Signal(int)
    """The object in work."""
    sign_changed = Signal(bool)
    """Whether a left click is positive."""

    def __init__(self, known: Callable[[], Set[int]]) -> None:
        self._known = known
        self._current = self._highest = 1
        self._is_positive = True
        self._selected: tuple[int, ...] = ()

    @property
    def current(self) -> int:
        """The object that the next prompt is about."""
        return self._current

    @property
    def selected(self) -> tuple[int, ...]:
        """Objects that a run of the selected ones is about; the one in work if none is chosen."""
        known = self._known()
        return tuple(i for i in self._selected if i in known) or (self._current,)

    @selected.setter
    def selected(self, object_ids: Iterable[int]) -> None:
        self._selected = tuple(object_ids)

    @property
    def is_positive(self) -> bool:
        """Whether the next left click is positive."""
        return self._is_positive

    @property
    def is_known(self) -> bool:
        """Whether the object in work has a prompt or a mask."""
        return self._current in self._known()

    def ids(self) -> tuple[int, ...]:
        """Every object with a prompt or a mask, and the one in work, ascending."""
        return tuple(sorted({*self._known(), self._current}))

    def reset(self) -> None:
        """Go to the last object of another movie."""
        self._current = self._highest = max(self._known(), default=1)
        self.changed.emit(self._current)

    def note(self, object_id: int) -> None:
        """Learn that an id is taken."""
        self._highest = max(self._highest, object_id)

    def select(self, object_id: int) -> None:
        """Make the next prompts about this object.

        Raises
        ------
        ValueError
            If the id is below 1.
        """
        if object_id < 1:
            raise ValueError(f"object id {object_id} is below 1; 0 is the background, use 1, 2…")
        self.note(object_id)
        if object_id != self._current:
            self._current = object_id
            self.changed.emit(object_id)

    def new(self) -> int:
        """Go to a fresh object; one that has no prompt yet is still fresh."""
        # An id is never given twice, or masks still on their way would find the wrong object.
        self.select(self._highest + int(self._highest in self._known()))
        self.set_sign(True)
        return self._current

    def reserve(self) -> int:
        """Take a fresh id without going to it."""
        fresh = self._highest = max(self._highest, *self._known(), 0) + 1
        return fresh

    def next(self) -> None:
        """Go to the object with the next higher id, after the last to the first."""
        self._step(1)

    def previous(self) -> None:
        """Go to the object with the next lower id, after the first to the last."""
        self._step(-1)

    def leave(self) -> None:
        """Go from an object that was deleted to its neighbour, or to a fresh one."""
        gone = self._current
        self._highest = max(self._highest, gone + 1)
        others = self._known() - {gone}
        self.select(min(others, key=lambda n: abs(n - gone)) if others else self._highest)

    def set_sign(self, positive: bool) -> None:
        """Make the next left clicks positive or negative."""
        if positive != self._is_positive:
            self._is_positive = positive
            self.sign_changed.emit(positive)

    def toggle_sign(self) -> None:
        """Exchange positive and negative."""
        self.set_sign(not self._is_positive)

    def _step(self, step: int) -> None:
        """Go `step` objects further in the circle of those that there are."""
        ids = self.ids()
        self.select(ids[(ids.index(self._current) + step) % len(ids)])
