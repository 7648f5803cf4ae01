"""From raw values to what the network sees: one mapping for the whole movie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_sam2.predictor.frames import FrameSource

__all__ = ["IntensityMapping"]

_SAMPLES_PER_FRAME = 1 << 16


@dataclass(frozen=True, slots=True)
class IntensityMapping:
    """One way from raw values to red, green and blue in 0..1, the same for the whole movie.

    Parameters
    ----------
    low, high : tuple of float
        For each raw channel the value that becomes 0 and the one that becomes 1; values outside are
        clipped. Where they are equal, as in a constant movie, everything becomes 0.
    channels : tuple of int
        The raw channels that are shown as red, green and blue.
    gamma : tuple of float
        For each raw channel the power that its values in 0..1 are raised to; 1 where it is empty.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    channels: tuple[int, int, int] = (0, 0, 0)
    gamma: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        limits = np.array([self.low, self.high], dtype=np.float64)
        if limits.ndim != 2 or limits.shape[1] == 0:
            raise ValueError(f"each channel needs a low and a high limit: {self.low}, {self.high}")
        if not np.isfinite(limits).all() or (limits[1] < limits[0]).any():
            raise ValueError(
                f"intensity limits have to be finite and low <= high, not {self.low} to {self.high}"
            )
        if len(self.channels) != 3 or not all(0 <= c < len(self.low) for c in self.channels):
            raise ValueError(
                f"channels {self.channels} have to be three numbers from 0 to {len(self.low) - 1}"
            )
        if self.gamma and (len(self.gamma) != len(self.low) or not min(self.gamma) > 0):
            raise ValueError(
                f"gamma {self.gamma} has to be one number above 0 for each of {len(self.low)} "
                "channels"
            )

    @classmethod
    def from_limits(
        cls,
        low: float,
        high: float,
        num_channels: int = 1,
        channels: tuple[int, int, int] | None = None,
    ) -> IntensityMapping:
        """Return the mapping with the same limits for every channel, such as a layer's contrast."""
        shown = _default_channels(num_channels) if channels is None else channels
        return cls((float(low),) * num_channels, (float(high),) * num_channels, shown)

    @classmethod
    def from_percentiles(
        cls,
        source: FrameSource,
        low: float = 0.5,
        high: float = 99.8,
        max_frames: int = 16,
        channels: tuple[int, int, int] | None = None,
    ) -> IntensityMapping:
        """Return the mapping from percentiles of frames spread evenly over the movie.

        Parameters
        ----------
        source : FrameSource
            The movie; at most ``max_frames`` of it are read.
        low, high : float
            Percentiles, 0 to 100, of the finite values.
        max_frames : int
            How many frames to look at, first and last among them.
        channels : tuple of int, optional
            The channels shown as red, green and blue; by default the first three, and one or two
            are repeated.

        Notes
        -----
        Three or four channels of 8 bits are a colour picture: they share one range, which keeps
        its hues. Where the percentiles coincide, as with few small bright objects on a flat
        background, the smallest and the largest value are taken.
        """
        if not 0 <= low < high <= 100 or max_frames < 1:
            raise ValueError(
                f"percentiles have to be 0 <= low < high <= 100 of at least one frame, "
                f"not {low} and {high} of {max_frames}"
            )
        frames = np.unique(np.linspace(0, len(source) - 1, max_frames).round().astype(int))
        samples, is_colour = [], False
        for t in frames:
            frame = source.read(int(t))
            is_colour = frame.dtype == np.uint8 and source.num_channels in (3, 4)
            samples.append(_thin(frame.reshape(*frame.shape[:2], -1)))
        values = np.concatenate(samples)  # (N, C)
        if is_colour:
            values = np.broadcast_to(values[:, :3].reshape(-1, 1), (values[:, :3].size, 1))
        limits = [_limits(channel, low, high) for channel in values.T]
        limits = limits * (source.num_channels if is_colour else 1)
        shown = _default_channels(source.num_channels) if channels is None else channels
        return cls(tuple(a for a, _ in limits), tuple(b for _, b in limits), shown)

    def apply(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Return a frame, or any window of one, as red, green and blue.

        Parameters
        ----------
        frame : ndarray, (H, W) or (H, W, C)
            Raw values. What is not a number becomes 0, infinities become 0 and 1.

        Returns
        -------
        ndarray, (H, W, 3) float32
            In 0..1. Where all three are the same channel they share their memory and are read-only.
        """
        planes = frame if frame.ndim == 3 else frame[..., None]
        if planes.ndim != 3 or planes.shape[-1] != len(self.low):
            raise ValueError(
                f"this mapping is for frames of {len(self.low)} channels, not of shape "
                f"{frame.shape}: make a mapping for this movie"
            )
        shown = {c: self._scale(planes[..., c], c) for c in set(self.channels)}
        if len(shown) == 1:
            grey = shown[self.channels[0]]
            return np.broadcast_to(grey[..., None], (*grey.shape, 3))
        return np.stack([shown[c] for c in self.channels], axis=-1)

    def grey(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Return the brightness of a frame, or any window of one, (H, W) float32 in 0..1."""
        seen = self.apply(frame)
        grey: NDArray[np.float32] = seen[..., 0] if seen.strides[-1] == 0 else seen.mean(axis=-1)
        return grey

    def _scale(self, plane: NDArray[Any], channel: int) -> NDArray[np.float32]:
        low, high = self.low[channel], self.high[channel]
        if high <= low:
            return np.zeros(plane.shape, np.float32)
        # Large integers and doubles lose their small differences in single precision.
        values: NDArray[Any] = plane.astype(np.promote_types(plane.dtype, np.float32))
        values -= low
        values /= high - low
        if plane.dtype.kind == "f":
            np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        shown = np.clip(values, 0, 1, out=values).astype(np.float32, copy=False)
        gamma = self.gamma[channel] if self.gamma else 1.0
        return shown if gamma == 1.0 else shown ** np.float32(gamma)


def _default_channels(num_channels: int) -> tuple[int, int, int]:
    return 0, min(1, num_channels - 1), min(2, num_channels - 1)


def _thin(frame: NDArray[Any]) -> NDArray[np.float64]:
    """Return about 65 000 pixels of a frame (H, W, C), spread evenly, as (N, C)."""
    step = max(1, int(np.sqrt(frame.shape[0] * frame.shape[1] / _SAMPLES_PER_FRAME)))
    return frame[::step, ::step].reshape(-1, frame.shape[-1]).astype(np.float64)


def _limits(values: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles of the finite values, or their extremes where those coincide."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 0.0
    bottom, top = np.percentile(finite, (low, high))
    if top <= bottom:
        bottom, top = finite.min(), finite.max()
    return float(bottom), float(top)
