"""Looking for divisions while objects are tracked; lives on the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.widgets.messages import DivisionsProposed

if TYPE_CHECKING:
    from napari_sam2.masklets import MaskRecord
    from napari_sam2.planes import PlaneGrid
    from napari_sam2.predictor.divisions import Point
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.tracking.projection import Projection
    from napari_sam2.tracking.proposals import DivisionProposal, DivisionWatch

_Daughters = tuple[tuple["Point", ...], tuple["Point", ...]]

LOOK_SECONDS = 2.0
"""During a run divisions are looked for so often."""


class DivisionLook:
    """Looks where objects seem to divide, and posts it when that is news."""

    def __init__(self, post: Callable[[DivisionsProposed], None]) -> None:
        self._post = post
        self._watches: dict[str, DivisionWatch] = {}
        self._projections: dict[str, Projection] = {}
        self._proposed: tuple[DivisionProposal, ...] = ()
        self._places: dict[tuple[str, int], tuple[MaskRecord, _Daughters]] = {}
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
        self._projections.pop(key, None)
        self._places = {known: one for known, one in self._places.items() if known[0] != key}

    def look(self, key: str, session: VideoSession | None) -> None:
        """Post where objects of a session seem to divide, if that is news."""
        from napari_sam2.predictor.composed_frames import grid_of
        from napari_sam2.tracking.projection import Projection
        from napari_sam2.tracking.proposals import DivisionWatch

        self._looked = time.perf_counter()
        if session is None:
            return
        watch, grid = self._watches.setdefault(key, DivisionWatch()), grid_of(session.frames)
        if grid.slices == 1:
            found = watch.propose(session.masklets)
            proposals = tuple(self._with_places(key, one, session) for one in found)
        else:
            seen = self._projections.setdefault(key, Projection(grid)).of(session.masklets)
            proposals = tuple(_on_plane(one, session, grid) for one in watch.propose(seen))
        if proposals != self._proposed:
            self._proposed = proposals
            self._post(DivisionsProposed(key, proposals))

    def _with_places(
        self, key: str, proposal: DivisionProposal, session: VideoSession
    ) -> DivisionProposal:
        """Say where the daughters are of a mother that is seen no more, looking for them once."""
        mother, frame = proposal.mother, proposal.frame
        record = session.masklets.record(mother, frame)
        if proposal.daughters or record is None or not record.has_ended:
            return proposal
        last = session.masklets.record(mother, frame - 1)
        if last is None:
            return proposal
        known, daughters = self._places.get((key, mother), (None, ((), ())))
        if known is not last:
            daughters = _daughters(session, mother, frame)
            self._places[key, mother] = last, daughters
        return replace(proposal, places=daughters[0], places_later=daughters[1])


def _daughters(session: VideoSession, mother: int, frame: int) -> _Daughters:
    """Return where the daughters are on their first frame, and on the next one."""
    from napari_sam2.predictor.daughters import in_order_of
    from napari_sam2.predictor.divisions import daughters_of

    first, later = (daughters_of(session, mother, frame, later) for later in (0, 1))
    if first is None:
        return (), ()
    return first, () if later is None else in_order_of(first, later)


def _on_plane(
    proposal: DivisionProposal, session: VideoSession, grid: PlaneGrid
) -> DivisionProposal:
    """Return a proposal that was made of times, on the slice where there is most to see."""
    from napari_sam2.predictor.plane_line import largest_on

    planes = grid.along_z(proposal.frame)
    found = [largest_on(session, i, planes) for i in (proposal.mother, *proposal.daughters)]
    plane = next((one for one in found if one is not None), planes.start)
    return replace(proposal, frame=plane)
