"""How bright an object is, and how bright it is shown to the network.

One intensity mapping serves a whole movie, but cells of one movie may differ thirtyfold in
brightness. A person raises the contrast to see the dim ones, and the network, too, finds them
better where it sees them brighter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.prompt_encoder import POSITIVE
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import ViewPlanner

__all__ = ["BRIGHTER", "gamma_for", "gamma_of"]

BoundingBox = tuple[int, int, int, int]

BRIGHTER = 0.5
"""Gamma at which dim objects are seen: a square root, which also makes shot noise even. With one
click on each of 85 cells below 0.07 of the range, in synthetic movies kept back, J is 0.63 at a
gamma of 1, 0.68 at this one, 0.65 at 0.35, and 0.62 at 0.25."""

_DIM, _BRIGHT = 0.1, 0.2
"""Parts of the range below which objects are dim, and above which they are not. Of 102 dim cells of
synthetic movies kept back, followed from their masks, those below 0.1 reached a J of 0.60 in place
of 0.52 at a gamma of a half, those up to 0.14 one of 0.65 in place of 0.61, and those up to 0.18
one of 0.72 in place of 0.71. Brighter ones are clicked a little worse."""

_SAMPLES = 64
"""Pixels along the longer side of a frame whose median is taken for the background's."""

_CLICK_REACH = 2
"""Pixels around a click that are taken for the object's, so that noise counts less."""

_LEFT_OUT = 0.25
"""Part of a box that is left out at each of its sides: its middle is the object's."""


def gamma_of(
    planner: ViewPlanner,
    session: VideoSession,
    frame: int,
    current: View | None,
    record: MaskRecord | None,
    geometry: Geometry | None = None,
) -> float:
    """Choose the gamma of the view through which an object is looked at.

    Parameters
    ----------
    planner : ViewPlanner
        Says whether dim objects are seen brighter.
    session : VideoSession
    frame : int
    current : View or None
        That it was last seen in. An object that is neither dim nor bright keeps its gamma, since
        its memories were made at it.
    record : MaskRecord or None
        What is known of the object's mask on the frame.
    geometry : Geometry or None
        Prompts on the frame.

    Returns
    -------
    float
        1, or a half for dim objects.
    """
    if not planner.is_brightening:
        return 1.0
    known = None if current is None else current.gamma
    brightness = _brightness(session, frame, record, geometry)
    if brightness is None:
        return known or 1.0
    return gamma_for(brightness, lambda: _background(session, frame), known)


def gamma_for(brightness: float, background: Callable[[], float], known: float | None) -> float:
    """Choose the gamma for an object of a brightness.

    Parameters
    ----------
    brightness : float
        Of the object, in 0..1.
    background : callable
        Brightness of what is around it; asked only where it counts.
    known : float or None
        Gamma that an object keeps that is neither dim nor bright.

    Returns
    -------
    float
        1, or `BRIGHTER` for dim objects.
    """
    if brightness > _BRIGHT or brightness <= background():
        return 1.0
    if brightness < _DIM:
        return BRIGHTER
    return known or (BRIGHTER if brightness < (_DIM + _BRIGHT) / 2 else 1.0)


def _background(session: VideoSession, frame: int) -> float:
    """Return the median that the mapping shows of a frame, in 0..1."""
    pixels = session.read(frame)
    step = max(1, max(pixels.shape[:2]) // _SAMPLES)
    return float(np.median(session.mapping.apply(pixels[::step, ::step])))


def _brightness(
    session: VideoSession, frame: int, record: MaskRecord | None, geometry: Geometry | None
) -> float | None:
    """Return the mean that the mapping shows, in 0..1, where the object is known to be.

    Under the mask, in the middle of the box, or around the positive clicks, whichever is known
    first; None where nothing says where the object is.
    """
    pixels = session.read(frame)
    values = []
    for (y0, x0, y1, x1), inside in _places(record, geometry, pixels.shape[:2]):
        shown = session.mapping.apply(pixels[y0:y1, x0:x1])
        values.append(float((shown if inside is None else shown[inside]).mean()))
    return float(np.mean(values)) if values else None


def _places(
    record: MaskRecord | None, geometry: Geometry | None, shape: tuple[int, ...]
) -> Iterator[tuple[BoundingBox, NDArray[np.bool_] | None]]:
    """Yield boxes in the frame, of one pixel at least, and the pixels of them that count."""
    if geometry is not None and geometry.mask is not None and geometry.mask.bits:
        record = MaskRecord(geometry.mask.bbox, geometry.mask.bits, 1.0, 0.0)
    if record is not None and record.visible:
        yield record.bbox, record.crop()
    elif geometry is None or geometry.mask is not None:
        return
    elif geometry.bbox is not None:
        y0, x0, y1, x1 = geometry.bbox
        rows, columns = int(_LEFT_OUT * (y1 - y0)), int(_LEFT_OUT * (x1 - x0))
        yield _within((y0 + rows, x0 + columns, y1 - rows, x1 - columns), shape), None
    else:
        for y, x in np.floor(geometry.points[geometry.labels == POSITIVE] + 0.5).astype(int):
            reach = _CLICK_REACH
            yield _within((y - reach, x - reach, y + reach + 1, x + reach + 1), shape), None


def _within(bbox: BoundingBox, shape: tuple[int, ...]) -> BoundingBox:
    """Return the part of a box that lies in the frame, at least its nearest pixel."""
    height, width = shape
    top, left = min(max(bbox[0], 0), height - 1), min(max(bbox[1], 0), width - 1)
    return top, left, max(min(bbox[2], height), top + 1), max(min(bbox[3], width), left + 1)
