"""Encoding what clicks will ask for, before they come: the frame on screen and those around it."""

from __future__ import annotations

from collections.abc import Iterator

from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.gaze import Gaze
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import ViewPlanner

_PART_OF_CACHE = 0.5
"""Part of the cache that may be filled ahead; the rest is for what was really asked for."""


def encode_ahead(
    session: VideoSession, encoder: FrameEncoder, planner: ViewPlanner, gaze: Gaze
) -> Iterator[int]:
    """Encode view after view into the session's cache, the likeliest first.

    Parameters
    ----------
    session : VideoSession
    encoder : FrameEncoder
    planner : ViewPlanner
    gaze : Gaze

    Yields
    ------
    int
        The frame of each view that had to be encoded. Stops where half of the cache is filled, so
        nothing that was encoded for this gaze is pushed out by it.
    """
    room = _PART_OF_CACHE * session.features.max_bytes
    for frame in gaze.frames(session.num_frames):
        for view in likely_views(session, planner, gaze, frame):
            is_new = (frame, view) not in session.features
            size = encoder.features(session, frame, view).num_bytes
            if is_new:
                yield frame
            room -= size
            # The next one is as large as this one.
            if room < size:
                return


def likely_views(session: VideoSession, planner: ViewPlanner, gaze: Gaze, frame: int) -> list[View]:
    """List the views that a click on a frame would be answered through.

    Where views follow objects these are the views of the objects on the frame; for a new object,
    the one around the mouse, and on frames no larger than a view the only one there is.
    """
    if not planner.is_following:
        return [planner.whole]
    views: list[View] = []
    height, width = session.shape[1:]
    side = session.usual_side()
    corner = planner.first_view((0, 0), side)
    if corner == planner.first_view((height - 1, width - 1), side):
        views.append(corner)
    elif gaze.yx is not None and frame == gaze.frame:
        views.append(planner.first_view(gaze.yx, side))
    in_use = session.views_in_use()
    for object_id, state in session.objects.items():
        record = session.masklets.record(object_id, frame)
        if record is not None and record.visible:
            views.append(planner.view_of(record.bbox, state.view, in_use))
    return list(dict.fromkeys(views))
