"""Outlines of synthetic cells: a level function, positive inside, in pixels.

Every shape is given in the frame of its own body (``u`` along the long axis, ``v`` across it), so
that shape and texture turn and move with the cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

#: Angles in the table of radii; 256 keeps the outline smooth up to a radius of about 100 pixels.
ANGLES = 256
_THETA = np.linspace(-np.pi, np.pi, ANGLES, endpoint=False)
_WAIST_WIDTH = 0.45  # radians


@dataclass(slots=True)
class Body:
    """One cell on one frame.

    Lengths are pixels, angles radians; ``y, x`` is the centre.  ``modes`` is (K, 2), amplitude and
    phase of the Fourier modes 2..K+1 of the outline; ``spikes`` is (S, 3), angle, width and height
    (in radii) of protrusions; ``calm`` from 0 to 1 takes both back.  ``holes`` is (K, 4), place u
    and v and size in radii and depth of dark nucleoli (negative: bright foci).  ``focus`` is 1 in
    focus and falls to 0 when the cell leaves the focal plane.  ``condensed`` is 0 in interphase and
    1 in mitosis; ``waist`` is the part of the radius that is missing half way along.  ``contrast``
    multiplies the texture.  A body with label 0 is not annotated.
    """

    label: int
    y: float
    x: float
    radius: float
    elongation: float = 1.0
    angle: float = 0.0
    bend: float = 0.0
    modes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    spikes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    brightness: float = 1.0
    focus: float = 1.0
    condensed: float = 0.0
    calm: float = 0.0
    waist: float = 0.0
    contrast: float = 1.0
    holes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    depth: float = 0.0
    texture: tuple[int, int] = (0, 0)

    def copy(self) -> Body:
        """Return the same cell with arrays of its own."""
        return replace(self, modes=self.modes.copy(), spikes=self.spikes.copy())


@dataclass(frozen=True, slots=True)
class Patch:
    """The part of a frame that one body touches.

    ``window`` indexes the frame; ``level`` is the distance-like level (positive inside, pixels);
    ``u`` and ``v`` are body coordinates in pixels.  All three arrays are (h, w) float32.
    """

    window: tuple[slice, slice]
    level: FloatArray
    u: FloatArray
    v: FloatArray


def outline_radii(body: Body) -> FloatArray:
    """Radius of a blob at ``ANGLES`` angles from -pi on, float32, pixels."""
    radii = np.ones(ANGLES)
    lively = 1 - body.calm
    for order, (amplitude, phase) in enumerate(body.modes, start=2):
        radii += lively * amplitude * np.cos(order * _THETA + phase)
    for angle, width, height in body.spikes:
        away = np.angle(np.exp(1j * (_THETA - angle)))
        radii += lively * height * np.exp(-((away / width) ** 2))
    if body.waist:
        radii *= 1 - body.waist * np.exp(-np.square((np.abs(_THETA) - np.pi / 2) / _WAIST_WIDTH))
    return (body.radius * np.maximum(radii, 0.25)).astype(np.float32)


def _blob_level(body: Body, u: FloatArray, v: FloatArray) -> FloatArray:
    stretch = np.float32(np.sqrt(body.elongation))
    bent = v - np.float32(body.bend / max(body.radius, 1.0)) * u * u if body.bend else v
    along, across = u / stretch, bent * stretch
    turn = np.arctan2(across, along) + np.float32(np.pi)
    index = (turn * np.float32(ANGLES / (2 * np.pi))).astype(np.intp) % ANGLES
    away = np.hypot(along, across)
    if body.condensed > 0.5 and body.elongation > 2:
        # A plate of chromosomes is a bar, not a spindle.
        away = 0.5 * (away + 1.2 * np.maximum(np.abs(along), np.abs(across)))
    return np.asarray(outline_radii(body)[index] - away, np.float32)


def _rod_level(body: Body, u: FloatArray, v: FloatArray) -> FloatArray:
    # A capsule as long and as wide as the ellipse of the same radius and elongation.
    half_width = body.radius / np.sqrt(body.elongation)
    straight = max(body.radius * np.sqrt(body.elongation) - half_width, 0.0)
    bent = v - np.float32(body.bend / max(body.radius, 1.0)) * u * u
    beyond = np.maximum(np.abs(u) - np.float32(straight), 0)
    return np.asarray(np.float32(half_width) - np.hypot(beyond, bent), np.float32)


def reach(body: Body) -> float:
    """Largest distance in pixels of the outline from the centre."""
    lobes = (
        1.0 + np.abs(body.modes[:, 0]).sum() + (body.spikes[:, 2].max() if len(body.spikes) else 0)
    )
    return float(body.radius * np.sqrt(body.elongation) * max(lobes, 1.0))


def patch_of(body: Body, shape: tuple[int, int], margin: float, rod: bool) -> Patch | None:
    """Compute the level of a body within ``margin`` pixels of it; None when off the frame."""
    extent = reach(body) + margin
    y0, y1 = max(int(body.y - extent), 0), min(int(body.y + extent) + 2, shape[0])
    x0, x1 = max(int(body.x - extent), 0), min(int(body.x + extent) + 2, shape[1])
    if y0 >= y1 or x0 >= x1:
        return None
    dy = (np.arange(y0, y1, dtype=np.float32) - np.float32(body.y))[:, None]
    dx = (np.arange(x0, x1, dtype=np.float32) - np.float32(body.x))[None, :]
    cos, sin = np.float32(np.cos(body.angle)), np.float32(np.sin(body.angle))
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    level = (_rod_level if rod else _blob_level)(body, u, v)
    return Patch((slice(y0, y1), slice(x0, x1)), level, u, v)
