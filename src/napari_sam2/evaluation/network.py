"""The network as a contestant: only public calls of the predictor, in a user's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.clicks import PointYX
from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.methods import NETWORK, STILL_PROTOCOLS, StillPrompts
from napari_sam2.evaluation.metrics import BoolMask
from napari_sam2.evaluation.simulated_user import prompted_mask
from napari_sam2.evaluation.tasks import MaskletTask
from napari_sam2.masklets import MaskRecord
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt


def axes_of(movie: AnnotatedMovie) -> str:
    """Return the axes of a movie's images, as `VideoSession.open` takes them."""
    return ("Z" if movie.is_stack else "T") + "YXC"[: movie.images.ndim - 1]


@dataclass
class Sessions:
    """Opens sessions; the intensities of a movie are looked at once, not in every session."""

    _before: tuple[AnnotatedMovie, VideoSession] | None = field(default=None, init=False)

    def open(self, movie: AnnotatedMovie, model: SAM2 | None = None) -> VideoSession:
        """Return a session of the movie without prompts.

        With the network that it is for, it begins with the frames that the session before has
        encoded: for protocols that go through the same frames many times and are not timed.
        """
        before = None if self._before is None or self._before[0] is not movie else self._before[1]
        session = VideoSession.open(
            movie.images, None if before is None else before.mapping, axes_of(movie)
        )
        if before is not None and model is not None and before.model is model:
            session.features, session.model = before.features, model
        self._before = (movie, session)
        return session


class NetworkOnStills:
    """Answer prompts on frames of a movie as in the application, one prompt after the other.

    Parameters
    ----------
    predictor : VideoPredictor
    name : str
        Name in tables.
    """

    def __init__(self, predictor: VideoPredictor, name: str = NETWORK) -> None:
        self.name = name
        self.protocols = STILL_PROTOCOLS
        self._predictor = predictor
        self._open: tuple[AnnotatedMovie, VideoSession] | None = None
        self._asked: tuple[int, StillPrompts] | None = None

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> MaskRecord:
        """Give a new object its box, or the object of the call before one more click."""
        session = self._session(movie)
        done = 0 if self._asked is None or self._asked[0] != frame else len(self._asked[1].clicks)
        is_more = 0 < done < len(prompts.clicks)
        if not is_more or self._asked is None or prompts.clicks[:done] != self._asked[1].clicks:
            self._predictor.remove_object(session, 1)
            done = 0
        self._asked = (frame, prompts)
        return _ask(self._predictor, session, (1, frame), prompts, done)

    def _session(self, movie: AnnotatedMovie) -> VideoSession:
        """Open a movie once for all objects asked for on it."""
        if self._open is None or self._open[0] is not movie:
            self._open = (movie, VideoSession.open(movie.images))
            self._asked = None
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
        self._before: tuple[StillPrompts, NDArray[np.float32]] | None = None

    def answer(self, movie: AnnotatedMovie, frame: int, prompts: StillPrompts) -> MaskRecord:
        """Return the best mask; every click refines the mask of the clicks before it."""
        if self._seen is None or self._seen[0] is not movie or self._seen[1] != frame:
            self._predictor.set_image(movie.images[frame])
            self._seen, self._before = (movie, frame), None
        if prompts.box is not None:
            result = self._predictor.predict(box_yxyx=prompts.box, multimask=False)
            return MaskRecord.from_mask(result.masks[0], predicted_iou=float(result.ious[0]))
        logits = self._logits_before(prompts)
        result = self._predictor.predict(
            points_yx=np.array([yx for yx, _ in prompts.clicks]),
            positive=np.array([positive for _, positive in prompts.clicks]),
            mask_logits=logits,
            multimask=len(prompts.clicks) == 1,
        )
        self._before = (prompts, result.logits[0])
        return MaskRecord.from_mask(result.masks[0], predicted_iou=float(result.ious[0]))

    def _logits_before(self, prompts: StillPrompts) -> NDArray[np.float32] | None:
        """Return the answer to all clicks but the last."""
        if self._before is None or self._before[0].clicks != prompts.clicks[:-1]:
            return None
        return self._before[1]


