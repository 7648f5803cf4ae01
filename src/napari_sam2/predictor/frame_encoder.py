"""From a frame of a session to image features, each computed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View

_BATCH_PIXELS = 4 * 256 * 256
"""Input pixels that are encoded at a time: small views go faster together, large ones do not."""


class FrameEncoder:
    """Reads, maps, crops and encodes; asks the session's cache first.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime
        Device and dtype.
    """

    def __init__(self, model: SAM2, runtime: Runtime) -> None:
        self._model = model
        self._runtime = runtime

    def features(self, session: VideoSession, frame: int, view: View) -> ImageFeatures:
        """Return the features of one view of a frame, (1, ...) each."""
        return self.features_of(session, frame, [view])[view]

    @torch.inference_mode()
    def features_of(
        self, session: VideoSession, frame: int, views: Iterable[View]
    ) -> dict[View, ImageFeatures]:
        """Return the features of several views of a frame, (1, ...) each.

        Parameters
        ----------
        session : VideoSession
        frame : int
        views : iterable of View
            Repeated ones are encoded once.

        Returns
        -------
        dict
            View to its features.
        """
        number = session.number(frame)
        found = {view: session.features.get((number, view)) for view in views}
        missing = [view for view, features in found.items() if features is None]
        size = max(1, _BATCH_PIXELS // self._model.config.input_size**2)
        for start in range(0, len(missing), size):
            together = missing[start : start + size]
            encoded = self._encode(session, frame, together)
            for view, features in zip(together, encoded, strict=True):
                session.features.put((number, view), features)
                found[view] = features
        return {view: features for view, features in found.items() if features is not None}

    def _encode(
        self, session: VideoSession, frame: int, views: Sequence[View]
    ) -> list[ImageFeatures]:
        pixels = session.read(frame)
        images = torch.cat([view.crop(pixels, session.mapping) for view in views])
        with self._runtime.autocast():
            features = self._model.encode_image(images.to(self._runtime.device))
        if len(views) == 1:
            return [features]
        # Copies: a slice would keep the features of all views alive as long as any is cached.
        return [features.rows(slice(i, i + 1)).clone() for i in range(len(views))]
