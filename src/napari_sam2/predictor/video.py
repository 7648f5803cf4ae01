"""Videos: answer prompts, commit them to memory, propagate objects through the movie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from time import perf_counter

import torch
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import (
    Question,
    answer,
    box_around,
    candidate_records,
    record_of,
)
from napari_sam2.predictor.correction import corrected_objects, spread
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.memory_bank import MemoryBank
from napari_sam2.predictor.options import CorrectOptions, PredictorOptions, PropagateOptions
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.run_plan import Run, plan_runs
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

_MASK_LOGIT = 10.0


class VideoPredictor:
    """The engine: owns the network, its device and the order of things; the session owns the rest.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime, optional
        Device and dtype; the best of this machine by default.
    options : PredictorOptions, optional
        Views, overlaps, what is kept.
    """

    def __init__(
        self,
        model: SAM2,
        runtime: Runtime | None = None,
        options: PredictorOptions | None = None,
    ) -> None:
        self.runtime = Runtime.auto() if runtime is None else runtime
        self.options = PredictorOptions() if options is None else options
        self.model = model.to(self.runtime.device).eval()
        self._encoder = FrameEncoder(self.model, self.runtime)
        self._tracker = Tracker(self.model, self.runtime, self._encoder, self.options)

    def predict_frame(
        self,
        session: VideoSession,
        prompt: Prompt | None = None,
        *,
        object_id: int | None = None,
        frame: int | None = None,
    ) -> FrameResult:
        """Add a prompt and answer on its frame; memory is not written.

        Parameters
        ----------
        session : VideoSession
        prompt : Prompt, optional
            Added to the session. Without one the prompts that are there are answered again, as
            after an undo.
        object_id, frame : int, optional
            Which ones, where no prompt is given.

        Returns
        -------
        FrameResult
            One object. The mask is written to ``session.masklets`` too.

        Raises
        ------
        ValueError
            If the prompt is outside the movie, or there is no prompt to answer.
        """
        started = perf_counter()
        if prompt is not None:
            session.add(prompt)
            object_id, frame = prompt.object_id, prompt.frame
        if object_id is None or frame is None:
            raise ValueError("give a prompt, or the object_id and frame whose prompts to answer")
        prompts = session.prompts.on(object_id, frame)
        if not prompts:
            raise ValueError(f"object {object_id} has no prompts on frame {frame}; add one first")
        generation = session.generation
        answered = self._answer(session, object_id, frame, prompts)
        record = self._write(session, object_id, frame, answered)
        candidates = candidate_records(answered.prediction, answered.view)
        result = ObjectResult(object_id, frame, record, candidates)
        return FrameResult(frame, (result,), generation, perf_counter() - started)

    def commit(self, session: VideoSession) -> None:
        """Bring the memory of every object into agreement with the session's prompts.

        Parameters
        ----------
        session : VideoSession

        Notes
        -----
        A prompted frame becomes a memory that stays; recent memories around it are dropped, since
        they were made without the prompt. Frames whose prompts are gone are forgotten.
        """
        self._adopt(session)
        prompted = session.prompts.object_ids()
        for object_id in prompted:
            self._commit_object(session, object_id)
        for object_id in set(session.objects) - set(prompted):
            state = session.objects[object_id]
            for frame in tuple(state.bank.prompted):
                state.forget(frame)

    def propagate(
        self, session: VideoSession, options: PropagateOptions | None = None
    ) -> Iterator[FrameResult]:
        """Follow objects through the movie.

        Parameters
        ----------
        session : VideoSession
        options : PropagateOptions, optional
            Objects, direction, range.

        Yields
        ------
        FrameResult
            One a frame and direction, its masks already in ``session.masklets``. Every yield is
            a commit point: closing the generator there leaves a valid session, prompts may be
            added, and a run with ``resume`` goes on.

        Raises
        ------
        ValueError
            If there is nothing to propagate or the range is not in the movie.
        """
        self.commit(session)
        for run in plan_runs(session, options or PropagateOptions()):
            yield from self._run(session, run)

    def correct(
        self, session: VideoSession, options: CorrectOptions | None = None
    ) -> Iterator[FrameResult]:
        """Draw the consequences of prompts on frames that had been tracked, and no more.

        Parameters
        ----------
        session : VideoSession
        options : CorrectOptions, optional
            Objects, and when a mask counts as unchanged.

        Yields
        ------
        FrameResult
            One a frame that was computed, with the one object that was corrected: others keep
            their masks, and what they hold is not taken from them. Each correction is followed
            forward and backward until the masks agree with those that were there. Closing the
            generator leaves a valid session; the next call goes on.
        """
        self.commit(session)
        options = options or CorrectOptions()
        for object_id in corrected_objects(session, options):
            visit = partial(self._revisit, session, object_id)
            yield from spread(session, object_id, options, visit)

    def remove_object(self, session: VideoSession, object_id: int) -> None:
        """Forget an object: its prompts, masks and memories."""
        session.remove_object(object_id)

    def _run(self, session: VideoSession, run: Run) -> Iterator[FrameResult]:
        self._tracker.share_views(session, self._planner(session), run)
        with session.reading_ahead(run.frames):
            for frame in run.frames:
                started = perf_counter()
                # Prompts may have changed while the caller held the last result.
                self.commit(session)
                generation = session.generation
                objects = [i for i in run.objects_on(frame) if session.prompts.frames(i)]
                results = self._visit(session, frame, run.step, objects)
                yield FrameResult(frame, results, generation, perf_counter() - started)

    def _revisit(self, session: VideoSession, object_id: int, frame: int, step: int) -> FrameResult:
        """Track one object alone; every other one is certain of its mask."""
        started = perf_counter()
        others = set(session.masklets.object_ids()) - {object_id}
        results = self._visit(session, frame, step, [object_id], others)
        return FrameResult(frame, results, session.generation, perf_counter() - started)

    def _visit(
        self,
        session: VideoSession,
        frame: int,
        step: int,
        objects: list[int],
        others: Iterable[int] = (),
    ) -> tuple[ObjectResult, ...]:
        prompted = set(session.prompts.objects_on(frame))
        free = [i for i in objects if i not in prompted]
        locked = {i for i in session.objects if session.locks.holds(i, frame)}
        fixed = sorted((prompted | locked | set(others)) - set(free))
        planner = self._planner(session)
        records = self._tracker.track(session, planner, (frame, step), free, fixed)
        for object_id, record in records.items():
            session.masklets.write(object_id, frame, record)
            # Only now: an interrupt before this leaves a frame that a later run does again.
            state = session.objects[object_id]
            state.tracked[frame] = state.revision
        found = {i: session.masklets.record(i, frame) for i in objects}
        return tuple(ObjectResult(i, frame, r) for i, r in found.items() if r is not None)

    def _answer(
        self, session: VideoSession, object_id: int, frame: int, prompts: tuple[Prompt, ...]
    ) -> PromptedFrame:
        state = self._state(session, object_id)
        known = state.answers.get(frame)
        if known is not None and known.prompts == prompts:
            return known
        geometry = Geometry.of(prompts)
        record = session.masklets.record(object_id, frame)
        bbox, is_known = box_around(geometry, record)
        planner = self._planner(session)
        view = self._view(session, state, planner, bbox, is_known)
        answered = self._look(session, object_id, frame, geometry, view, prompts)
        if not is_known and geometry.mask is None and planner.is_following:
            # The first look told how large the object is: look again through a view that fits.
            seen = _record(answered)
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
            clicked_pieces=self.options.keeps_clicked_pieces(self.model.config),
        )
        return PromptedFrame(prompts, view, answer(self.model, self.runtime, question, view))

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
        inside = view.mask_to_input(session.masklets.mask(object_id, frame))
        logits = (2 * inside - 1) * _MASK_LOGIT
        size = (view.input_size[0] // 4, view.input_size[1] // 4)
        low = torch.nn.functional.interpolate(logits, size=size, mode="bilinear", antialias=True)
        return low.to(self.runtime.device)

    def _commit_object(self, session: VideoSession, object_id: int) -> None:
        state = self._state(session, object_id)
        frames = session.prompts.frames(object_id)
        for frame in set(state.bank.prompted) - set(frames):
            state.forget(frame)
        for frame in frames:
            prompts = session.prompts.on(object_id, frame)
            if state.bank.is_committed(frame, prompts):
                continue
            answered = self._answer(session, object_id, frame, prompts)
            self._write(session, object_id, frame, answered)
            features = self._encoder.features(session, frame, answered.view)
            (memory,) = self._tracker.memory_of(
                features, answered.prediction, [answered.view], binarize=True
            )
            if frame in state.tracked:
                state.corrected.add(frame)
            state.bank.commit(frame, memory, prompts)
            state.revision += 1
            state.tracked[frame] = state.revision
        for frame in state.bank.prompted:
            state.tracked[frame] = state.revision

    def _write(
        self, session: VideoSession, object_id: int, frame: int, answered: PromptedFrame
    ) -> MaskRecord:
        record = _record(answered)
        session.masklets.write(object_id, frame, record)
        return record

    def _view(
        self,
        session: VideoSession,
        state: ObjectState,
        planner: ViewPlanner,
        bbox: tuple[int, int, int, int],
        is_known: bool,
    ) -> View:
        if is_known:
            return planner.view_of(bbox, state.view, self._views_in_use(session))
        if bbox[2] <= bbox[0]:
            return planner.whole  # an empty mask: nothing to look at in particular
        center = ((bbox[0] + bbox[2] - 1) / 2, (bbox[1] + bbox[3] - 1) / 2)
        sides = sorted(v.height for v in self._views_in_use(session))
        return planner.first_view(center, sides[len(sides) // 2] if sides else None)

    def _views_in_use(self, session: VideoSession) -> list[View]:
        return [s.view for s in session.objects.values() if s.view is not None]

    def _state(self, session: VideoSession, object_id: int) -> ObjectState:
        self._adopt(session)
        config = self.model.config
        bank = MemoryBank(config.num_maskmem - 1, config.max_object_pointers - 1)
        return session.state_of(object_id, bank)

    def _adopt(self, session: VideoSession) -> None:
        # Memories and features of one network mean nothing to another.
        if session.model is not self.model:
            session.forget_memories()
            session.model = self.model

    def _planner(self, session: VideoSession) -> ViewPlanner:
        return ViewPlanner.of(self.options, self.model.config, session.shape[1:])


def _record(answered: PromptedFrame) -> MaskRecord:
    """Pack an answer as a record; a mask prompt is kept to the pixel."""
    mask = Geometry.of(answered.prompts).mask
    prediction = answered.prediction
    score = float(prediction.object_score[0, 0])
    if mask is not None:
        return MaskRecord(mask.bbox, mask.bits, 1.0, score, prompted=True)
    return record_of(
        prediction.logits[0, 0], answered.view, float(prediction.iou[0]), score, prompted=True
    )
