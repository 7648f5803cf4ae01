"""Where the reference is defective: how it shows there, and what this project does instead.

Each defect has two sides. ``ours`` runs with the tests; ``theirs`` needs the live reference and
runs with ``make parity``, so that a reference that has been repaired is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tests.parity.networks import PRESENCE_BIAS, RECORDED_SIZE, SMALL
from tests.parity.runs import open_session, our_predictor
from tests.parity.scenario import NUM_FRAMES, movie, normalised
from tests.parity.seeding import seeded_weights

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt

_CLICK, _CORRECTION = (96.0, 128.0), (160.0, 96.0)
"""(x, y) of a first click and of a click that corrects."""

FORWARD, BACKWARD = PropagateOptions(direction="forward"), PropagateOptions(direction="backward")


@dataclass(frozen=True)
class Defect:
    """One defect.

    Attributes
    ----------
    name : str
        What goes wrong in the reference.
    ours : callable
        Whether this project does the right thing.
    theirs : callable
        Whether the reference, which it is given, still does the wrong one.
    """

    name: str
    ours: Callable[[], bool]
    theirs: Callable[[Any], bool]


def network() -> SAM2:
    """The small network that the recorded runs use."""
    model = SAM2(SMALL["2.1"]).eval()
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    model.load_state_dict(seeded_weights(shapes, PRESENCE_BIAS))
    return model


def opened() -> tuple[VideoPredictor, VideoSession]:
    """Open the movie with this project's engine."""
    return our_predictor(network()), open_session(movie(RECORDED_SIZE))


def click(object_id: int, frame: int, xy: tuple[float, float] = _CLICK) -> PointPrompt:
    """Click with this project's engine."""
    return PointPrompt(object_id, frame, (xy[1], xy[0]))


def their_state(reference: Any) -> dict[str, Any]:
    """Open the movie with the reference."""
    from tests.parity.reference import open_state

    return open_state(reference, normalised(movie(RECORDED_SIZE)))


def their_click(
    reference: Any,
    state: dict[str, Any],
    object_id: int,
    frame: int,
    xy: tuple[float, float] = _CLICK,
) -> torch.Tensor:
    """Click with the reference; returns the mask logits."""
    _, ids, masks = reference.add_new_points_or_box(state, frame, object_id, [xy], [1])
    return masks[ids.index(object_id)]


def _their_masks(reference: Any, state: dict[str, Any], **options: Any) -> dict[int, torch.Tensor]:
    return {f: m.clone() for f, _, m in reference.propagate_in_video(state, **options)}


def _our_masks(predictor: VideoPredictor, session: VideoSession) -> list[bytes]:
    for _ in predictor.propagate(session, FORWARD):
        pass
    return [session.masklets.mask(1, frame).tobytes() for frame in range(NUM_FRAMES)]


def _corrections_count() -> bool:
    predictor, session = opened()
    predictor.predict_frame(session, click(1, 0))
    before = _our_masks(predictor, session)
    corrected = predictor.predict_frame(session, click(1, 5, _CORRECTION)).objects[0].record
    after = _our_masks(predictor, session)
    kept = session.masklets.record(1, 5)
    is_shown = kept is not None and kept.bits == corrected.bits and kept.bbox == corrected.bbox
    return is_shown and before[5] != after[5] and before[7] != after[7]


def _corrections_are_lost(reference: Any) -> bool:
    reference.add_all_frames_to_correct_as_cond = False  # its default
    try:
        state = their_state(reference)
        their_click(reference, state, 1, 0)
        before = _their_masks(reference, state)
        corrected = their_click(reference, state, 1, 5, _CORRECTION)
        after = _their_masks(reference, state, start_frame_idx=0)
    finally:
        reference.add_all_frames_to_correct_as_cond = True
    is_answered = not torch.equal(corrected[None], before[5])
    return is_answered and all(torch.equal(before[f], after[f]) for f in before)


def _first_frame_can_be_refined() -> bool:
    predictor, session = opened()
    predictor.predict_frame(session, click(1, 0))
    before = _our_masks(predictor, session)
    predictor.predict_frame(session, click(1, 0, _CORRECTION))
    after = _our_masks(predictor, session)
    return before[0] != after[0] and before[1] != after[1]


def _first_frame_stays(reference: Any) -> bool:
    reference.add_all_frames_to_correct_as_cond = False
    try:
        state = their_state(reference)
        their_click(reference, state, 1, 0)
        before = _their_masks(reference, state)
        their_click(reference, state, 1, 0, _CORRECTION)
        after = _their_masks(reference, state, start_frame_idx=0)
    finally:
        reference.add_all_frames_to_correct_as_cond = True
    return all(torch.equal(before[f], after[f]) for f in before)


