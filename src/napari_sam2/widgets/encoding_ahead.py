"""What the worker encodes while nobody asks for anything; lives on the worker's thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.predictor.gaze import Gaze
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor

logger = logging.getLogger(__name__)


class EncodingAhead:
    """Encodes around the user's gaze, one view at a time; a new gaze drops what was left."""

    def __init__(self) -> None:
        self.gaze: Gaze | None = None
        self._left: Iterator[int] | None = None

    @property
    def has_work(self) -> bool:
        """Whether `step` may have something to encode."""
        return self._left is not None

    def begin(self, predictor: VideoPredictor | None, session: VideoSession | None) -> None:
        """Begin anew, after a new gaze, network or answer; what is encoded is not done again."""
        self._left = None
        if predictor is not None and session is not None and self.gaze is not None:
            self._left = predictor.encode_ahead(session, self.gaze)

    def stop(self) -> None:
        """Forget the gaze, as when another movie is opened."""
        self.gaze = self._left = None

    def step(self) -> None:
        """Encode one view; one that fails is not missed before it is clicked, and told then."""
        try:
            done = self._left is None or next(self._left, None) is None
        except Exception:
            logger.debug("encoding ahead failed", exc_info=True)
            done = True
        if done:
            self._left = None
