"""Where objects seem to divide: proposals for a person to accept or to dismiss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_sam2.masklets import Masklet, MaskletSet, MaskRecord
from napari_sam2.tracking.lineage import Lineage, find_divisions, tracks_by_start
from napari_sam2.tracking.splitting import halves

__all__ = ["DivisionProposal", "DivisionWatch", "divisions_of_newcomers"]

LOOK_AHEAD = 3
"""Frames after a split over which a mask has to stay split to be believed."""


@dataclass(frozen=True, slots=True)
class DivisionProposal:
    """An object seems to have divided.

    Attributes
    ----------
    mother : int
        Object id.
    frame : int
        First frame after the division.
    confidence : float
        0 to 1.
    daughters : tuple of int
        Objects that begin there, where they exist already; the missing ones are the pieces of
        the mother's mask, or lie at `places`.
    places : tuple of (float, float)
        Pixels (y, x) inside of the daughters, where they were looked for in the picture.
    places_later : tuple of (float, float)
        The same a frame later, in the same order; empty where there is none.
    """

    mother: int
    frame: int
    confidence: float
    daughters: tuple[int, ...] = ()
    places: tuple[tuple[float, float], ...] = ()
    places_later: tuple[tuple[float, float], ...] = ()


class DivisionWatch:
    """Looks at the masks of a movie again and again, each of them only once.

    Four signs make a proposal: a track ends where two others begin, see :func:`find_divisions`; a
    run has ended an object because it had divided; a mask loses half its area where another object
    begins beside it; a mask falls into two halves and stays so.

    Parameters
    ----------
    similarity : float
        Least area of the smaller of two daughters as a part of the larger one.
    """

    def __init__(self, similarity: float = 0.4) -> None:
        self._similarity = similarity
        self._known: dict[tuple[int, int], tuple[MaskRecord, float]] = {}

    def propose(
        self, masklets: MaskletSet, mothers: Mapping[int, int] | None = None
    ) -> tuple[DivisionProposal, ...]:
        """Return what looks like a division and is not known as one.

        Parameters
        ----------
        masklets : MaskletSet
        mothers : mapping of int to int, optional
            Divisions that are known: daughter to mother.

        Returns
        -------
        tuple of DivisionProposal
            At most one an object, by frame.
        """
        known = dict(mothers or {})
        found: dict[int, DivisionProposal] = {}
        ended = [one for one in map(_ended, masklets) if one is not None]
        for proposal in (*_from_ends(masklets), *ended, *self._from_masks(masklets)):
            is_new = proposal.mother not in known.values()
            if is_new and not set(proposal.daughters) & set(known):
                found.setdefault(proposal.mother, proposal)
        return tuple(sorted(found.values(), key=lambda one: (one.frame, one.mother)))

    def _from_masks(self, masklets: MaskletSet) -> list[DivisionProposal]:
        begins = tracks_by_start(masklets)
        found = []
        for masklet in masklets:
            halved = _halved(masklet, begins, self._similarity)
            split = self._split(masklet)
            found += [one for one in (halved, split) if one is not None]
        return sorted(found, key=lambda one: one.frame)

    def _split(self, masklet: Masklet) -> DivisionProposal | None:
        """Find the first frame from which on a mask is in two halves."""
        frames = masklet.visible_frames
        evenness = [self._evenness(masklet, frame) for frame in frames]
        for index in range(1, len(frames)):
            ahead = evenness[index : index + 1 + LOOK_AHEAD]
            lasting = sum(value > 0 for value in ahead) / len(ahead)
            is_seen_again = len(ahead) == 1 or sum(value > 0 for value in ahead) > 1
            if ahead[0] > 0 and evenness[index - 1] == 0 and is_seen_again:
                confidence = lasting * max(ahead)
                return DivisionProposal(masklet.object_id, frames[index], confidence)
        return None

    def _evenness(self, masklet: Masklet, frame: int) -> float:
        """Return the ratio of the areas of the halves of a mask; 0 where it is in one piece."""
        record = masklet.records[frame]
        place = masklet.object_id, frame
        known = self._known.get(place)
        if known is None or known[0] is not record:
            parts = halves(record, self._similarity)
            ratio = 0.0 if parts is None else parts[1].area / parts[0].area
            # A prompted mask is what a person wants it to be.
            known = self._known[place] = record, 0.0 if record.prompted else ratio
        return known[1]


def divisions_of_newcomers(
    masklets: Sequence[Masklet], similarity: float = 0.4
) -> tuple[DivisionProposal, ...]:
    """Return the divisions that are told by a track that begins, of the signs of `DivisionWatch`.

    Parameters
    ----------
    masklets : sequence of Masklet
    similarity : float
        Least area of the smaller of two daughters as a part of the larger one.

    Returns
    -------
    tuple of DivisionProposal
        At most one a mother, and no daughter twice; one daughter where the other one lives on as
        its mother.
    """
    begins = tracks_by_start(masklets)
    halved = [_halved(one, begins, similarity) for one in masklets]
    found: dict[int, DivisionProposal] = {}
    taken: set[int] = set()
    for proposal in (*_from_ends(masklets), *(one for one in halved if one is not None)):
        if proposal.mother not in found and not taken & set(proposal.daughters):
            found[proposal.mother] = proposal
            taken.update(proposal.daughters)
    return tuple(sorted(found.values(), key=lambda one: (one.frame, one.mother)))


def _from_ends(masklets: MaskletSet | Sequence[Masklet]) -> list[DivisionProposal]:
    """Propose mothers for pairs of tracks that begin where another ends."""
    lineage: Lineage = find_divisions(masklets)
    tracks = {one.object_id: one for one in masklets}
    found = []
    for division in lineage:
        begins = [tracks[i].first_visible for i in division.daughters]
        begin = min(frame for frame in begins if frame is not None)
        areas = [tracks[i].records[begins[n] or 0].area for n, i in enumerate(division.daughters)]
        evenness = min(areas) / max(areas)
        found.append(DivisionProposal(division.mother, begin, evenness, division.daughters))
    return found


def _ended(masklet: Masklet) -> DivisionProposal | None:
    """Find the frame from which on a run has ended an object because it had divided."""
    frame, ended = max(masklet.frames, default=0), None
    while (record := masklet.records.get(frame)) is not None and record.has_ended:
        frame, ended = frame - 1, record
    if ended is None or record is None or not record.visible:
        return None
    return DivisionProposal(masklet.object_id, frame + 1, ended.predicted_iou)


def _halved(
    masklet: Masklet, begins: Mapping[int, list[Masklet]], similarity: float
) -> DivisionProposal | None:
    """Find the frame on which a mask loses about half its area and another object begins in it."""
    for frame in sorted(t for t in begins if t in masklet.records):
        others = begins[frame]
        before, after = masklet.records.get(frame - 1), masklet.records.get(frame)
        if before is None or after is None or not (before.visible and after.visible):
            continue
        if after.area > 0.75 * before.area:
            continue
        for other in others:
            first = other.records[frame]
            evenness = min(first.area, after.area) / max(first.area, after.area)
            if other is not masklet and evenness >= similarity and _meets(before, first):
                daughters = (other.object_id,)
                return DivisionProposal(masklet.object_id, frame, evenness, daughters)
    return None


def _meets(one: MaskRecord, other: MaskRecord) -> bool:
    """Whether the middle of a mask lies in the bounding box of another."""
    y, x = other.centroid()
    y0, x0, y1, x1 = one.bbox
    return y0 <= y < y1 and x0 <= x < x1
