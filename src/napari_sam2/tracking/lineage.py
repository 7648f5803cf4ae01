"""Who is whose daughter: divisions, and the forest of tracks they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import Masklet, MaskletSet, MaskRecord

__all__ = ["Division", "Lineage", "find_divisions", "tracks_by_start"]


@dataclass(frozen=True, slots=True)
class Division:
    """A mother that ends and the daughters that begin.

    Parameters
    ----------
    mother : int
        Object id of the track that ends.
    daughters : tuple of int
        Object ids of the tracks that begin.
    """

    mother: int
    daughters: tuple[int, ...]


class Lineage:
    """The family trees of the tracks of a movie.

    Parameters
    ----------
    divisions : iterable of Division

    Raises
    ------
    ValueError
        If a daughter has two mothers, a mother divides twice, or a track is its own ancestor.
    """

    def __init__(self, divisions: Iterable[Division] = ()) -> None:
        self._daughters: dict[int, tuple[int, ...]] = {}
        self._mother: dict[int, int] = {}
        for division in divisions:
            self._add(division)

    @classmethod
    def from_mothers(cls, mothers: dict[int, int]) -> Lineage:
        """Make the lineage in which each key is a daughter of its value."""
        daughters: dict[int, list[int]] = {}
        for daughter, mother in sorted(mothers.items()):
            daughters.setdefault(mother, []).append(daughter)
        return cls(Division(mother, tuple(found)) for mother, found in sorted(daughters.items()))

    def completing(self, mothers: dict[int, int]) -> Lineage:
        """Return what is known for sure, daughter to mother, and of this lineage what fits."""
        rest = {
            daughter: one.mother
            for one in self
            if one.mother not in mothers.values()
            for daughter in one.daughters
            if daughter not in mothers
        }
        return Lineage.from_mothers({**rest, **mothers})

    def __iter__(self) -> Iterator[Division]:
        return (Division(mother, found) for mother, found in sorted(self._daughters.items()))

    def __len__(self) -> int:
        return len(self._daughters)

    @property
    def mothers(self) -> dict[int, int]:
        """Daughter to mother."""
        return dict(self._mother)

    def mother_of(self, object_id: int) -> int | None:
        """Return the mother of a track, None if it has none."""
        return self._mother.get(object_id)

    def daughters_of(self, object_id: int) -> tuple[int, ...]:
        """Return the daughters of a track."""
        return self._daughters.get(object_id, ())

    def ancestors_of(self, object_id: int) -> tuple[int, ...]:
        """Return mother, grandmother and so on."""
        found: list[int] = []
        mother = self._mother.get(object_id)
        while mother is not None:
            found.append(mother)
            mother = self._mother.get(mother)
        return tuple(found)

    def graph(self) -> dict[int, list[int]]:
        """Return the graph that napari's Tracks layer takes: daughter to a list of mothers."""
        return {daughter: [mother] for daughter, mother in sorted(self._mother.items())}

    def _add(self, division: Division) -> None:
        """Add a division, refusing what makes no tree."""
        mother = division.mother
        if mother in self._daughters:
            raise ValueError(f"track {mother} divides twice: join the daughters in one division")
        for daughter in division.daughters:
            if daughter in self._mother:
                raise ValueError(
                    f"track {daughter} would have two mothers, {self._mother[daughter]} and "
                    f"{mother}: remove one division"
                )
            if daughter == mother or daughter in self.ancestors_of(mother):
                raise ValueError(f"track {daughter} would be its own ancestor through {mother}")
            self._mother[daughter] = mother
        self._daughters[mother] = tuple(division.daughters)


def find_divisions(
    masklets: MaskletSet | Sequence[Masklet], gap: int = 1, area: tuple[float, float] = (0.5, 1.6)
) -> Lineage:
    """Link each track that ends to the two tracks that begin where it was.

    Parameters
    ----------
    masklets : MaskletSet or sequence of Masklet
        The tracked objects.
    gap : int
        Daughters begin at most `gap` frames after the frame that follows the mother's last.
    area : tuple of float
        The daughters' areas together lie between these multiples of the mother's.

    Returns
    -------
    Lineage
        The closest pairs; a daughter is given to one mother only.

    Notes
    -----
    A proposal by position and size alone, for a person to confirm; it looks at no pixel.
    """
    starts = {frame: _Starts.of(frame, some) for frame, some in tracks_by_start(masklets).items()}
    offers: list[tuple[float, Division]] = []
    for mother in masklets:
        pair = _closest_pair(mother, starts, gap, area)
        if pair is not None:
            offers.append(pair)
    taken: set[int] = set()
    chosen: list[Division] = []
    for _, division in sorted(offers, key=lambda offer: offer[0]):
        if not taken & set(division.daughters):
            taken.update(division.daughters)
            chosen.append(division)
    return Lineage(chosen)


def tracks_by_start(masklets: Iterable[Masklet]) -> dict[int, list[Masklet]]:
    """Return the tracks that begin in mid-movie by their first frame."""
    begins: dict[int, list[Masklet]] = {}
    for masklet in masklets:
        if first := masklet.first_visible:
            begins.setdefault(first, []).append(masklet)
    return begins


@dataclass(frozen=True, slots=True)
class _Starts:
    """Tracks that begin on one frame: ids, areas, radii (N,) and centres (N, 2) of their masks."""

    ids: NDArray[np.int64]
    areas: NDArray[np.int64]
    radii: NDArray[np.float64]
    centres: NDArray[np.float64]

    @classmethod
    def of(cls, frame: int, tracks: Sequence[Masklet]) -> _Starts:
        """Measure the first masks of tracks."""
        records = [track.records[frame] for track in tracks]
        return cls(
            np.array([track.object_id for track in tracks], np.int64),
            np.array([record.area for record in records], np.int64),
            np.array([_size(record) for record in records], np.float64),
            np.array([record.centroid() for record in records], np.float64),
        )


def _closest_pair(
    mother: Masklet, starts: Mapping[int, _Starts], gap: int, area: tuple[float, float]
) -> tuple[float, Division] | None:
    """Return the two tracks that begin nearest to where a track ends, if they fit there."""
    end = mother.last_visible
    if end is None:
        return None
    last = mother.records[end]
    centre, size = last.centroid(), _size(last)
    near: list[tuple[float, int, int]] = []
    for some in (starts[t] for t in range(end + 1, end + gap + 2) if t in starts):
        distances = np.hypot(*(some.centres - centre).T)
        fitting = (distances <= size + some.radii) & (some.ids != mother.object_id)
        for row in np.flatnonzero(fitting):
            near.append((float(distances[row]), int(some.ids[row]), int(some.areas[row])))
    if len(near) < 2:
        return None
    near.sort()
    (a, first_id, first_area), (b, second_id, second_area) = near[:2]
    if not area[0] <= (first_area + second_area) / last.area <= area[1]:
        return None
    return a + b, Division(mother.object_id, tuple(sorted((first_id, second_id))))


def _size(record: MaskRecord) -> float:
    """Return the radius of a disk as large as the mask."""
    return float(np.sqrt(record.area / np.pi))
