"""The picture of what the network sees of a frame; made on the worker's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.widgets.engine_start import mapping_of
from napari_sam2.widgets.messages import Seen

if TYPE_CHECKING:
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.widgets.source import Movie


def seen_by(
    predictor: VideoPredictor,
    session: VideoSession,
    key: str,
    movie: Movie,
    object_id: int,
    frame: int,
) -> Seen:
    """Return what the network would see for an object on a frame, with the movie's contrast."""
    from napari_sam2.predictor.preview import picture, view_on

    view = view_on(predictor, session, object_id, frame)
    seen = picture(view, movie.data.read(frame), mapping_of(movie))
    return Seen(key, seen, view.clipped)
