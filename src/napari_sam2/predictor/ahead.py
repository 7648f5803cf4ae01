"""Encoding what clicks will ask for, before they come: the frame on screen and those around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from napari_sam2.predictor.exposure import gamma_of
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.gaze import Gaze
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import ViewPlanner
from napari_sam2.prompts import PointPrompt

_PART_OF_CACHE = 0.5
"""Part of the cache that may be filled ahead; the rest is for what was really asked for."""


SecondLook = Callable[[tuple[float, float], View], View | None]
"""From the place of a click and its first view to the view that it would be looked at again in."""


def encode_ahead(
    session: VideoSession,
    encoder: FrameEncoder,
    planner: ViewPlanner,
    gaze: Gaze,
    second_look: SecondLook,
    *,
    twice: bool = False,
) -> Iterator[int]:
    """Encode view after view into the session's cache, the likeliest first.

    Parameters
    ----------
    session : VideoSession
    encoder : FrameEncoder
    planner : ViewPlanner
    gaze : Gaze
    second_look : callable
    twice : bool
        New objects are looked at in a mirror too.

    Yields
    ------
    int
        The frame of each view that had to be encoded. Stops where half of the cache is filled, so
        nothing that was encoded for this gaze is pushed out by it.
    """
    room = _PART_OF_CACHE * session.features.max_bytes
    seen = set()
    for frame, view in _places(session, planner, gaze, second_look, twice):
        if (frame, view) in seen:
            continue
        seen.add((frame, view))
        is_new = (frame, view) not in session.features
        size = encoder.features(session, frame, view).num_bytes
        if is_new:
            yield frame
        room -= size
        # The next one is as large as this one.
        if room < size:
            return


def _places(
    session: VideoSession, planner: ViewPlanner, gaze: Gaze, second_look: SecondLook, twice: bool
) -> Iterator[tuple[int, View]]:
    """Yield frames and views; what the mouse rests on is looked at, to know the object's size."""

    def looks(view: View | None) -> tuple[View, ...]:
        if view is None:
            return ()
        return (view, view.mirrored) if twice else (view,)

    for frame in gaze.frames(session.num_frames):
        yx = gaze.yx if frame == gaze.frame and planner.is_following else None
        if yx is not None and not _covered(session, frame, yx):
            # As a click there would be seen: around the pixel that it falls on.
            click = Geometry.of((PointPrompt(1, frame, _pixel(yx)),))
            gamma = gamma_of(planner, session, frame, None, None, click)
            first = planner.first_view(_pixel(yx), session.usual_side(), gamma)
            yield from ((frame, view) for view in looks(first))
            yield from ((frame, view) for view in looks(second_look(yx, first)))
        only = only_first_view(session, planner)
        yield from ((frame, view) for view in looks(only))
        for view in views_of_objects(session, planner, frame):
            yield frame, view


def _covered(session: VideoSession, frame: int, yx: tuple[float, float]) -> bool:
    """Whether a pixel lies in the mask of an object: a click there is a correction of it."""
    y, x = _pixel(yx)
    for masklet in session.masklets:
        record = masklet.records.get(frame)
        if record is not None and record.visible:
            y0, x0, y1, x1 = record.bbox
            if y0 <= y < y1 and x0 <= x < x1 and record.crop()[y - y0, x - x0]:
                return True
    return False


def _pixel(yx: tuple[float, float]) -> tuple[int, int]:
    return math.floor(yx[0] + 0.5), math.floor(yx[1] + 0.5)


def only_first_view(session: VideoSession, planner: ViewPlanner) -> View | None:
    """Return the view of clicks on new objects; None where it depends on the place of the click.

    Where views follow objects it does not in frames that are no larger than a view.
    """
    if not planner.is_following:
        return planner.whole
    height, width = session.shape[1:]
    side = session.usual_side()
    corner = planner.first_view((0, 0), side)
    return corner if corner == planner.first_view((height - 1, width - 1), side) else None


def views_of_objects(session: VideoSession, planner: ViewPlanner, frame: int) -> list[View]:
    """List the views through which objects on a frame would be corrected."""
    views: list[View] = []
    in_use = session.views_in_use()
    for object_id, state in session.objects.items():
        record = session.masklets.record(object_id, frame)
        if record is not None and record.visible:
            views.append(planner.view_of(record.bbox, state.view, in_use))
    return list(dict.fromkeys(views))
