"""From a frame of a session to image features, each computed once."""

from __future__ import annotations

import torch

from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View


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

    @torch.inference_mode()
    def features(self, session: VideoSession, frame: int, view: View) -> ImageFeatures:
        """Return the features of one view of a frame, (1, ...) each."""
        key = (frame, view)
        cached = session.features.get(key)
        if cached is not None:
            return cached
        image = view.crop(session.read(frame), session.mapping).to(self._runtime.device)
        with self._runtime.autocast():
            features = self._model.encode_image(image)
        session.features.put(key, features)
        return features
