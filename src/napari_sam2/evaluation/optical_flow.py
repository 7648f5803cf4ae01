"""Dense inverse-search optical flow (OpenCV) between frames of a movie, and masks warped by it."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.metrics import BoolMask

MOST_FIELDS = 100
"""Flow fields that are kept: a movie of the usual length, 240 MB for frames of 768 pixels."""

FlowField = NDArray[np.float16]
"""Half precision resolves 1/64 pixel where OpenCV's warping resolves 1/32."""


def has_optical_flow() -> bool:
    """Tell whether OpenCV is installed."""
    return importlib.util.find_spec("cv2") is not None


@dataclass
class FlowFields:
    """Where each pixel of a frame came from; one movie at a time, the latest fields are kept."""

    _movie: AnnotatedMovie | None = field(default=None, init=False, repr=False)
    _limits: tuple[float, float] = field(default=(0.0, 1.0), init=False)
    _fields: OrderedDict[tuple[int, int], FlowField] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def between(self, movie: AnnotatedMovie, before: int, now: int) -> FlowField:
        """Return (H, W, 2), x and y: the way from each pixel of `now` to its place in `before`."""
        if self._movie is not movie:
            self._movie = movie
            self._fields.clear()
            sample = _grey(movie.images[:: max(1, len(movie.images) // 8)])
            low, high = np.percentile(sample, [0.5, 99.8])
            self._limits = float(low), float(high)
        key = (before, now)
        if key not in self._fields:
            # Its stubs refuse its own documented calls.
            cv2: Any = importlib.import_module("cv2")
            flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            images = [_to_bytes(movie.images[frame], self._limits) for frame in (now, before)]
            self._fields[key] = flow.calc(*images, None).astype(np.float16)
            if len(self._fields) > MOST_FIELDS:
                self._fields.popitem(last=False)
        self._fields.move_to_end(key)
        return self._fields[key]


@dataclass
class SoftMask:
    """A mask carried along as grey values, so that parts of pixels are not lost on the way."""

    values: NDArray[np.float32]

    @classmethod
    def of(cls, mask: BoolMask) -> SoftMask:
        """Take a mask (H, W)."""
        return cls(mask.astype(np.float32))

    def warped(self, flow: FlowField, reach: int) -> SoftMask:
        """Return the mask after one frame; nothing moves farther than `reach` pixels."""
        cv2: Any = importlib.import_module("cv2")
        out = np.zeros_like(self.values)
        ys, xs = np.flatnonzero(self.values.any(axis=1)), np.flatnonzero(self.values.any(axis=0))
        if ys.size:
            top, left = max(int(ys[0]) - reach, 0), max(int(xs[0]) - reach, 0)
            window = np.s_[top : int(ys[-1]) + reach + 1, left : int(xs[-1]) + reach + 1]
            part = flow[window].astype(np.float32)
            rows, columns = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32)
            out[window] = cv2.remap(
                self.values,
                columns + left + part[..., 0],
                rows + top + part[..., 1],
                cv2.INTER_LINEAR,
            )
        return SoftMask(out)

    def mask(self) -> BoolMask:
        """Cut the grey values at one half."""
        return np.asarray(self.values > 0.5)


def reach_of(flow: FlowField) -> int:
    """Return how far anything moves, in whole pixels."""
    return math.ceil(float(np.abs(flow).max())) + 1


def _grey(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return one channel; of colours their mean."""
    values = image.astype(np.float32)
    return values.mean(axis=-1) if values.ndim > 2 and values.shape[-1] in (3, 4) else values


def _to_bytes(image: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Map a frame to 8 bits between two intensities that hold for the whole movie."""
    low, high = limits
    scaled = np.clip((_grey(image) - low) / max(high - low, 1e-6), 0.0, 1.0)
    return (255 * scaled).astype(np.uint8)