def _stale_memories_go() -> bool:
    predictor, session = opened()
    predictor.predict_frame(session, click(1, 0))
    _our_masks(predictor, session)
    predictor.predict_frame(session, click(1, 5, _CORRECTION))
    predictor.commit(session)
    bank = session.objects[1].bank
    return sorted(bank.prompted) == [0, 5] and not {3, 4, 6, 7} & set(bank.recent)


def _clearing_crashes(reference: Any) -> bool:
    reference.clear_non_cond_mem_around_input = True
    try:
        state = their_state(reference)
        their_click(reference, state, 1, 0)
        _their_masks(reference, state)
    except AttributeError as error:
        return "_clear_obj_non_cond_mem_around_input" in str(error)
    finally:
        reference.clear_non_cond_mem_around_input = False
    return False


def _frames_before_the_prompt_work() -> bool:
    predictor, session = opened()
    predictor.predict_frame(session, click(1, 5))
    visited = [r.frame for r in predictor.propagate(session, BACKWARD)]
    return visited == [5, 4, 3, 2, 1, 0] and session.masklets.record(1, 0) is not None


def _frames_before_the_prompt_crash(reference: Any) -> bool:
    state = their_state(reference)
    their_click(reference, state, 1, 0)
    their_click(reference, state, 2, 5)
    try:
        _their_masks(reference, state)
    except RuntimeError as error:
        return "same dtype" in str(error)
    return False


def _objects_without_prompts_are_left_out() -> bool:
    predictor, session = opened()
    predictor.predict_frame(session, click(1, 0))
    predictor.predict_frame(session, click(2, 0, _CORRECTION))
    session.prompts.clear(2, 0)
    ids = [[o.object_id for o in r.objects] for r in predictor.propagate(session, FORWARD)]
    return ids == [[1]] * NUM_FRAMES


def _one_cleared_object_stops_all(reference: Any) -> bool:
    state = their_state(reference)
    their_click(reference, state, 1, 0)
    their_click(reference, state, 2, 0, _CORRECTION)
    reference.clear_all_prompts_in_frame(state, 0, 2)
    try:
        _their_masks(reference, state)
    except RuntimeError as error:
        return "No input points or masks are provided for object id 2" in str(error)
    return False


def _ranges_are_exact() -> bool:
    predictor, session = opened()
    predictor.predict_frame(session, click(1, 0))
    forward = PropagateOptions(direction="forward", start=0, stop=2)
    ahead = [r.frame for r in predictor.propagate(session, forward)]
    back = [r.frame for r in predictor.propagate(session, BACKWARD)]
    return ahead == [0, 1, 2] and back == [0]


def _ranges_are_off_by_one(reference: Any) -> bool:
    state = their_state(reference)
    their_click(reference, state, 1, 0)
    ahead = list(_their_masks(reference, state, max_frame_num_to_track=3))
    back = list(_their_masks(reference, state, start_frame_idx=0, reverse=True))
    return ahead == [0, 1, 2, 3] and back == []


def _absent_objects_cost_nothing() -> bool:
    predictor, session = opened()
    rows = []
    attention = predictor.model.memory_attention
    attention.register_forward_hook(lambda *call: rows.append(call[2].shape[0]))
    predictor.predict_frame(session, click(1, 0))
    predictor.predict_frame(session, click(2, 8, _CORRECTION))
    _our_masks(predictor, session)
    # Object 1 on frames 1 to 9, object 2 on frame 9 alone.
    return sum(rows) == (NUM_FRAMES - 1) + 1


def _absent_objects_cost_as_much(reference: Any) -> bool:
    from tests.parity.reference import float_memory

    calls = []
    hook = reference.memory_attention.register_forward_hook(lambda *_: calls.append(1))
    try:
        with float_memory():
            state = their_state(reference)
            their_click(reference, state, 1, 0)
            their_click(reference, state, 2, 8, _CORRECTION)
            _their_masks(reference, state)
    finally:
        hook.remove()
    return len(calls) == 2 * (NUM_FRAMES - 1)


DEFECTS = (
    Defect("a click on a tracked frame is lost", _corrections_count, _corrections_are_lost),
    Defect(
        "a refined first frame is lost once tracked",
        _first_frame_can_be_refined,
        _first_frame_stays,
    ),
    Defect("clearing stale memories crashes", _stale_memories_go, _clearing_crashes),
    Defect(
        "frames before an object's prompt crash",
        _frames_before_the_prompt_work,
        _frames_before_the_prompt_crash,
    ),
    Defect(
        "an object whose prompt was cleared stops all others",
        _objects_without_prompts_are_left_out,
        _one_cleared_object_stops_all,
    ),
    Defect("ranges are off by one", _ranges_are_exact, _ranges_are_off_by_one),
    Defect(
        "objects cost as much before their first prompt",
        _absent_objects_cost_nothing,
        _absent_objects_cost_as_much,
    ),
)
