"""What can be undone and redone, newest last."""

from __future__ import annotations

from napari_sam2.editing.change import Change

DEFAULT_DEPTH = 200
"""Steps that are kept: a change is the packed masks that it touched, some kilobytes as a rule."""


class History:
    """Changes that were made, and those that were taken back.

    Parameters
    ----------
    depth : int
        Steps that are kept; older ones can no longer be undone.
    """

    def __init__(self, depth: int = DEFAULT_DEPTH) -> None:
        self._depth = depth
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def undo_title(self) -> str | None:
        """What the next undo takes back, None if there is nothing."""
        return self._done[-1].title if self._done else None

    @property
    def redo_title(self) -> str | None:
        """What the next redo does again, None if there is nothing."""
        return self._undone[-1].title if self._undone else None

    def push(self, change: Change) -> None:
        """Note a change that was made; what had been undone cannot be redone any more."""
        if change.is_empty:
            return
        self._done.append(change)
        del self._done[: -self._depth]
        self._undone.clear()

    def extend(self, change: Change) -> None:
        """Add to the newest change, as each frame of a run adds to the run."""
        if not self._done:
            self.push(change)
            return
        self._done[-1] = self._done[-1].then(change)

    def undo(self) -> Change | None:
        """Return the change that takes the newest one back, None if there is none."""
        if not self._done:
            return None
        change = self._done.pop()
        self._undone.append(change)
        return change.inverse()

    def redo(self) -> Change | None:
        """Return the change that was last taken back, None if there is none."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._done.append(change)
        return change
