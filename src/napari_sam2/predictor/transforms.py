"""Where the network looks: the view, between a frame and the network's input.

This is the only file of the engine in which the order (x, y) exists. Three coordinates meet here:

* frame coordinates ``(y, x)``: pixel centres at integers, as in napari;
* frame edges: pixel ``i`` reaches from ``i`` to ``i + 1``, so its centre lies at ``i + 0.5``. The
  corners of a view are edges, and whole numbers, so that cutting a window out of a frame moves
  nothing by a part of a pixel;
* input coordinates ``(x, y)``: pixel centres of the network's input at integers. The prompt
  encoder adds its half pixel itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray

from napari_sam2.model.config import IMAGE_MEAN, IMAGE_STD
from napari_sam2.predictor.brightening import brightened

if TYPE_CHECKING:
    from napari_sam2.predictor.intensity import IntensityMapping

__all__ = ["View"]

BoundingBox = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class View:
    """A window of the frame and the size that the network sees it at.

    Parameters
    ----------
    y0, x0 : int
        Upper left corner, in frame edges. May be negative.
    height, width : int
        Size of the window in frame pixels. The window may reach over the frame: what lies outside
        continues the frame's border pixels, since a network that learnt on windows of pictures has
        never seen a black margin.
    input_size : tuple of int
        ``(H, W)`` of the network's input.
    frame_shape : tuple of int
        ``(H, W)`` of the frames.
    is_mirrored : bool
        Whether the network sees the window with left and right exchanged.
    gamma : float
        Power that what is seen, in 0..1, is raised to: below 1 dim things are seen brighter.
        Noise is smoothed first, see `brightening`.

    Notes
    -----
    Equal views are equal keys: the features of one view serve every object that is seen in it.
    """

    y0: int
    x0: int
    height: int
    width: int
    input_size: tuple[int, int]
    frame_shape: tuple[int, int]
    is_mirrored: bool = False
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if any(int(v) != v for v in (self.y0, self.x0, self.height, self.width)):
            raise ValueError(
                f"a view is made of whole pixels, not {self.corners}: round its corners, "
                "or make it with View.square"
            )
        if not 0 < self.gamma < np.inf:
            raise ValueError(f"the gamma of a view has to be a number above 0, not {self.gamma}")
        sizes = (self.height, self.width, *self.input_size, *self.frame_shape)
        if min(sizes) < 1:
            raise ValueError(f"a view needs sizes of at least 1 pixel, not {sizes}")

    @classmethod
    def whole(cls, frame_shape: tuple[int, int], input_size: tuple[int, int]) -> View:
        """Return the view of the whole frame, stretched to the input (the aspect is not kept)."""
        height, width = frame_shape
        return cls(0, 0, height, width, _pair(input_size), _pair(frame_shape))

    @classmethod
    def square(
        cls,
        center_yx: tuple[float, float],
        side: float,
        frame_shape: tuple[int, int],
        input_size: tuple[int, int],
    ) -> View:
        """Return a square view around a point, moved into the frame where that is large enough.

        Parameters
        ----------
        center_yx : tuple of float
            Wanted centre in frame coordinates.
        side : float
            Wanted side in frame pixels, rounded to whole ones.
        frame_shape, input_size : tuple of int
            ``(H, W)`` of the frames and of the network's input.

        Notes
        -----
        A frame that is smaller than the side in one direction is centred there.
        """
        if not np.isfinite((*center_yx, side)).all() or side < 1:
            raise ValueError(
                f"a view needs a finite centre and a side of at least 1 pixel, "
                f"not {center_yx} and {side}"
            )
        whole_side = round(side)
        y0, x0 = (
            _start(center, whole_side, size)
            for center, size in zip(center_yx, frame_shape, strict=True)
        )
        return cls(y0, x0, whole_side, whole_side, _pair(input_size), _pair(frame_shape))

    @property
    def mirrored(self) -> View:
        """The same window with left and right exchanged."""
        return replace(self, is_mirrored=not self.is_mirrored)

    @property
    def corners(self) -> BoundingBox:
        """Edges ``(y0, x0, y1, x1)`` of the window in the frame; may reach over it."""
        return self.y0, self.x0, self.y0 + self.height, self.x0 + self.width

    @property
    def clipped(self) -> BoundingBox:
        """Edges ``(y0, x0, y1, x1)`` of the part of the window that lies in the frame."""
        y0, x0, y1, x1 = self.corners
        H, W = self.frame_shape
        top, left = min(max(y0, 0), H), min(max(x0, 0), W)
        return top, left, max(min(y1, H), top), max(min(x1, W), left)

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels a frame pixel, ``(sy, sx)``."""
        return self.input_size[0] / self.height, self.input_size[1] / self.width

    @property
    def is_whole(self) -> bool:
        """Whether the view shows exactly the frame."""
        return self.corners == (0, 0, *self.frame_shape)

    def contains(self, bbox: BoundingBox, margin: float = 0.0) -> bool:
        """Say whether a box lies in the view with a margin.

        Parameters
        ----------
        bbox : tuple of int
            ``(y0, x0, y1, x1)`` in frame edges, half open. An empty box lies in every view.
        margin : float
            Frame pixels that have to stay free between the box and the border of the view. No
            margin is asked for where the view ends with the frame: nothing more could be seen.
        """
        if bbox[2] <= bbox[0] or bbox[3] <= bbox[1]:
            return True
        y0, x0, y1, x1 = self.corners
        H, W = self.frame_shape
        starts = zip(bbox[:2], (y0, x0), strict=True)
        ends = zip(bbox[2:], (y1, x1), (H, W), strict=True)
        return all(view <= 0 or view + margin <= low for low, view in starts) and all(
            view >= size or high <= view - margin for high, view, size in ends
        )

    def crop(self, frame: NDArray[Any], mapping: IntensityMapping | None = None) -> torch.Tensor:
        """Return what the network sees of a frame.

        Parameters
        ----------
        frame : ndarray
            With a mapping: the raw frame, (H, W) or (H, W, C), any number type; only the window is
            converted. Without: (H, W, 3) float32 in 0..1.
        mapping : IntensityMapping, optional
            Turns raw values into red, green and blue in 0..1.

        Returns
        -------
        Tensor, (1, 3, h, w) float32 on the CPU
            Resized (bilinear, smoothed first where it shrinks) and normalised.
        """
        self._check_frame(frame.shape)
        window = self._cut(frame)
        rgb = window if mapping is None else mapping.apply(window)
        if rgb.ndim != 3 or rgb.shape[-1] != 3:
            raise ValueError(
                f"a view needs a frame of shape (H, W, 3), not {frame.shape}: pass a mapping"
            )
        # A grey frame is one channel seen three times (stride 0): it is resized once.
        planes = rgb[..., :1] if rgb.strides[-1] == 0 else rgb
        image = np.array(planes.transpose(2, 0, 1), np.float32, order="C")
        if self.gamma != 1:
            image = brightened(image, self.gamma, self.height)
        mean, std = _normalisation()
        seen = self._turn(self._resize(self._extend(torch.from_numpy(image))[None]))
        return (seen - mean) / std  # (1, 3, h, w)

    def mask_to_input(self, mask: NDArray[Any]) -> torch.Tensor:
        """Return a mask of the frame as the network sees it.

        Parameters
        ----------
        mask : ndarray, (H, W) bool
            At the size of the frame.

        Returns
        -------
        Tensor, (1, 1, h, w) float32 on the CPU
            Zeros and ones. A mask with pixels in the view keeps at least one, however small it
            becomes. Outside the frame the mask continues as the picture does.
        """
        self._check_frame(mask.shape)
        window = torch.from_numpy(np.array(self._cut(mask), np.float32, order="C"))
        resized = self._turn(self._resize(self._extend(window[None])[None]))
        peak = float(resized.max())
        threshold = 0.5 if peak >= 0.5 else max(peak / 2, 1e-6)
        return (resized >= threshold).float()

    def to_input_xy(self, points_yx: ArrayLike) -> torch.Tensor:
        """Return frame points as the prompt encoder takes them.

        Parameters
        ----------
        points_yx : array-like, (P, 2) float
            Frame coordinates ``(y, x)``.

        Returns
        -------
        Tensor, (P, 2) float32
            Input coordinates ``(x, y)``, pixel centres at integers.
        """
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        inside = (points + 0.5 - (self.y0, self.x0)) * self.scale - 0.5
        if self.is_mirrored:
            inside[:, 1] = self.input_size[1] - 1 - inside[:, 1]
        return torch.from_numpy(np.ascontiguousarray(inside[:, ::-1], dtype=np.float32))

    def to_frame_yx(self, points_xy: ArrayLike) -> NDArray[np.float64]:
        """Return input points ``(x, y)`` as frame points ``(y, x)``: `to_input_xy` backwards."""
        points = np.array(points_xy, dtype=np.float64).reshape(-1, 2)[:, ::-1]
        if self.is_mirrored:
            points[:, 1] = self.input_size[1] - 1 - points[:, 1]
        return (points + 0.5) / self.scale + (self.y0, self.x0) - 0.5

    def logits_to_frame(self, logits: torch.Tensor) -> tuple[tuple[int, int], torch.Tensor]:
        """Return mask logits at the resolution of the frame, for all objects of this view.

        Parameters
        ----------
        logits : Tensor, (B, M, h, w) or (B, h, w)
            Of any resolution that covers the view; M has to be 1.

        Returns
        -------
        origin : tuple of int
            Frame pixel ``(y, x)`` of the first value.
        logits : Tensor, (B, hc, wc) float32
            The part of the view that lies in the frame; bilinear, no value outside the range of
            the given ones.
        """
        return self._sample(self._turn(_one_mask(logits)), self.clipped)

    def object_logits_to_frame(
        self, logits: torch.Tensor, floor: float = 0.0
    ) -> list[tuple[tuple[int, int], torch.Tensor]]:
        """Return mask logits at the resolution of the frame, for each object where it may be.

        Where the view is large and the objects are small, this costs a small part of
        `logits_to_frame`, with the same values: every frame pixel above ``floor`` is inside.

        Parameters
        ----------
        logits : Tensor, (B, M, h, w) or (B, h, w)
            As for `logits_to_frame`.
        floor : float
            Logit from which on a pixel matters: 0 for masks.

        Returns
        -------
        list of (origin, Tensor (hc, wc) float32 on the CPU)
            One entry an object; (0, 0)-sized where nothing is above the floor.
        """
        found = []
        # Where the objects are decides what is sampled: one transfer instead of one for each.
        for one in self._turn(_one_mask(logits)).cpu():
            origin, crop = self._sample(one[None], self._reach(one > floor))
            found.append((origin, crop[0]))
        return found

    def _reach(self, above: torch.Tensor) -> BoundingBox:
        """Return the frame pixels that touch the cells marked in a low-resolution mask."""
        top, left, bottom, right = self.clipped
        rows, cols = (above.any(1 - axis).nonzero().flatten() for axis in (0, 1))
        if not len(rows):
            return top, left, top, left
        # Bilinear values reach one cell further than the cell itself.
        ky, kx = self.height / above.shape[0], self.width / above.shape[1]
        y0, y1 = (int(rows[0]) - 1) * ky + self.y0, (int(rows[-1]) + 2) * ky + self.y0
        x0, x1 = (int(cols[0]) - 1) * kx + self.x0, (int(cols[-1]) + 2) * kx + self.x0
        y0, x0 = min(max(int(np.floor(y0)), top), bottom), min(max(int(np.floor(x0)), left), right)
        y1, x1 = max(min(int(np.ceil(y1)), bottom), y0), max(min(int(np.ceil(x1)), right), x0)
        return y0, x0, y1, x1

    def _sample(
        self, logits: torch.Tensor, bbox: BoundingBox
    ) -> tuple[tuple[int, int], torch.Tensor]:
        """Interpolate (B, h, w) at the frame pixels of a box."""
        y0, x0, y1, x1 = bbox
        _, h, w = logits.shape
        device = logits.device
        low, high, part = _neighbours(y0 - self.y0, y1 - self.y0, self.height, h, device)
        rows = torch.lerp(logits[:, low], logits[:, high], part[:, None])  # (B, hc, w)
        low, high, part = _neighbours(x0 - self.x0, x1 - self.x0, self.width, w, device)
        return (y0, x0), torch.lerp(rows[..., low], rows[..., high], part)  # (B, hc, wc)

    def _check_frame(self, shape: tuple[int, ...]) -> None:
        if tuple(shape[:2]) != self.frame_shape:
            raise ValueError(
                f"this view is for frames of {self.frame_shape}, not {tuple(shape[:2])}: "
                "make a new view"
            )

    def _cut(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Return the part of the frame under the window, at least its nearest pixel."""
        rows, cols = self._indices()
        return frame[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]

    def _extend(self, window: torch.Tensor) -> torch.Tensor:
        """Continue the border of a cut (C, hc, wc) over the whole window."""
        if window.shape[1:] == (self.height, self.width):
            return window
        rows, cols = self._indices()
        return window[:, rows - rows[0]][:, :, cols - cols[0]]

    def _indices(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        y0, x0, y1, x1 = self.corners
        H, W = self.frame_shape
        return np.arange(y0, y1).clip(0, H - 1), np.arange(x0, x1).clip(0, W - 1)

    def _turn(self, pixels: torch.Tensor) -> torch.Tensor:
        """Exchange left and right of (..., h, w) where the view does: there or back."""
        return pixels.flip(-1) if self.is_mirrored else pixels

    def _resize(self, image: torch.Tensor) -> torch.Tensor:
        """Resize (1, C, height, width) to the input."""
        if image.shape[-2:] == self.input_size:
            return image
        return F.interpolate(
            image, size=self.input_size, mode="bilinear", align_corners=False, antialias=True
        )


def _pair(size: Sequence[int]) -> tuple[int, int]:
    """Return two sizes as the plain integers that make a key."""
    height, width = size
    return int(height), int(width)


def _start(center: float, side: int, size: int) -> int:
    """Return the first edge of a window of ``side`` around ``center``, inside ``size``."""
    if side >= size:
        return -((side - size) // 2)
    return min(max(round(center + 0.5 - side / 2), 0), size - side)


def _one_mask(logits: torch.Tensor) -> torch.Tensor:
    """Return (B, h, w) float32 of (B, 1, h, w) or (B, h, w)."""
    if logits.ndim == 4 and logits.shape[1] == 1:
        logits = logits[:, 0]
    if logits.ndim != 3:
        raise ValueError(
            f"mask logits have the shape (B, 1, h, w), not {tuple(logits.shape)}: "
            "choose one mask for each object first"
        )
    return logits.float()


def _neighbours(
    start: int, stop: int, extent: int, cells: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return both neighbouring cells and the part of the second, for pixels start..stop."""
    position = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * (cells / extent) - 0.5
    position = position.clamp(0, cells - 1)
    low = position.floor().long()
    part = (position - low).float()
    return low.to(device), (low + 1).clamp(max=cells - 1).to(device), part.to(device)


@lru_cache(maxsize=1)
def _normalisation() -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of the pictures that the encoder was trained on, (3, 1, 1)."""
    return torch.tensor(IMAGE_MEAN).view(3, 1, 1), torch.tensor(IMAGE_STD).view(3, 1, 1)
