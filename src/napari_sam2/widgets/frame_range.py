"""The frames that a run covers, chosen on the time axis."""

from __future__ import annotations

from psygnal import Signal


class FrameRange:
    """First and last frame of the next run, within the movie in work."""

    changed = Signal(int, int)
    """First and last frame."""

    def __init__(self) -> None:
        self._count = 0
        self.start = self.stop = 0

    @property
    def count(self) -> int:
        """Frames that there are to choose from."""
        return self._count

    def reset(self, count: int) -> None:
        """Cover every frame of a movie of so many."""
        self._count = count
        self._put(0, count - 1)

    def choose(self, start: int, stop: int) -> None:
        """Set both ends; they are brought into the movie and into order."""
        self._put(min(start, stop), max(start, stop))

    def start_at(self, frame: int) -> None:
        """Begin at a frame; the end follows where it lies before it."""
        self._put(frame, max(frame, self.stop))

    def stop_at(self, frame: int) -> None:
        """End at a frame; the beginning follows where it lies behind it."""
        self._put(min(frame, self.start), frame)

    def _put(self, start: int, stop: int) -> None:
        last = max(self._count - 1, 0)
        now = min(max(start, 0), last), min(max(stop, 0), last)
        if now != (self.start, self.stop) or self._count == 0:
            self.start, self.stop = now
        self.changed.emit(self.start, self.stop)
