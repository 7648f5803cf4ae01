"""Videos: answer prompts, commit them to memory, propagate objects through the movie."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from time import perf_counter

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor import ahead
from napari_sam2.predictor.answerer import Answerer, record_of_answer
from napari_sam2.predictor.answering import candidate_records
from napari_sam2.predictor.composed_frames import grid_of
from napari_sam2.predictor.correction import corrected_objects, spread
from napari_sam2.predictor.daughters import take_daughters_on, tell_sisters_apart
from napari_sam2.predictor.divisions import divided_on, has_ended
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.gaze import Gaze
from napari_sam2.predictor.memory_bank import MemoryBank
from napari_sam2.predictor.object_views import share_views
from napari_sam2.predictor.options import CorrectOptions, PredictorOptions, PropagateOptions
from napari_sam2.predictor.patience import Patience
from napari_sam2.predictor.plane_corrections import correct_planes
from napari_sam2.predictor.plane_runs import propagate_planes
from napari_sam2.predictor.results import FrameResult, ObjectResult
from napari_sam2.predictor.run_plan import Run, plan_runs
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import (
    ObjectState,
    PromptedFrame,
    VideoSession,
)
from napari_sam2.predictor.tracker import Tracker
from napari_sam2.predictor.view_planner import ViewPlanner
from napari_sam2.prompts import Prompt


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
        self._answerer = Answerer(
            self.model, self.runtime, self._encoder, self._tracker, self.options
        )

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
        self._state(session, object_id)
        answered = self._answerer.answer(session, object_id, frame, prompts)
        record = self._write(session, object_id, frame, answered)
        candidates = candidate_records(answered.prediction, answered.view)
        result = ObjectResult(object_id, frame, record, candidates)
        return FrameResult(frame, (result,), generation, perf_counter() - started)

    def encode_ahead(self, session: VideoSession, gaze: Gaze) -> Iterator[int]:
        """Encode what clicks near this gaze would ask for; see `napari_sam2.predictor.ahead`.

        Yields
        ------
        int
            The frame of each view that was encoded: between two of them a caller may do something
            else, or leave.
        """
        self._adopt(session)
        look = partial(self._answerer.second_view, session, gaze.frame)
        planner = self._planner(session)
        twice = self.options.asks_twice(self.model.config)
        yield from ahead.encode_ahead(session, self._encoder, planner, gaze, look, twice=twice)

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
        self,
        session: VideoSession,
        options: PropagateOptions | None = None,
        begun: Collection[int] = (),
    ) -> Iterator[FrameResult]:
        """Follow objects through the movie.

        Parameters
        ----------
        session : VideoSession
        options : PropagateOptions, optional
            Objects, direction, range.
        begun : collection of {1, -1}
            Directions of passes that are in the middle of their way, with all that they remember:
            their objects keep their views.

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

        Notes
        -----
        In a movie of stacks the planes are frames, and the run goes along lines of them; see
        ``PropagateOptions.along`` and `plane_runs`.
        """
        options = options or PropagateOptions()
        if not grid_of(session.frames).is_line:
            self._adopt(session)
            yield from propagate_planes(self, session, options)
            return
        self.commit(session)
        for run in plan_runs(session, options):
            yield from self._run(session, run, options.patience, run.step in begun)

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
            generator leaves a valid session; the next call goes on. In a movie of stacks it goes
            the way of the last run; see `plane_corrections`.
        """
        options = options or CorrectOptions()
        if not grid_of(session.frames).is_line:
            self._adopt(session)
            yield from correct_planes(self, session, options)
            return
        self.commit(session)
        for object_id in corrected_objects(session, options):
            visit = partial(self._revisit, session, object_id)
            yield from spread(session, object_id, options, visit)

    def restore(
        self,
        session: VideoSession,
        object_ids: Iterable[int] | None = None,
        unanswered: Collection[tuple[int, int]] = (),
    ) -> None:
        """Take masks that did not come from this engine, as of a file or an edit, for its own.

        Parameters
        ----------
        session : VideoSession
            With prompts and masks.
        object_ids : iterable of int, optional
            Objects whose memories are made anew; all by default.
        unanswered : collection of (int, int)
            Objects and frames whose prompts are newer than the masks there: they count as
            corrections.

        Notes
        -----
        Memories are encoded from the masks on prompted frames, which nothing is asked about
        again. Every frame with a mask then counts as tracked: a run that goes on leaves it.
        """
        self._adopt(session)
        chosen = session.prompts.object_ids() if object_ids is None else object_ids
        is_line = grid_of(session.frames).is_line
        for object_id in chosen:
            session.objects.pop(object_id, None)
            newer = {frame for i, frame in unanswered if i == object_id}
            if not is_line:
                session.note_followed(object_id, newer)
            elif session.prompts.frames(object_id):
                self._state(session, object_id)
                self._tracker.recall(session, self._planner(session), object_id, newer)

    def remove_object(self, session: VideoSession, object_id: int) -> None:
        """Forget an object: its prompts, masks and memories."""
        session.remove_object(object_id)

    def _run(
        self, session: VideoSession, run: Run, limit: int | None, has_begun: bool
    ) -> Iterator[FrameResult]:
        patience = Patience(session, run, limit)
        if has_begun:
            patience.recall()
        else:
            share_views(session, self._planner(session), run)
        with session.reading_ahead(run.frames):
            for frame in run.frames:
                started = perf_counter()
                if self.options.divided == "daughters":
                    tell_sisters_apart(session, frame)
                # Prompts may have changed while the caller held the last result.
                self.commit(session)
                if patience.is_over(frame):
                    break
                generation = session.generation
                objects = [
                    i
                    for i in run.objects_on(frame)
                    if session.prompts.frames(i) and patience.holds(i, frame)
                ]
                settled = [i for i in run.anchors if _is_tracked(session, i, frame)]
                results = self._visit(session, frame, run.step, objects, settled)
                if self.options.divided == "daughters":
                    run, results = self._with_daughters(session, run, frame, results)
                seconds = perf_counter() - started
                result = FrameResult(frame, results, generation, seconds, run.step)
                patience.note(result)
                yield result

    def _with_daughters(
        self, session: VideoSession, run: Run, frame: int, results: tuple[ObjectResult, ...]
    ) -> tuple[Run, tuple[ObjectResult, ...]]:
        """Take on the daughters of what has ended; the run goes on with them."""
        ended = [one.object_id for one in results if one.record.has_ended]
        daughters = take_daughters_on(session, ended, frame)
        if not daughters:
            return run, results
        self.commit(session)
        born = {i: session.masklets.record(i, frame) for i in daughters}
        results += tuple(ObjectResult(i, frame, one) for i, one in born.items() if one is not None)
        anchors = {**run.anchors, **dict.fromkeys(daughters, frame)}
        return replace(run, anchors=anchors), results

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
        # Locks may have come since the run was planned, and hold for objects without prompts too.
        locked = {i for i in session.masklets.object_ids() if session.locks.holds(i, frame)}
        free = [i for i in objects if i not in prompted and not session.locks.holds(i, frame)]
        fixed = sorted((prompted | locked | set(others)) - set(free))
        place, ends = (frame, step), self.options.ends_divided(self.model.config)
        ended = [i for i in free if ends and has_ended(session, i, place)]
        free = [i for i in free if i not in ended]
        records = self._tracker.track(session, self._planner(session), place, free, fixed)
        divided = divided_on(session, place, records) if ends else {}
        records |= dict.fromkeys(ended, MaskRecord.ended())
        records |= {i: MaskRecord.ended(sure) for i, sure in divided.items()}
        for object_id, record in records.items():
            session.masklets.write(object_id, frame, record)
            # Only now: an interrupt before this leaves a frame that a later run does again.
            state = session.objects[object_id]
            state.tracked[frame] = state.revision
        found = {i: session.masklets.record(i, frame) for i in objects}
        return tuple(ObjectResult(i, frame, r) for i, r in found.items() if r is not None)

    def _commit_object(self, session: VideoSession, object_id: int) -> None:
        state = self._state(session, object_id)
        frames = session.prompts.frames(object_id)
        for frame in set(state.bank.prompted) - set(frames):
            state.forget(frame)
        for frame in frames:
            prompts = session.prompts.on(object_id, frame)
            if state.bank.is_committed(frame, prompts):
                continue
            if self._is_kept(session, object_id, frame):
                self._tracker.recall_frame(session, self._planner(session), object_id, frame)
                state.tracked[frame] = state.revision
                continue
            answered = self._answerer.answer(session, object_id, frame, prompts)
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
        record = record_of_answer(answered)
        session.masklets.write(object_id, frame, record)
        return record

    def _is_kept(self, session: VideoSession, object_id: int, frame: int) -> bool:
        """Whether a locked mask stands in for the answer to the prompts."""
        is_locked = session.locks.holds(object_id, frame)
        return is_locked and session.masklets.record(object_id, frame) is not None

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


def _is_tracked(session: VideoSession, object_id: int, frame: int) -> bool:
    """Whether an object's mask on a frame is up to date: another pass has been there."""
    state = session.objects.get(object_id)
    return state is not None and state.tracked.get(frame) == state.revision
