"""How far an object, or the whole picture, has moved between two frames.

The object's picture is laid over the other frame at every place within reach, and the place where
both are most alike is taken, if it is surely that one, and not where the like of it was before.

Likeness is the correlation coefficient of the pixels, weighted by a soft mask (Padfield,
"Masked object registration in the Fourier domain", IEEE Transactions on Image Processing 2012).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal
from skimage.registration import phase_cross_correlation

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.intensity import IntensityMapping

__all__ = ["Search", "Spot", "stage_shift"]

FloatArray = NDArray[np.float32]

# Chosen on synthetic movies of all kinds that no network was trained on, as are those below.
_DETAIL = 20
"""Cells of pixels in the diameter of an object: more cost time, fewer blur small steps."""

_REACH = 1.5
"""Diameters that an object may have moved."""

_RING = 0.25
"""Diameters of surroundings that count: of objects that look alike, neighbours tell which."""

_STAGE_DETAIL = 128
"""Cells along the longer side of a frame, when that is looked at as a whole."""

_SAMPLES = 3
"""Pixels along each side of a cell that are looked at, of however many there are."""

_BACKGROUND = 0.02
"""What the rest of the window counts, so that a weight is never nothing."""

_LIKENESS = 0.5
"""Less, distance taken off, is no sighting: what has gone, or has divided, is not to be found in a
neighbour."""

_FAR = 0.3
"""By so much more a place has to be alike for each diameter of distance."""

_CLEARLY, _APART = 0.2, 0.35
"""By so much more a place has to be alike than any that is more than so many diameters apart: of
two daughters, or a row of cells, nobody knows which one it is."""

_SPOTS = 6
"""Places that are kept; more are no likelier."""

_STAYED = 0.1
"""Diameters that what was at a place before may have moved, to be called what is there now. Of 719
sightings of objects that had moved by more than `_APART`, none is taken back by it; at 0.15 two."""

_STAGE_LIKENESS, _STAGE_GAIN = 0.6, 0.2
"""So much whole pictures have to correlate for the stage to have moved, and by so much more than
where they were: a single cell among few that moves is no stage."""


def stage_shift(
    before: NDArray[Any], now: NDArray[Any], mapping: IntensityMapping
) -> tuple[int, int]:
    """Return by how many pixels the picture as a whole has moved, by phase correlation.

    Parameters
    ----------
    before, now : ndarray, (H, W) or (H, W, C)
        Raw values of two frames.
    mapping : IntensityMapping
        From raw values to what the network sees.

    Returns
    -------
    tuple of int
        Rows and columns.
    """
    cell = -(-max(before.shape[:2]) // _STAGE_DETAIL)
    height, width = (max(size // cell, 1) for size in before.shape[:2])
    window = (0, 0), (height, width)
    old, new = (_cells(frame, mapping, window, cell) for frame in (before, now))
    # Soft borders: those of the picture stay where they are.
    fading = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    soft = [(picture - picture.mean()) * fading for picture in (new, old)]
    if not all(picture.any() for picture in soft):
        return 0, 0
    shift, _, _ = phase_cross_correlation(*soft)
    moved = int(shift[0]), int(shift[1])
    least = max(_STAGE_LIKENESS, _agreement(old, new, (0, 0)) + _STAGE_GAIN)
    if _agreement(old, new, moved) < least:
        return 0, 0
    return moved[0] * cell, moved[1] * cell


def _agreement(old: FloatArray, new: FloatArray, moved: tuple[int, int]) -> float:
    """Return the correlation of two pictures after a move; what leaves or enters counts against."""
    old, new = old - old.mean(), new - new.mean()
    parts = []
    for picture, sign in ((old, 1), (new, -1)):
        cuts = [
            slice(max(-sign * by, 0), size + min(-sign * by, 0))
            for by, size in zip(moved, picture.shape, strict=True)
        ]
        parts.append(picture[cuts[0], cuts[1]])
    scale = math.sqrt(float((old**2).sum()) * float((new**2).sum()))
    return float((parts[0] * parts[1]).sum()) / scale if scale > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the next frame where an object may be.

    Attributes
    ----------
    moved : tuple of int
        Rows and columns in pixels from where it was.
    likeness : float
        Correlation with its picture, at most 1.
    score : float
        The same, less what the distance from where the stage has taken it costs.
    """

    moved: tuple[int, int]
    likeness: float
    score: float


