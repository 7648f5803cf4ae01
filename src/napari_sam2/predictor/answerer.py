"""Answers prompts on frames of a video: which view, which memories, which earlier mask."""

from __future__ import annotations

from dataclasses import replace

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
    take_candidate,
)
from napari_sam2.predictor.exposure import gamma_of
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.heeding import with_heart
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.others_clicks import clicks_on_others, leaving, taken_in
from napari_sam2.predictor.parting import parted
from napari_sam2.predictor.prompt_tensors import Geometry, only_click
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.second_question import boxed, refined
from napari_sam2.predictor.session import (
    ConditionedFrame,
    ObjectState,
    PromptedFrame,
    VideoSession,
)
from napari_sam2.predictor.tracker import Tracker
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import ViewPlanner
from napari_sam2.prompts import PointPrompt, Prompt, say_absent


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
        if known is not None and self._to_leave(session, object_id, frame, known):
            known = None  # somebody has clicked another object in it since
        if known is not None and known.prompts == prompts:
            return known
        if known is not None and _is_same_click(known.prompts, prompts):
            looked = known
        else:
            self._answer_choice(session, object_id, frame, prompts)
            looked = self._look_twice(session, object_id, frame, prompts)
        answered = self._choose(looked, prompts)
        state.view = answered.view
        state.answers[frame] = answered
        return answered

    def _choose(self, looked: PromptedFrame, prompts: tuple[Prompt, ...]) -> PromptedFrame:
        """Let the mask that the user chose be the answer."""
        prediction = looked.prediction
        if only_click(prompts) is not None:
            chosen = Geometry.of(prompts).candidate
            prediction = take_candidate(self._model, self._runtime, prediction, chosen)
        return replace(looked, prompts=prompts, prediction=prediction)

    def _answer_choice(
        self, session: VideoSession, object_id: int, frame: int, prompts: tuple[Prompt, ...]
    ) -> None:
        """Answer a first click whose mask was chosen before the clicks that refine that mask."""
        first = only_click(prompts[:1])
        is_refined = first is not None and first.candidate is not None and len(prompts) > 1
        is_new = frame not in session.objects[object_id].answers
        if is_refined and is_new and session.masklets.record(object_id, frame) is None:
            answered = self.answer(session, object_id, frame, prompts[:1])
            session.masklets.write(object_id, frame, record_of_answer(answered))

    def _look_twice(
        self, session: VideoSession, object_id: int, frame: int, prompts: tuple[Prompt, ...]
    ) -> PromptedFrame:
        """Look at the frame and, where only then the object's size is known, once more."""
        state = session.objects[object_id]
        record = _seen_before(session, object_id, frame, prompts)
        if say_absent(prompts):
            # A mask that is there is wrong. It will be looked for where it was, or comes back.
            record = _seen_near(session, object_id, frame)
        geometry = Geometry.of(prompts)
        if self._options.heeds_clicks(self._model.config):
            geometry = with_heart(geometry, record)
        bbox, is_known = box_around(geometry, record)
        planner = ViewPlanner.of(self._options, self._model.config, session.shape[1:])
        gamma = gamma_of(planner, session, frame, state.view, record, geometry)
        view = self._view(session, state, planner, bbox, is_known, gamma)
        answered = self._look(session, object_id, frame, geometry, view, prompts)
        if not is_known and geometry.mask is None and planner.is_following:
            # The first look told how large the object is: look again through a view that fits.
            seen = record_of_answer(answered)
            gamma = gamma_of(planner, session, frame, view, seen, geometry)
            better = planner.view_of(box_around(geometry, seen)[0], None, (), gamma)
            if better != view:
                answered = self._look(session, object_id, frame, geometry, better, prompts)
        others = self._to_leave(session, object_id, frame, answered)
        if others:
            geometry, view = leaving(geometry, others), answered.view
            answered = self._look(session, object_id, frame, geometry, view, prompts)
        answered = replace(answered, others=clicks_on_others(session, object_id, frame))
        answered = self._ask_again(session, object_id, frame, answered, geometry)
        left_in = self._to_leave(session, object_id, frame, replace(answered, others=()))
        return parted(answered, left_in)

    def _to_leave(
        self, session: VideoSession, object_id: int, frame: int, answered: PromptedFrame
    ) -> tuple[tuple[float, float], ...]:
        """Return the clicks on other objects that an answer takes in, if it is to be asked again.

        A mask that a person drew or chose stays, whoever else is clicked in it.
        """
        geometry = Geometry.of(answered.prompts)
        is_chosen = geometry.mask is not None or geometry.candidate is not None
        is_exclusive = self._options.overlap == "best"
        if is_chosen or not (is_exclusive and self._options.heeds_clicks(self._model.config)):
            return ()
        clicks = clicks_on_others(session, object_id, frame)
        # What it could not leave is not asked for twice, unless there is a new click.
        if set(clicks) <= set(answered.others):
            return ()
        return taken_in(record_of_answer(answered), clicks)

    def _ask_again(
        self,
        session: VideoSession,
        object_id: int,
        frame: int,
        answered: PromptedFrame,
        geometry: Geometry,
    ) -> PromptedFrame:
        """Ask clicks on a new object again, with the box of their answer."""
        is_asked = self._says_what_is_new(session, object_id, frame, answered.prompts)
        if not (is_asked and self._options.asks_again(self._model.config)):
            return answered
        with_box = boxed(geometry, record_of_answer(answered))
        if with_box is None:
            return answered
        features, mirror = self._features(session, frame, answered.view, is_alone=True)
        # What a first click is answered with is a guess; corrections are about what they saw.
        is_first = only_click(answered.prompts) is not None
        previous = None if is_first else answered.prediction.logits
        question = self._question(with_box, features, mirror=mirror, previous=previous)
        question = replace(question, keeps_previous=not is_first)
        second = answer(self._model, self._runtime, question, answered.view)
        return replace(answered, prediction=refined(answered.prediction, second))

    def _says_what_is_new(
        self, session: VideoSession, object_id: int, frame: int, prompts: tuple[Prompt, ...]
    ) -> bool:
        """Whether clicks alone tell of an object, and not of a mask that was there before them."""
        clicks = [one for one in prompts if isinstance(one, PointPrompt)]
        is_told = len(clicks) == len(prompts) and any(one.positive for one in clicks)
        if not is_told or self._recalls(session, object_id, frame):
            return False
        return len(clicks) > 1 or _seen_before(session, object_id, frame, prompts) is None

    def _question(
        self,
        geometry: Geometry,
        features: ImageFeatures,
        *,
        mirror: ImageFeatures | None,
        conditioned: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> Question:
        """Return a question with what the options say of masks."""
        return Question(
            geometry,
            features,
            clicked_pieces=self._options.keeps_clicked_pieces(self._model.config),
            max_hole=self._options.max_hole,
            heeded=self._options.heeds_clicks(self._model.config),
            judged=conditioned is None and self._options.judges(self._model.config),
            conditioned=conditioned,
            previous=previous,
            mirror=mirror,
        )

    def second_view(
        self, session: VideoSession, frame: int, yx: tuple[float, float], first: View
    ) -> View | None:
        """Say through which view a click on a new object would be looked at again, if at all.

        Parameters
        ----------
        session : VideoSession
        frame : int
        yx : tuple of float
            Where the click would be.
        first : View
            Through which it would be looked at first.

        Returns
        -------
        View or None
        """
        planner = ViewPlanner.of(self._options, self._model.config, session.shape[1:])
        geometry = Geometry.of((PointPrompt(1, frame, yx),))
        features, mirror = self._features(session, frame, first, is_alone=True)
        question = self._question(geometry, features, mirror=mirror)
        logits = answer(self._model, self._runtime, question, first).logits[0, 0]
        seen = record_of(logits, first, 1.0, 0.0, prompted=True)
        gamma = gamma_of(planner, session, frame, first, seen, geometry)
        better = planner.view_of(box_around(geometry, seen)[0], None, (), gamma)
        return None if better == first else better

    def _look(
        self,
        session: VideoSession,
        object_id: int,
        frame: int,
        geometry: Geometry,
        view: View,
        prompts: tuple[Prompt, ...],
    ) -> PromptedFrame:
        recalls = self._recalls(session, object_id, frame)
        is_alone = geometry.mask is None and not recalls
        features, mirror = self._features(session, frame, view, is_alone)
        conditioned = (
            self._conditioned(session, object_id, frame, view, features) if recalls else None
        )
        previous = self._previous(session, object_id, frame, view, prompts)
        question = self._question(
            geometry, features, conditioned=conditioned, mirror=mirror, previous=previous
        )
        # Who draws a box means it. The one that a first click is asked again with is a guess.
        is_meant = self._options.heeds_clicks(self._model.config)
        question = replace(question, within_box=is_meant)
        return PromptedFrame(prompts, view, answer(self._model, self._runtime, question, view))

    def _features(
        self, session: VideoSession, frame: int, view: View, is_alone: bool
    ) -> tuple[ImageFeatures, ImageFeatures | None]:
        """Encode a view, and its mirror image where prompts are all that is known."""
        if not (is_alone and self._options.asks_twice(self._model.config)):
            return self._encoder.features(session, frame, view), None
        seen = self._encoder.features_of(session, frame, [view, view.mirrored])
        return seen[view], seen[view.mirrored]

    def _recalls(self, session: VideoSession, object_id: int, frame: int) -> bool:
        """Whether a frame was tracked from memories of others."""
        state = session.objects[object_id]
        return frame in state.tracked and any(f != frame for f in state.bank.prompted)

    def _conditioned(
        self,
        session: VideoSession,
        object_id: int,
        frame: int,
        view: View,
        features: ImageFeatures,
    ) -> Tensor:
        """Let a tracked frame look at its memories."""
        state = session.objects[object_id]
        step = 1 if frame > min(state.bank.prompted) else -1
        place = frame, step
        remembered = self._tracker.remember(session, object_id, place, view)
        key = tuple(remembered.memories.values())
        known = state.conditioned
        if known is not None and (known.frame, known.view, known.key) == (frame, view, key):
            return known.embedding
        # Once for however many clicks: where it should be follows from the frame before.
        expected = self._tracker.expected(session, [object_id], place).get(object_id)
        embedding = self._tracker.attend(session, features, [remembered.expecting(expected)])
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
        if _seen_before(session, object_id, frame, prompts) is None:
            return None
        if known is not None:
            if known.prompts != prompts[: len(known.prompts)]:
                return None  # prompts were taken back: their answer must not linger
            if known.view == view:
                return known.prediction.logits
        elif (memory := state.bank.get(frame)) is not None and memory.view == view:
            return memory.logits[None, None]
        mask = session.masklets.mask(object_id, frame)
        return certain_logits(mask, view)[1].to(self._runtime.device)

    def _view(
        self,
        session: VideoSession,
        state: ObjectState,
        planner: ViewPlanner,
        bbox: tuple[int, int, int, int],
        is_known: bool,
        gamma: float,
    ) -> View:
        if is_known:
            return planner.view_of(bbox, state.view, session.views_in_use(), gamma)
        if bbox[2] <= bbox[0]:
            return planner.whole  # an empty mask: nothing to look at in particular
        center = ((bbox[0] + bbox[2] - 1) / 2, (bbox[1] + bbox[3] - 1) / 2)
        return planner.first_view(center, session.usual_side(), gamma)


def _seen_before(
    session: VideoSession, object_id: int, frame: int, prompts: tuple[Prompt, ...]
) -> MaskRecord | None:
    """Return the mask that prompts are about; None where it can only be their own answer.

    A frame's only click is asked again after a session was reopened, for its candidates: what the
    mask there was made from is this click, or prompts that were taken back.
    """
    record = session.masklets.record(object_id, frame)
    is_own = record is not None and record.prompted and only_click(prompts) is not None
    return None if is_own else record


def _seen_near(session: VideoSession, object_id: int, frame: int) -> MaskRecord | None:
    """Return the mask of a frame beside one, or of the nearest with a prompt; None if not there."""
    prompted = session.prompts.frames(object_id)
    beside = [frame - 1, frame + 1, *sorted(prompted, key=lambda other: abs(other - frame))]
    records = [session.masklets.record(object_id, other) for other in beside]
    return next((one for one in records if one is not None and one.visible), None)


def _is_same_click(before: tuple[Prompt, ...], now: tuple[Prompt, ...]) -> bool:
    """Whether two groups of prompts are one click that differs at most in the mask chosen."""
    old, new = only_click(before), only_click(now)
    if old is None or new is None:
        return False
    return replace(old, candidate=None) == replace(new, candidate=None)


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
