"""Packed tissue as a stack: tubes of every calibre that wander, swell, branch, begin and end.

A tube is a group of discs on every slice.  Discs of different tubes push each other away; those
of one tube melt together into an irregular profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.shapes import FloatArray

#: Places and radii are followed in double precision, and drawn in single.
Doubles = NDArray[np.float64]

#: Discs of a tube melt together over this many pixels.
_MELT = 3.0
#: A tube is drawn this far beyond its discs: neighbours share what lies between them.
_BEYOND = 14.0


@dataclass(frozen=True, slots=True)
class Packing:
    """How a tissue is packed: radii in pixels, speeds in pixels a slice, ``fill`` in areas."""

    radii: tuple[float, float]
    fill: float
    lumpiness: float
    speed: float
    persistence: float
    ends: float
    branches: float
    swelling: float
    ripple: float
    ripple_scale: float
    most: int


@dataclass(frozen=True, slots=True)
class Tubes:
    """All discs on every slice.

    ``yx`` is (T, K, 2) and ``radius`` (T, K) in pixels; ``tube`` (K,) and ``joined`` (T, K) give
    the tube that a disc belongs to, and the one that it still melts into on a slice (a branch is
    part of its parent until it has parted).  Numbers of tubes begin at 1.
    """

    yx: FloatArray
    radius: FloatArray
    tube: NDArray[np.intp]
    joined: NDArray[np.intp]
    ripple: FloatArray


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: the tube of every pixel, its level and the lead over the next best, in pixels."""

    owner: NDArray[np.intp]
    level: FloatArray
    lead: FloatArray


def pack(rng: np.random.Generator, slices: int, shape: tuple[int, int], packing: Packing) -> Tubes:
    """Grow tubes through a stack; see `Packing`."""
    tube, start, rest, parent = _seed_discs(rng, shape, packing)
    count, discs = int(tube.max()), len(tube)
    yx = start.copy()
    velocity = rng.normal(0, packing.speed, (count + 1, 2)) * log_speeds(rng, count + 1)
    spin = rng.normal(0, 0.04, count + 1)
    life = _life(rng, count, slices, packing, parent)
    phase, pace = rng.uniform(0, 2 * np.pi, discs), rng.uniform(0.1, 0.7, discs)
    places = np.empty((slices, discs, 2))
    radii = np.empty((slices, discs))
    offsets = rest["offset"].copy()
    for index in range(slices):
        swollen = 1 + packing.swelling * np.sin(phase + pace * index)
        radius = rest["radius"] * swollen * life[index, tube]
        yx = _settle(yx, radius, tube, offsets, 40 if index == 0 else 6, parent)
        places[index], radii[index] = yx, radius
        keep = packing.persistence
        kick = rng.normal(0, packing.speed, velocity.shape)
        velocity = keep * velocity + np.sqrt(1 - keep**2) * kick
        yx = yx + velocity[tube]
        cos, sin = np.cos(spin[tube]), np.sin(spin[tube])
        y, x = offsets[:, 0].copy(), offsets[:, 1].copy()
        offsets = np.stack([cos * y + sin * x, cos * x - sin * y], 1)
    # Stronger ripples than this would fold the picture over itself.
    ripple = min(packing.ripple, 0.3 * packing.ripple_scale) * np.stack(
        [smooth_noise(rng, shape, packing.ripple_scale) for _ in range(4)]
    )
    joined = _joined(places, radii, tube, parent)
    return Tubes(
        places.astype(np.float32), radii.astype(np.float32), tube, joined, ripple.astype(np.float32)
    )