@dataclass(frozen=True, slots=True)
class Search:
    """An object that is looked for on the next frame of a run.

    Attributes
    ----------
    diameter : int
        Of the object, in pixels.
    stage : tuple of int
        Rows and columns by which the picture as a whole has moved.
    spots : tuple of Spot
        Where the picture is most like it, the best first, none within `_APART` of another.
    """

    diameter: int
    stage: tuple[int, int]
    spots: tuple[Spot, ...]
    _window: _Window
    _weights: FloatArray
    _frames: tuple[NDArray[Any], NDArray[Any]]
    _mapping: IntensityMapping

    @classmethod
    def of(
        cls,
        before: NDArray[Any],
        now: NDArray[Any],
        mapping: IntensityMapping,
        record: MaskRecord,
        stage: tuple[int, int] = (0, 0),
    ) -> Search:
        """Lay the picture of an object over the next frame, at every place within reach.

        Parameters
        ----------
        before, now : ndarray, (H, W) or (H, W, C)
            The frame of the mask, and the next one of the run, with their raw values.
        mapping : IntensityMapping
            From raw values to what the network sees.
        record : MaskRecord
            The object on the frame before; visible.
        stage : tuple of int
            It is looked for around there.
        """
        window = _Window.around(record)
        weights = window.weights(record, before.shape[:2])
        template = window.cells(before, mapping)
        reach = math.ceil(_REACH * window.diameter / window.cell)
        steps = np.arange(-reach, reach + 1) * window.cell
        likeness = _likeness(template, window.cells(now, mapping, reach, stage), weights)
        score = likeness - _FAR * np.hypot(steps[:, None], steps[None]) / window.diameter
        spots = []
        for _ in range(_SPOTS):
            row, column = np.unravel_index(int(score.argmax()), score.shape)
            if not np.isfinite(score[row, column]):
                break
            y, x = int(steps[row]), int(steps[column])
            found = float(likeness[row, column]), float(score[row, column])
            spots.append(Spot((stage[0] + y, stage[1] + x), *found))
            is_here = np.hypot(steps[:, None] - y, steps[None] - x) <= _APART * window.diameter
            score = np.where(is_here, -np.inf, score)
        frames = (before, now)
        return cls(window.diameter, stage, tuple(spots), window, weights, frames, mapping)

    def found(
        self, spots: Sequence[Spot] | None = None, least: float = _LIKENESS
    ) -> tuple[int, int] | None:
        """Return by how many pixels the object has moved, None where nobody knows.

        Parameters
        ----------
        spots : sequence of Spot, optional
            Those that it may be at; all if not given.
        least : float
            Score that is needed.

        Returns
        -------
        tuple of int or None
            Rows and columns. None where it is not found, could be at two places, or where what is
            found looks more like what was there before: a neighbour, which a cell that rounds up
            to divide resembles no longer.
        """
        spots = self.spots if spots is None else spots
        if not spots:
            return None
        best, rival = spots[0], spots[1].score if len(spots) > 1 else -math.inf
        if best.score < max(least, rival + _CLEARLY) or self._was_there(best):
            return None
        return best.moved

    def _was_there(self, spot: Spot) -> bool:
        """Say whether what is at a place now is more like what was there before."""
        y, x = (moved - by for moved, by in zip(spot.moved, self.stage, strict=True))
        window = self._window
        if math.hypot(y, x) <= _APART * window.diameter:
            return False
        before, now = self._frames
        there = window.cells(now, self._mapping, moved=spot.moved)
        stayed = math.ceil(_STAYED * window.diameter / window.cell)
        around = window.cells(before, self._mapping, stayed, (y, x))
        return bool(_likeness(there, around, self._weights).max() > spot.likeness)


