"""What the division network sees of a cell: a window around its mask on four frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.intensity import IntensityMapping

__all__ = ["BELOW", "RANGE", "SIDE", "DivisionWindow", "division_crops", "frames_around"]

SIDE = 64
"""Pixels along each side of a crop."""

_EXTENT, _DIAMETERS, _LEAST = 1.6, 3.0, 12.0
"""Sides of the window in sides of the mask's box, and in diameters of a disk of its area, whichever
is more, so that daughters that part are inside; and its least side in pixels of the frame."""

_DARKEST, _BRIGHTEST = 1.0, 99.0
"""Percentiles of the window that are shown as 0 and 1: of both frames, and of the earlier one, so
that a cell that brightens as it divides is seen to."""

BELOW, RANGE = 0.25, 2.25
"""What lies so far below 0 is still told apart, and how much is in all."""


@dataclass(frozen=True, slots=True)
class DivisionWindow:
    """A square of the frame; it may reach over the border, which then goes on.

    Attributes
    ----------
    y0, x0, side : int
        Upper left corner, and side, in pixels.
    """

    y0: int
    x0: int
    side: int

    @classmethod
    def around(
        cls, record: MaskRecord, grown: float = 1.0, moved: tuple[float, float] = (0.0, 0.0)
    ) -> DivisionWindow:
        """Return the window of a visible mask, grown by a factor and moved by parts of its side."""
        y0, x0, y1, x1 = record.bbox
        disk = _DIAMETERS * math.sqrt(4 * record.area / math.pi)
        side = max(round(grown * max(_EXTENT * max(y1 - y0, x1 - x0), disk, _LEAST)), 4)
        middle = (y0 + y1) / 2 + moved[0] * side, (x0 + x1) / 2 + moved[1] * side
        return cls(round(middle[0] - side / 2), round(middle[1] - side / 2), side)

    def cut(self, frame: NDArray[Any], mapping: IntensityMapping | None = None) -> Tensor:
        """Return what a frame shows in the window, (SIDE, SIDE) float32."""
        rows, columns = (
            np.arange(start, start + self.side).clip(0, size - 1)
            for start, size in zip((self.y0, self.x0), frame.shape[:2], strict=True)
        )
        pixels = frame[np.ix_(rows, columns)]
        if mapping is not None:
            pixels = mapping.grey(pixels)
        window = torch.from_numpy(np.array(pixels, np.float32, order="C"))[None, None]
        # Antialiasing: a large cell keeps what a small one shows.
        return functional.interpolate(
            window, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
        )[0, 0]

    def cut_mask(self, record: MaskRecord) -> Tensor:
        """Return the part of a mask in the window, (SIDE, SIDE) float32 in 0..1."""
        y0, x0, *_ = record.bbox
        # The mask's own box, with a rim of nothing that goes on as the border of a frame would.
        padded = np.pad(record.crop(), 1)
        local = DivisionWindow(self.y0 - y0 + 1, self.x0 - x0 + 1, self.side)
        return local.cut(padded)

    def place_of(self, yx: tuple[float, float]) -> tuple[float, float]:
        """Return where a point of the frame lies in the window, both 0 to 1 inside."""
        return (yx[0] + 0.5 - self.y0) / self.side, (yx[1] + 0.5 - self.x0) / self.side

    def point_at(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return the point of the frame at a place of the window: `place_of` backwards."""
        return place[0] * self.side + self.y0 - 0.5, place[1] * self.side + self.x0 - 0.5


def frames_around(frame: int, count: int) -> tuple[int, int, int, int]:
    """Return the frames that tell whether a cell has divided by a frame of a movie.

    Parameters
    ----------
    frame : int
        The first one that shows the daughters, if so.
    count : int
        Frames of the movie.

    Returns
    -------
    tuple of int
        The one before the last, the last, the frame, and the next one, from which it is plain that
        two cells stay two; at the ends of the movie the nearest that there is.
    """
    return max(frame - 2, 0), frame - 1, frame, min(frame + 1, count - 1)


def division_crops(
    frames: Sequence[NDArray[Any]],
    record: MaskRecord,
    mapping: IntensityMapping | None = None,
    window: DivisionWindow | None = None,
) -> Tensor:
    """Return what the division network sees of a cell.

    Parameters
    ----------
    frames : sequence of ndarray, (H, W) or (H, W, C)
        Raw values of the four frames of `frames_around`.
    record : MaskRecord
        The cell on the last frame; visible.
    mapping : IntensityMapping, optional
        From raw values to what the network sees; without one frames are grey as they are.
    window : DivisionWindow, optional
        That of the mask by default.

    Returns
    -------
    Tensor, (5, 64, 64) uint8
        Four pictures, and the mask.
    """
    window = window or DivisionWindow.around(record)
    pictures = torch.stack([window.cut(frame, mapping) for frame in frames])
    values = pictures[1:3].flatten(1).numpy()
    low = float(np.percentile(values, _DARKEST, axis=1).min())
    high = float(np.percentile(values[0], _BRIGHTEST))
    shown = (pictures - low) / max(high - low, 1e-6)
    scaled = torch.cat([(shown + BELOW) / RANGE, window.cut_mask(record)[None]])
    return (255 * scaled.clamp(0, 1)).round().to(torch.uint8)