def log_speeds(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw factors (N, 1) around 1: some tubes run steeply through the slices, some hardly."""
    return np.asarray(np.exp(rng.normal(0, 0.5, (count, 1))))


def cut(tubes: Tubes, shape: tuple[int, int]) -> Iterator[Slice]:
    """Cut the stack slice by slice."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    for index in range(len(tubes.yx)):
        turn = np.float32(0.12 * index)
        cos, sin = np.cos(turn), np.sin(turn)
        warped_y = y + cos * tubes.ripple[0] + sin * tubes.ripple[1]
        warped_x = x + cos * tubes.ripple[2] + sin * tubes.ripple[3]
        yield _cut_one(tubes, index, warped_y, warped_x)


def _cut_one(tubes: Tubes, index: int, y: FloatArray, x: FloatArray) -> Slice:
    shape = y.shape
    best = np.full(shape, -_BEYOND, np.float32)
    second = np.full(shape, -_BEYOND, np.float32)
    owner = np.zeros(shape, np.intp)
    margin = float(np.abs(tubes.ripple).max()) * 1.5 + _BEYOND + 1
    group = tubes.joined[index]
    for number in np.unique(group):
        discs = np.flatnonzero((group == number) & (tubes.radius[index] > 0.7))
        if len(discs) == 0:
            continue
        places, radii = tubes.yx[index, discs], tubes.radius[index, discs]
        low = np.floor((places - radii[:, None]).min(0) - margin).astype(int)
        high = np.ceil((places + radii[:, None]).max(0) + margin).astype(int)
        y0, x0 = np.maximum(low, 0)
        y1, x1 = np.minimum(high, shape)
        if y0 >= y1 or x0 >= x1:
            continue
        window = (slice(y0, y1), slice(x0, x1))
        level = _melted(y[window], x[window], places, radii)
        first, next_best = best[window], second[window]
        wins = level > first
        next_best[...] = np.where(wins, first, np.maximum(next_best, level))
        first[wins] = level[wins]
        owner[window][wins] = number
    return Slice(owner, best, best - second)


def _melted(y: FloatArray, x: FloatArray, places: FloatArray, radii: FloatArray) -> FloatArray:
    levels = [
        radius - np.hypot(y - place[0], x - place[1])
        for place, radius in zip(places, radii, strict=True)
    ]
    level = levels[0]
    for other in levels[1:]:
        near = np.maximum(np.float32(_MELT) - np.abs(level - other), 0)
        level = np.maximum(level, other) + near * near * np.float32(0.25 / _MELT)
    return np.asarray(level, np.float32)


# ------------------------------------------------------------------------------- packing


def _seed_discs(
    rng: np.random.Generator, shape: tuple[int, int], packing: Packing
) -> tuple[NDArray[np.intp], Doubles, dict[str, Doubles], dict[int, int]]:
    margin = 24.0
    field = np.asarray(shape) + 2 * margin
    area = 0.0
    tube: list[int] = []
    start: list[Doubles] = []
    offset: list[Doubles] = []
    radius: list[float] = []
    parent: dict[int, int] = {}
    number = 0
    while area < packing.fill * field.prod() and number < packing.most:
        number += 1
        size = float(np.exp(rng.uniform(*np.log(packing.radii))))
        centre = rng.uniform(0, 1, 2) * field - margin
        if number > 4 and rng.random() < packing.branches:
            mother = int(rng.integers(1, number))
            if mother not in parent:
                parent[number] = mother
                centre = start[tube.index(mother)].copy()
                size = 0.7 * float(radius[tube.index(mother)])
        lumps = 1 + int(rng.poisson(packing.lumpiness))
        turn, along = rng.uniform(0, 2 * np.pi), 0.0
        for lump in range(min(lumps, 8)):
            disc = size * float(rng.uniform(0.6, 1.0)) / np.sqrt(min(lumps, 8)) * 1.25
            place = along * np.array([np.sin(turn), np.cos(turn)])
            tube.append(number)
            start.append(centre + place)
            offset.append(place)
            radius.append(disc)
            along += 1.1 * disc
            turn += float(rng.normal(0, 0.5)) if lump else 0.0
            area += float(np.pi * disc**2)
    rest = {"offset": np.array(offset), "radius": np.array(radius)}
    return np.array(tube, np.intp), np.array(start), rest, parent


def _life(
    rng: np.random.Generator, count: int, slices: int, packing: Packing, parent: dict[int, int]
) -> Doubles:
    """Share of its calibre that a tube has on every slice, (T, 1 + tubes)."""
    life = np.ones((slices, count + 1))
    z = np.arange(slices)
    for number in range(1, count + 1):
        ramp = float(rng.uniform(1.5, 5))
        if rng.random() < packing.ends:
            life[:, number] *= np.sqrt(np.clip((z - rng.uniform(0, slices)) / ramp, 0, 1))
        elif rng.random() < packing.ends:
            life[:, number] *= np.sqrt(np.clip((rng.uniform(0, slices) - z) / ramp, 0, 1))
        if number in parent:
            life[:, number] *= np.clip((z - rng.uniform(0, 0.6 * slices)) / ramp, 0, 1)
    return life


def _settle(
    yx: Doubles,
    radius: Doubles,
    tube: NDArray[np.intp],
    offsets: Doubles,
    turns: int,
    parent: dict[int, int],
) -> Doubles:
    """Push discs of different tubes apart and hold those of one tube together."""
    mother = np.array([parent.get(int(number), -1) for number in tube])
    same = (tube[:, None] == tube[None]) | (mother[:, None] == tube[None])
    same |= same.T
    reach = radius[:, None] + radius[None]
    apart = yx[:, None] - yx[None]
    # Looked up once: nothing moves far while a slice settles.
    slack = 40.0 if turns > 10 else 8.0
    near = (np.hypot(apart[..., 0], apart[..., 1]) < reach + slack) & ~same
    first, second = np.nonzero(near)
    reach = reach[first, second]
    # The thinner one gives way.
    gives = 0.35 * radius[second] / np.maximum(reach, 1e-3)
    counts = np.bincount(tube)
    counts[counts == 0] = 1
    for _ in range(turns):
        towards = yx[first] - yx[second]
        distance = np.hypot(towards[:, 0], towards[:, 1]) + 1e-3
        push = gives * np.maximum(reach - distance, 0) / distance
        shift = [np.bincount(first, push * towards[:, axis], len(yx)) for axis in (0, 1)]
        yx = yx + np.clip(np.stack(shift, 1), -6, 6)
        loose = yx - offsets
        sums = [np.bincount(tube, loose[:, axis]) for axis in (0, 1)]
        centre = np.stack(sums, 1) / counts[:, None]
        yx = yx + 0.35 * (centre[tube] - loose)
    return yx


def _joined(
    places: Doubles, radii: Doubles, tube: NDArray[np.intp], parent: dict[int, int]
) -> NDArray[np.intp]:
    """Return the tube that every disc melts into on every slice, (T, K)."""
    joined = np.tile(tube, (len(places), 1))
    for child, mother in parent.items():
        ours, theirs = np.flatnonzero(tube == child), np.flatnonzero(tube == mother)
        apart = np.linalg.norm(places[:, ours, None] - places[:, None, theirs], axis=-1)
        gap = (apart - radii[:, ours, None] - radii[:, None, theirs]).min((1, 2))
        together = np.logical_and.accumulate(gap < 0.5 * _MELT)
        joined[np.ix_(together, ours)] = mother
    return joined