@dataclass(frozen=True, slots=True)
class _Window:
    """An object with its surroundings, in square cells of pixels.

    Attributes
    ----------
    y0, x0 : int
        First pixel.
    shape : tuple of int
        Cells.
    cell : int
        Side of a cell in pixels.
    diameter : int
        Of the object, in pixels.
    pad : int
        Pixels between the window's border and the object's box.
    """

    y0: int
    x0: int
    shape: tuple[int, int]
    cell: int
    diameter: int
    pad: int

    @classmethod
    def around(cls, record: MaskRecord) -> _Window:
        y0, x0, y1, x1 = record.bbox
        diameter = max(y1 - y0, x1 - x0)
        cell, pad = max(1, round(diameter / _DETAIL)), math.ceil(_RING * diameter)
        shape = tuple(-(-(size + 2 * pad) // cell) for size in (y1 - y0, x1 - x0))
        return cls(y0 - pad, x0 - pad, (shape[0], shape[1]), cell, diameter, pad)

    def cells(
        self,
        frame: NDArray[Any],
        mapping: IntensityMapping,
        reach: int = 0,
        moved: tuple[int, int] = (0, 0),
    ) -> FloatArray:
        """Return the cells of the window, moved by pixels and then widened by cells."""
        start = [a + b - reach * self.cell for a, b in zip((self.y0, self.x0), moved, strict=True)]
        shape = self.shape[0] + 2 * reach, self.shape[1] + 2 * reach
        return _cells(frame, mapping, ((start[0], start[1]), shape), self.cell)

    def weights(self, record: MaskRecord, frame_shape: tuple[int, ...]) -> FloatArray:
        """Return what each cell counts: the object and its rim all, what is far little."""
        inside = np.zeros([cells * self.cell for cells in self.shape], np.float32)
        crop = record.crop()
        inside[self.pad : self.pad + crop.shape[0], self.pad : self.pad + crop.shape[1]] = crop
        soft = ndimage.gaussian_filter(_means(inside, self.cell), _RING * _DETAIL / 2)
        weights: FloatArray = np.clip(2 * soft, 0, 1) + np.float32(_BACKGROUND)
        for axis, (start, size) in enumerate(zip((self.y0, self.x0), frame_shape, strict=True)):
            # What lies outside of the frame is not there.
            places = start + self.cell * np.arange(self.shape[axis]) + self.cell // 2
            is_there = ((places >= 0) & (places < size)).astype(np.float32)
            weights *= is_there[:, None] if axis == 0 else is_there
        return weights / max(float(weights.sum()), 1e-12)


def _cells(
    frame: NDArray[Any],
    mapping: IntensityMapping,
    window: tuple[tuple[int, int], tuple[int, int]],
    cell: int,
) -> FloatArray:
    """Return the mean brightness of the cells of a window: first pixel, and number of cells."""
    count = min(cell, _SAMPLES)
    within = ((np.arange(count) + 0.5) * cell / count).astype(np.intp)
    samples = []
    for start, cells, size in zip(*window, frame.shape[:2], strict=True):
        places = start + cell * np.arange(cells)[:, None] + within
        # Outside of the frame its border goes on.
        samples.append(places.ravel().clip(0, size - 1))
    return _means(mapping.grey(frame[np.ix_(*samples)]), count)


def _means(pixels: NDArray[np.floating], cell: int) -> FloatArray:
    height, width = (size // cell for size in pixels.shape)
    means = pixels.reshape(height, cell, width, cell).mean(axis=(1, 3))
    return means.astype(np.float32, copy=False)


def _likeness(template: FloatArray, around: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted correlation coefficient of a template with every place around it."""
    middle = around.mean()
    template, around = template - middle, around - middle

    def laid(over: FloatArray, kernel: FloatArray) -> FloatArray:
        return signal.correlate(over, kernel, mode="valid", method="fft")

    weighted = weights * template
    mean, mean_around = weighted.sum(), laid(around, weights)
    variance = float((weighted * template).sum() - mean**2)
    variance_around = laid(around**2, weights) - mean_around**2
    least = 1e-6 * max(float(around.var()), 1e-12)
    covariance = laid(around, weighted) - mean * mean_around
    likeness: FloatArray = covariance / np.sqrt(
        max(variance, least) * np.maximum(variance_around, least)
    )
    return likeness