class NetworkOnMovies:
    """Propagate objects forward from their prompts, all of a task in one session.

    Parameters
    ----------
    predictor : VideoPredictor
    name : str
        Name in tables.
    """

    def __init__(self, predictor: VideoPredictor, name: str = NETWORK) -> None:
        self.name = name
        self._predictor = predictor
        self._sessions = Sessions()

    def track(self, task: MaskletTask) -> Iterator[tuple[int, dict[int, MaskRecord]]]:
        """Yield every frame from the first; all prompts are given before the run."""
        session = self._sessions.open(task.movie)
        for object_id, frame in task.starts.items():
            self._prompt(session, task, object_id, frame)
            if task.movie.mothers.get(object_id) in task.ends:
                # Who ends a mother with her daughters says that they are new, as in the viewer.
                session.locks.limit(object_id, frame, None)
        options = PropagateOptions(direction="forward", start=task.first, stop=task.last)
        for result in self._predictor.propagate(session, options):
            found = {i: session.masklets.record(i, result.frame) for i in task.object_ids}
            yield (
                result.frame,
                {
                    i: record
                    for i, record in found.items()
                    if record is not None and task.is_on(i, result.frame)
                },
            )
            for object_id, end in task.ends.items():
                if end == result.frame + 1:
                    # An object without prompts is not tracked on; its masks stay.
                    session.prompts.remove_object(object_id)

    def open(self, task: MaskletTask) -> NetworkRun:
        """Begin an interactive session."""
        session = self._sessions.open(task.movie, self._predictor.model)
        return NetworkRun(self._predictor, session, task)

    def _prompt(self, session: VideoSession, task: MaskletTask, object_id: int, frame: int) -> None:
        """Say of an object what the task says."""
        truth = task.movie.mask(object_id, frame)
        if task.prompt == "mask":
            session.add(MaskPrompt(object_id=object_id, frame=frame, mask=truth))
            return

        def ask(prompts: StillPrompts) -> BoolMask:
            done = max(len(prompts.clicks) - 1, 0)
            record = _ask(self._predictor, session, (object_id, frame), prompts, done)
            return record.mask(task.movie.frame_shape)

        prompted_mask(truth, task.prompt, ask)


@dataclass
class NetworkRun:
    """An interactive session with the network."""

    predictor: VideoPredictor
    session: VideoSession
    task: MaskletTask

    def click(self, object_id: int, frame: int, yx: PointYX, positive: bool) -> BoolMask:
        """Add a click and return the answer on its frame."""
        prompt = PointPrompt(object_id, frame, yx, positive)
        result = self.predictor.predict_frame(self.session, prompt)
        return result.objects[0].record.mask(self.task.movie.frame_shape)

    def mark_absent(self, object_id: int, frame: int) -> None:
        """Say that an object is not on a frame."""
        nothing = np.zeros(self.task.movie.frame_shape, bool)
        self.predictor.predict_frame(self.session, MaskPrompt(object_id, frame, nothing))

    def propagate(self) -> None:
        """Follow all objects both ways through the stretch."""
        options = PropagateOptions(direction="both", start=self.task.first, stop=self.task.last)
        for _ in self.predictor.propagate(self.session, options):
            pass

    def advance(self) -> Iterator[int]:
        """Follow all objects forward, stopping on every frame."""
        options = PropagateOptions(direction="forward", start=self.task.first, stop=self.task.last)
        for result in self.predictor.propagate(self.session, options):
            yield result.frame

    def record(self, object_id: int, frame: int) -> MaskRecord:
        """Return the mask of an object as it stands."""
        record = self.session.masklets.record(object_id, frame)
        if record is None:
            raise ValueError(f"object {object_id} has not been followed to frame {frame}")
        return record


def _ask(
    predictor: VideoPredictor,
    session: VideoSession,
    place: tuple[int, int],
    prompts: StillPrompts,
    done: int,
) -> MaskRecord:
    """Give an object (id, frame) its box, or its clicks after the first `done` ones."""
    object_id, frame = place
    if prompts.box is not None:
        box = BoxPrompt(object_id=object_id, frame=frame, yxyx=prompts.box)
        return predictor.predict_frame(session, box).objects[0].record
    for yx, positive in prompts.clicks[done:]:
        prompt = PointPrompt(object_id, frame, yx, positive)
        result = predictor.predict_frame(session, prompt)
    return result.objects[0].record
