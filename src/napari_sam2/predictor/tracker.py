"""One frame of a run: every object looks at its memories, is segmented, and is remembered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.mask_decoder import upscale_logits
from napari_sam2.model.outputs import ImageFeatures, MaskPrediction, MemoryTokens
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import certain_logits
from napari_sam2.predictor.exposure import gamma_of
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.memory_bank import FrameMemory, Selection
from napari_sam2.predictor.motion import Expected, expect, moved_since
from napari_sam2.predictor.object_views import views_on
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.overlaps import certain_of, share_out
from napari_sam2.predictor.postprocess import PlacedLogits, fill_holes
from napari_sam2.predictor.rows import Remembered, Tracked
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import ObjectState, VideoSession
from napari_sam2.predictor.solid import stay_solid
from napari_sam2.predictor.strays import is_stray
from napari_sam2.predictor.taken_in import leave_neighbours, places_on
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.verdicts import SPARED_SCORE, believed_from, presume_present
from napari_sam2.predictor.view_planner import ViewPlanner

_SMALL_INPUT = 512
"""Inputs up to this side are so little work that more objects at once pay on a CPU."""


class Tracker:
    """Tracks objects on single frames; the order of frames is its caller's.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime
    encoder : FrameEncoder
    options : PredictorOptions
    """

    def __init__(
        self, model: SAM2, runtime: Runtime, encoder: FrameEncoder, options: PredictorOptions
    ) -> None:
        self._model = model
        self._runtime = runtime
        self._encoder = encoder
        self._options = options

    def expected(
        self, session: VideoSession, objects: Iterable[int], place: tuple[int, int]
    ) -> dict[int, Expected]:
        """Say where objects should be on a frame; none of them if motion is not followed."""
        if not self._options.follows_motion(self._model.config):
            return {}
        return expect(session, objects, place)

    @torch.inference_mode()
    def track(
        self,
        session: VideoSession,
        planner: ViewPlanner,
        place: tuple[int, int],
        objects: Sequence[int],
        fixed: Sequence[int],
    ) -> dict[int, MaskRecord]:
        """Segment objects on a frame from memory and remember the result.

        Parameters
        ----------
        session : VideoSession
        planner : ViewPlanner
        place : tuple of int
            Frame, and direction of travel (1 or -1).
        objects : sequence of int
            Objects to track.
        fixed : sequence of int
            Objects whose masks on this frame are certain; overlaps are decided for them.

        Returns
        -------
        dict
            Object id to its mask on the frame.
        """
        frame, step = place
        expected = self.expected(session, objects, place)
        views = views_on(session, planner, place, objects, expected)
        asked = [
            self.remember(session, i, place, views[i]).expecting(expected.get(i)) for i in objects
        ]
        # Each view once, however many batches look through it and however small the cache is.
        features = self._encoder.features_of(session, frame, (row.view for row in asked))
        places = places_on(session, place, expected, fixed)
        tracked: list[Tracked] = []
        for batch in self._batches(asked):
            tracked += self._track_batch(session, place, batch, features, places)
        for object_id in objects:
            if not self._options.keep_memories:
                session.objects[object_id].bank.evict(frame, step)
        held = places if self._options.holds(self._model.config) else {}
        records = self._records(session, frame, tracked, fixed, held)
        is_doubting = self._options.doubts(self._model.config)
        nothing: dict[View, FrameMemory] = {}
        for row in tracked:
            about = session, row.object_id, place, records[row.object_id]
            if (held and _is_unseen(row, records)) or (is_doubting and is_stray(*about)):
                records[row.object_id] = self._see_nothing(session, frame, row, nothing)
        return records

    def remember(
        self, session: VideoSession, object_id: int, place: tuple[int, int], view: View
    ) -> Remembered:
        """Choose an object's memories for a frame and bring them into the view.

        Parameters
        ----------
        session : VideoSession
        object_id : int
        place : tuple of int
            Frame, and direction of travel.
        view : View
            Of the frame that will attend.

        Returns
        -------
        Remembered

        Notes
        -----
        A memory that was let go, or was encoded in another view, is encoded again from the
        frame and the mask. That is not exact: the mask is certain where the first encoding saw
        probabilities. ``PredictorOptions.keep_memories`` avoids it within one view.
        """
        state = session.objects[object_id]
        # Only these are looked at: what a frame costs must not grow with the length of the movie.
        known = [
            past
            for past in state.bank.reachable(*place)
            if past in state.bank.recent
            or state.tracked.get(past) == state.revision
            or (past in state.tracked and session.locks.holds(object_id, past))
        ]
        selection = self.select(session, state, place, known)
        memories = {}
        for past in (f for f, _ in selection.spatial):
            memories[past] = self._memory(session, object_id, past, view)
        pointers = []
        for past, distance in selection.pointers:
            memory = memories.get(past) or state.bank.get(past)
            # Far pointers are not worth an encoding: without their memory they are left out.
            if memory is not None:
                memories[past] = memory
                pointers.append((past, distance))
        return Remembered(object_id, view, Selection(selection.spatial, tuple(pointers)), memories)

    def select(
        self,
        session: VideoSession,
        state: ObjectState,
        place: tuple[int, int],
        known: Iterable[int],
    ) -> Selection:
        """Choose which frames of an object a frame attends to."""
        limits = (session.num_frames, self._options.prompted_limit(self._model.config))
        return state.bank.select(*place, limits, known)

    @torch.inference_mode()
    def attend(
        self, session: VideoSession, features: ImageFeatures, batch: Sequence[Remembered]
    ) -> Tensor:
        """Condition the features of a view, or one an object, on memories, (B, C, h, w)."""
        with self._runtime.autocast():
            return self._model.attend_memory(features, self._assemble(session, batch))

    def memory_of(
        self,
        features: ImageFeatures,
        prediction: MaskPrediction,
        views: Sequence[View],
        binarize: bool,
    ) -> list[FrameMemory]:
        """Encode what is remembered of B objects, each seen in its view."""
        with torch.inference_mode(), self._runtime.autocast():
            full = upscale_logits(prediction.logits, views[0].input_size)  # (B, 1, H, W)
            spatial = self._model.encode_memory(
                features, full, prediction.object_score, binarize=binarize
            )
        rows = zip(views, spatial, prediction.pointer, prediction.logits[:, 0], strict=True)
        return [FrameMemory(*row) for row in rows]

    def _assemble(self, session: VideoSession, batch: Sequence[Remembered]) -> MemoryTokens:
        spatial = [
            torch.stack([row.memories[f].spatial for f, _ in row.selection.spatial])
            for row in batch
        ]
        times = [[index for _, index in row.selection.spatial] for row in batch]
        distances = [[distance for _, distance in row.selection.pointers] for row in batch]
        pointers = [
            torch.stack([row.memories[f].pointer for f, _ in row.selection.pointers])
            if row.selection.pointers
            else spatial[0].new_zeros(0, self._model.config.hidden_dim)
            for row in batch
        ]
        device = spatial[0].device
        return self._model.assemble_memory(
            torch.stack(spatial),  # (B, K, Cm, h, w)
            torch.tensor(times, device=device),
            torch.stack(pointers),  # (B, P, C)
            torch.tensor(distances, device=device),
            self._model.config.pointer_span(session.num_frames),
            self._moves(session, batch),
        )

    def _moves(self, session: VideoSession, batch: Sequence[Remembered]) -> Tensor | None:
        """Return by how many cells what each memory shows has moved, (B, K, 2)."""
        if all(row.center is None for row in batch):
            return None
        moves = torch.zeros(len(batch), len(batch[0].selection.spatial), 2)
        for number, row in enumerate(batch):
            if row.center is None:
                continue
            for place, (frame, _) in enumerate(row.selection.spatial):
                memory = row.memories[frame]
                record = session.masklets.record(row.object_id, frame)
                moves[number, place] = torch.tensor(moved_since(memory, record, row.center))
            height, width = row.memories[row.selection.spatial[0][0]].spatial.shape[-2:]
            moves[number] *= torch.tensor([height / row.view.height, width / row.view.width])
        return moves.to(self._runtime.device)

    def _batches(self, asked: list[Remembered]) -> Iterator[list[Remembered]]:
        size = self._options.rows or self._most_rows()

        def key(row: Remembered) -> tuple[float, ...]:
            view = row.view
            # Neighbours share a view where they can: features of one view are not copied.
            return (*row.shape, view.y0, view.x0, view.height, view.width, view.gamma)

        for _, rows in groupby(sorted(asked, key=key), lambda row: row.shape):
            group = list(rows)
            for start in range(0, len(group), size):
                yield group[start : start + size]

    def _most_rows(self) -> int:
        if self._runtime.device.type != "cpu":
            return 32
        return 8 if self._model.config.input_size <= _SMALL_INPUT else 4

    def _track_batch(
        self,
        session: VideoSession,
        place: tuple[int, int],
        batch: list[Remembered],
        seen: Mapping[View, ImageFeatures],
        places: Mapping[int, MaskRecord],
    ) -> list[Tracked]:
        views = [row.view for row in batch]
        is_shared = len(set(views)) == 1
        features = seen[views[0]] if is_shared else ImageFeatures.stack([seen[v] for v in views])
        conditioned = self.attend(session, features, batch)
        with self._runtime.autocast():
            prompts = self._model.encode_prompts(None, None, None, features.grid, len(batch))
            output = self._model.decode_all(conditioned, features, prompts)
            about = place, self._options, self._model.config
            believed = [believed_from(session, row.object_id, *about) for row in batch]
            prediction = self._model.choose(presume_present(output, believed), multimask=True)
        if self._options.stays_solid(self._model.config):
            prediction = stay_solid(session, prediction, [row.object_id for row in batch])
        prediction = leave_neighbours(prediction, [(r.object_id, r.view) for r in batch], places)
        memories = self.memory_of(features, prediction, views, binarize=False)
        ious, scores = prediction.iou.tolist(), prediction.object_score[:, 0].tolist()
        tracked = []
        for row, memory, iou, score in zip(batch, memories, ious, scores, strict=True):
            known = replace(memory, center=row.center)
            session.objects[row.object_id].bank.push(place[0], known)
            tracked.append(Tracked(row.object_id, row.view, memory.logits, iou, score))
        return tracked

    def _records(
        self,
        session: VideoSession,
        frame: int,
        tracked: list[Tracked],
        fixed: Sequence[int],
        held: Mapping[int, MaskRecord],
    ) -> dict[int, MaskRecord]:
        placed: list[PlacedLogits] = []
        for row in tracked:
            whole = fill_holes(row.logits[None], self._options.max_hole)
            placed += row.view.object_logits_to_frame(whole)
        if self._options.overlap == "best":
            certain = certain_of(session, frame, fixed)
            placed = share_out(placed, [held.get(row.object_id) for row in tracked], certain)
        return {
            row.object_id: MaskRecord.from_mask(
                (logits > 0).cpu().numpy(),
                predicted_iou=row.iou,
                object_score=row.object_score,
                origin=origin,
            )
            for row, (origin, logits) in zip(tracked, placed, strict=True)
        }

    def _see_nothing(
        self, session: VideoSession, frame: int, row: Tracked, known: dict[View, FrameMemory]
    ) -> MaskRecord:
        """Take back an answer: nothing is there, which `known` remembers by view, for all alike."""
        bank = session.objects[row.object_id].bank
        if row.view not in known:
            empty = np.zeros(row.view.frame_shape, bool)
            known[row.view] = self._encode_mask(session, frame, row.view, empty, -SPARED_SCORE)
        bank.push(frame, replace(known[row.view], center=bank.recent[frame].center))
        return MaskRecord.from_mask(
            np.zeros((1, 1), bool), predicted_iou=row.iou, object_score=-SPARED_SCORE
        )

    def recall(
        self, session: VideoSession, planner: ViewPlanner, object_id: int, left_out: Collection[int]
    ) -> None:
        """Make the memories of prompted frames from masks, and call every mask tracked.

        Frames that are left out get no memory: their masks do not belong to their prompts.
        """
        state = session.objects[object_id]
        for frame in session.prompts.frames(object_id):
            if frame not in left_out:
                self.recall_frame(session, planner, object_id, frame)
        for frame in session.masklets.frames(object_id):
            state.tracked[frame] = state.revision

    def recall_frame(
        self, session: VideoSession, planner: ViewPlanner, object_id: int, frame: int
    ) -> None:
        """Make the memory of a prompted frame from its mask, if there is one."""
        state, record = session.objects[object_id], session.masklets.record(object_id, frame)
        if record is None:
            return  # not answered yet: committing does
        if record.visible:
            gamma = gamma_of(planner, session, frame, state.view, record)
            state.view = planner.view_of(record.bbox, state.view, session.views_in_use(), gamma)
        state.view = state.view or planner.whole
        memory = self._encode_again(session, object_id, frame, state.view)
        state.bank.commit(frame, memory, session.prompts.on(object_id, frame))

    def _memory(self, session: VideoSession, object_id: int, frame: int, view: View) -> FrameMemory:
        bank = session.objects[object_id].bank
        memory = bank.get(frame)
        if memory is not None and memory.view == view:
            return memory
        memory = self._encode_again(session, object_id, frame, view)
        (bank.prompted if frame in bank.prompted else bank.recent)[frame] = memory
        return memory

    def _encode_again(
        self, session: VideoSession, object_id: int, frame: int, view: View
    ) -> FrameMemory:
        old = session.objects[object_id].bank.get(frame)
        record = session.masklets.record(object_id, frame)
        mask = session.masklets.mask(object_id, frame)
        score = 0.0 if record is None else record.object_score
        # A pointer says what the object looks like, not where: it outlives the view.
        pointer = None if old is None else old.pointer
        memory = self._encode_mask(session, frame, view, mask, score, pointer)
        return replace(memory, center=None if old is None else old.center)

    @torch.inference_mode()
    def _encode_mask(
        self,
        session: VideoSession,
        frame: int,
        view: View,
        mask: NDArray[np.bool_],
        score: float,
        pointer: Tensor | None = None,
    ) -> FrameMemory:
        features = self._encoder.features(session, frame, view)
        full, low = (x.to(self._runtime.device) for x in certain_logits(mask, view))
        with self._runtime.autocast():
            scores = torch.full((1, 1), score, device=full.device)
            spatial = self._model.encode_memory(features, full, scores, binarize=False)
            if pointer is None and (inside := full > 0).any():
                pointer = self._model.embed_mask_prompt(features, inside.float()).pointer[0]
            elif pointer is None:  # what is not there has one that needs no decoder
                token = features.embedding.new_zeros(1, features.embedding.shape[1])
                pointer = self._model.object_pointer(token, inside.any()[None, None])[0]
        return FrameMemory(view, spatial[0], pointer, low[0, 0])


def _is_unseen(row: Tracked, records: Mapping[int, MaskRecord]) -> bool:
    """Say whether an object had an answer, and other objects have left it no pixel."""
    return not records[row.object_id].visible and bool((row.logits > 0).any())
