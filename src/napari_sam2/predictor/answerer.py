"""Answers prompts on frames of a video: which view, which memories, which earlier mask."""

from __future__ import annotations

from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import (
    Question,
    answer,
    box_around,
    certain_logits,
    record_of,
)
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import (
    ConditionedFrame,
    ObjectState,
    PromptedFrame,
    VideoSession,
)
from napari_sam2.predictor.tracker import Tracker
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import ViewPlanner
from napari_sam2.prompts import Prompt


class Answerer:
    """Looks at a frame the way its object and prompts ask for; writes no memory.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime
    encoder : FrameEncoder
    tracker : Tracker
        Remembers the object on frames that were tracked.
    options : PredictorOptions
    """

    def __init__(
        self,
        model: SAM2,
        runtime: Runtime,
        encoder: FrameEncoder,
        tracker: Tracker,
        options: PredictorOptions,
    ) -> None:
        self._model = model
        self._runtime = runtime
        self._encoder = encoder
        self._tracker = tracker
        self._options = options

    def answer(
        self, session: VideoSession, object_id: int, frame: int, prompts: tuple[Prompt, ...]
    ) -> PromptedFrame:
        """Answer the prompts of an object on a frame; the same prompts are answered once.

        Parameters
        ----------
        session : VideoSession
            Knows the object.
        object_id, frame : int
        prompts : tuple of Prompt
            At least one.

        Returns
        -------
        PromptedFrame
        """
        state = session.objects[object_id]
        known = state.answers.get(frame)
        if known is not None and known.prompts == prompts:
            return known
        geometry = Geometry.of(prompts)
        record = session.masklets.record(object_id, frame)
        bbox, is_known = box_around(geometry, record)
        planner = ViewPlanner.of(self._options, self._model.config, session.shape[1:])
        view = self._view(session, state, planner, bbox, is_known)
        answered = self._look(session, object_id, frame, geometry, view, prompts)
        if not is_known and geometry.mask is None and planner.is_following:
            # The first look told how large the object is: look again through a view that fits.
            seen = record_of_answer(answered)
            better = planner.view_of(box_around(geometry, seen)[0], None, ())
            if better != view:
                answered = self._look(session, object_id, frame, geometry, better, prompts)
        state.view = answered.view
        state.answers[frame] = answered
        return answered

    def _look(
        self,
        session: VideoSession,
        object_id: int,
        frame: int,
        geometry: Geometry,
        view: View,
        prompts: tuple[Prompt, ...],
    ) -> PromptedFrame:
        features = self._encoder.features(session, frame, view)
        question = Question(
            geometry,
            features,
            conditioned=self._conditioned(session, object_id, frame, view, features),
            previous=self._previous(session, object_id, frame, view, prompts),
            clicked_pieces=self._options.keeps_clicked_pieces(self._model.config),
        )
        return PromptedFrame(prompts, view, answer(self._model, self._runtime, question, view))

    def _conditioned(
        self,
        session: VideoSession,
        object_id: int,
        frame: int,
        view: View,
        features: ImageFeatures,
    ) -> Tensor | None:
        """Let a tracked frame look at its memories; None on a frame that was never tracked."""
        state = session.objects[object_id]
        others = [f for f in state.bank.prompted if f != frame]
        if frame not in state.tracked or not others:
            return None
        step = 1 if frame > min(state.bank.prompted) else -1
        remembered = self._tracker.remember(session, object_id, (frame, step), view)
        key = tuple(remembered.memories.values())
        known = state.conditioned
        if known is not None and (known.frame, known.view, known.key) == (frame, view, key):
            return known.embedding
        embedding = self._tracker.attend(session, features, [remembered])
        state.conditioned = ConditionedFrame(frame, view, key, embedding)
        return embedding

    def _previous(
        self,
        session: VideoSession,
        object_id: int,
        frame: int,
        view: View,
        prompts: tuple[Prompt, ...],
    ) -> Tensor | None:
        """Mask logits (1, 1, 4h, 4w) that new clicks refine; None where there is no mask yet."""
        state = session.objects[object_id]
        known = state.answers.get(frame)
        if known is not None:
            if known.prompts != prompts[: len(known.prompts)]:
                return None  # prompts were taken back: their answer must not linger
            if known.view == view:
                return known.prediction.logits
        elif (memory := state.bank.get(frame)) is not None and memory.view == view:
            return memory.logits[None, None]
        if session.masklets.record(object_id, frame) is None:
            return None
        mask = session.masklets.mask(object_id, frame)
        return certain_logits(mask, view)[1].to(self._runtime.device)

    def _view(
        self,
        session: VideoSession,
        state: ObjectState,
        planner: ViewPlanner,
        bbox: tuple[int, int, int, int],
        is_known: bool,
    ) -> View:
        if is_known:
            return planner.view_of(bbox, state.view, session.views_in_use())
        if bbox[2] <= bbox[0]:
            return planner.whole  # an empty mask: nothing to look at in particular
        center = ((bbox[0] + bbox[2] - 1) / 2, (bbox[1] + bbox[3] - 1) / 2)
        sides = sorted(v.height for v in session.views_in_use())
        return planner.first_view(center, sides[len(sides) // 2] if sides else None)


def record_of_answer(answered: PromptedFrame) -> MaskRecord:
    """Pack an answer as a record; a mask prompt is kept to the pixel."""
    mask = Geometry.of(answered.prompts).mask
    prediction = answered.prediction
    score = float(prediction.object_score[0, 0])
    if mask is not None:
        return MaskRecord(mask.bbox, mask.bits, 1.0, score, prompted=True)
    return record_of(
        prediction.logits[0, 0], answered.view, float(prediction.iou[0]), score, prompted=True
    )
