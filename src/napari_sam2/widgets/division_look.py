"""Looking for divisions while objects are tracked; lives on the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_sam2.widgets.messages import DivisionsProposed

if TYPE_CHECKING:
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.tracking.proposals import DivisionProposal, DivisionWatch

LOOK_SECONDS = 2.0
"""During a run divisions are looked for so often."""


class DivisionLook:
    """Looks where objects seem to divide, and posts it when that is news."""

    def __init__(self, post: Callable[[DivisionsProposed], None]) -> None:
        self._post = post
        self._watches: dict[str, DivisionWatch] = {}
        self._proposed: tuple[DivisionProposal, ...] = ()
        self._looked = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last look is so long ago that a run should look again."""
        return time.perf_counter() - self._looked > LOOK_SECONDS

    def begin(self) -> None:
        """Take whatever is found next for news, as after another movie was opened."""
        self._proposed = ()

    def forget(self, key: str) -> None:
        """Drop what is known of a movie."""
        self._watches.pop(key, None)

    def look(self, key: str, session: VideoSession | None) -> None:
        """Post where objects of a session seem to divide, if that is news."""
        from napari_sam2.tracking.proposals import DivisionWatch

        self._looked = time.perf_counter()
        if session is None or not _is_movie(session):
            return
        watch = self._watches.setdefault(key, DivisionWatch())
        proposals = watch.propose(session.masklets)
        if proposals != self._proposed:
            self._proposed = proposals
            self._post(DivisionsProposed(key, proposals))


def _is_movie(session: VideoSession) -> bool:
    """Whether frames follow each other in time, with no depth."""
    from napari_sam2.predictor.composed_frames import grid_of

    return grid_of(session.frames).slices == 1
