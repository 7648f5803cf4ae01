"""What can be undone and redone, newest last."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam2.editing.change import Change

DEFAULT_DEPTH = 200
"""Steps that are kept: a change is the packed masks that it touched, some kilobytes as a rule."""


@dataclass(slots=True, eq=False)
class Step:
    """One entry of the history; grows while what it began is still arriving."""

    change: Change


class History:
    """Changes that were made, and those that were taken back.

    Parameters
    ----------
    depth : int
        Steps that are kept; older ones can no longer be undone.
    """

    def __init__(self, depth: int = DEFAULT_DEPTH) -> None:
        self._depth = depth
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def undo_title(self) -> str | None:
        """What the next undo takes back, None if there is nothing."""
        return self._done[-1].change.title if self._done else None

    @property
    def redo_title(self) -> str | None:
        """What the next redo does again, None if there is nothing."""
        return self._undone[-1].change.title if self._undone else None

    def push(self, change: Change) -> Step:
        """Note a change that was made; what had been undone cannot be redone any more."""
        step = Step(change)
        if not change.is_empty:
            self._done.append(step)
            del self._done[: -self._depth]
            self._undone.clear()
        return step

    def amend(self, step: Step | None, later: Change) -> Step:
        """Add to a step what has come of it: the answer to a click, the next frame of a run.

        Parameters
        ----------
        step : Step or None
            None, or one that is not here (any more), makes a step of its own.
        later : Change
            Made just now. Where a newer step has touched the same masks, it becomes a step of its
            own, too, or undoing would bring back what was there in between.

        Returns
        -------
        Step
            The step that holds the change.
        """
        if step is None or step not in self._done:
            return self.push(later)
        newer = self._done[self._done.index(step) + 1 :]
        if any(other.change.masks.keys() & later.masks.keys() for other in newer):
            return self.push(later)
        step.change = step.change.then(later)
        self._undone.clear()
        return step

    def clear(self) -> None:
        """Forget every step."""
        self._done.clear()
        self._undone.clear()

    def undo(self) -> Change | None:
        """Return the change that takes the newest one back, None if there is none."""
        if not self._done:
            return None
        step = self._done.pop()
        self._undone.append(step)
        return step.change.inverse()

    def redo(self) -> Change | None:
        """Return the change that was last taken back, None if there is none."""
        if not self._undone:
            return None
        step = self._undone.pop()
        self._done.append(step)
        return step.change
