"""The tracks of what a session knows by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.tracking.tracks import Tracks


def tracks_of(session: VideoSession) -> Tracks:
    """Return the tracks of every masklet of a session."""
    from napari_sam2.predictor.composed_frames import grid_of
    from napari_sam2.tracking.tracks import tracks_from_masklets

    return tracks_from_masklets(session.masklets, grid=grid_of(session.frames))
