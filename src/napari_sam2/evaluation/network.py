"""The network as a contestant: only public calls of the predictor, in a user's order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.ground_truth import AnnotatedMovie, MaskletTask
from napari_sam2.evaluation.methods import STILL_PROTOCOLS, StillPrompts
from napari_sam2.evaluation.metrics import BoolMask
from napari_sam2.evaluation.rivals import first_masks
from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt


class NetworkOnStills:
    """Answer prompts on frames of a movie as in the application, one prompt after the other.

    Parameters
    ----------
    predictor : VideoPredictor
    name : str
        Name in tables.
    """

    def __init__(self, predictor: VideoPredictor, name: str = "network") -> None:
        self.name = name
        self.protocols = STILL_PROTOCOLS
        self._predictor = predictor
        self._open: tuple[AnnotatedMovie, VideoSession] | None = None

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> BoolMask:
        """Give a new object its prompts in order, keep the last mask, remove the object."""
        session = self._session(movie)
        mask: BoolMask = np.zeros(session.shape[1:], dtype=bool)
        for prompt in _as_prompts(prompts, frame):
            result = self._predictor.predict_frame(session, prompt)
            mask = result.objects[0].record.mask(session.shape[1:])
        self._predictor.remove_object(session, 1)
        return mask

    def _session(self, movie: AnnotatedMovie) -> VideoSession:
        """Open a movie once for all objects asked for on it."""
        if self._open is None or self._open[0] is not movie:
            self._open = (movie, VideoSession.open(movie.images))
        return self._open[1]


class ImageNetworkOnStills:
    """Answer prompts through the image predictor, one frame at a time.

    Parameters
    ----------
    predictor : ImagePredictor
    name : str
        Name in tables.
    """

    def __init__(self, predictor: ImagePredictor, name: str = "network, whole frame") -> None:
        self.name = name
        self.protocols = STILL_PROTOCOLS
        self._predictor = predictor
        self._seen: tuple[AnnotatedMovie, int] | None = None

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> BoolMask:
        """Return the best mask; every click refines the mask of the clicks before it."""
        if self._seen is None or self._seen[0] is not movie or self._seen[1] != frame:
            self._predictor.set_image(movie.images[frame])
            self._seen = (movie, frame)
        if prompts.box is not None:
            result = self._predictor.predict(box_yxyx=prompts.box, multimask=False)
            return np.asarray(result.masks[0])
        logits: NDArray[np.float32] | None = None
        mask: BoolMask = np.zeros(movie.labels.shape[1:], dtype=bool)
        for count in range(1, len(prompts.clicks) + 1):
            clicks = prompts.clicks[:count]
            result = self._predictor.predict(
                points_yx=np.array([yx for yx, _ in clicks]),
                positive=np.array([positive for _, positive in clicks]),
                mask_logits=logits,
                multimask=count == 1,
            )
            mask, logits = np.asarray(result.masks[0]), result.logits[0]
        return mask


class NetworkOnMovies:
    """Propagate objects forward from mask prompts, all of a task in one session.

    Parameters
    ----------
    predictor : VideoPredictor
    name : str
        Name in tables.
    """

    def __init__(self, predictor: VideoPredictor, name: str = "network") -> None:
        self.name = name
        self._predictor = predictor

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, BoolMask]]]:
        """Yield every frame after the first."""
        session = VideoSession.open(task.movie.images)
        for object_id, mask in first_masks(task).items():
            session.add(MaskPrompt(object_id=object_id, frame=task.first, mask=mask))
        options = PropagateOptions(direction="forward", start=task.first, stop=task.last)
        for result in self._predictor.propagate(session, options):
            if result.frame > task.first:
                masks = {i: session.masklets.mask(i, result.frame) for i in task.object_ids}
                yield result.frame, masks


def _as_prompts(prompts: StillPrompts, frame: int) -> list[Prompt]:
    """Return a box, or the clicks, as prompts of object 1."""
    if prompts.box is not None:
        return [BoxPrompt(object_id=1, frame=frame, yxyx=prompts.box)]
    return [PointPrompt(1, frame, yx, positive) for yx, positive in prompts.clicks]
