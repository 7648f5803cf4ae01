"""Which frames a run visits: each from the prompt that is nearest, none twice."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.run_plan import plan_runs
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt


def session_with(**prompted: tuple[int, ...]) -> VideoSession:
    """Return a session of 12 frames; ``o1=(0, 5)`` prompts object 1 on frames 0 and 5."""
    session = VideoSession.open(np.random.default_rng(0).integers(0, 9, (12, 40, 40), np.uint16))
    for name, frames in prompted.items():
        for frame in frames:
            session.add(PointPrompt(int(name[1:]), frame, (20, 20)))
    return session


def visits(session: VideoSession, object_id: int = 1, **options: object) -> dict[int, list[int]]:
    """By direction, the frames on which an object is visited, in their order."""
    runs = plan_runs(session, PropagateOptions(**options))
    return {run.step: [f for f in run.frames if object_id in run.objects_on(f)] for run in runs}


@pytest.mark.parametrize(
    ("prompted", "options", "forward", "backward"),
    [
        ((4,), {}, [4, 5, 6, 7, 8, 9, 10, 11], [3, 2, 1, 0]),
        ((0, 11), {}, [0, 1, 2, 3, 4, 5, 11], [10, 9, 8, 7, 6]),
        ((2, 4, 9), {}, [2, 3, 4, 5, 6, 9, 10, 11], [8, 7, 1, 0]),
        ((2, 3), {}, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [1, 0]),
        # A prompt behind the range is not on the way, unless there is no other.
        ((2, 11), {"stop": 8}, [2, 3, 4, 5, 6, 7, 8], [1, 0]),
        ((10,), {"stop": 3}, [], [3, 2, 1, 0]),
        # One before the range is where it comes from.
        ((0, 8), {"start": 3}, [3, 4, 8, 9, 10, 11], [7, 6, 5]),
        ((0, 10), {"start": 7, "stop": 10}, [10], [9, 8, 7]),
    ],
)
def test_every_frame_is_reached_from_the_nearest_prompt(prompted, options, forward, backward):
    found = visits(session_with(o1=prompted), **options)
    assert found.get(1, []) == forward
    assert found.get(-1, []) == backward


def test_one_way_goes_through_from_the_first_prompt() -> None:
    session = session_with(o1=(2, 9))
    assert visits(session, direction="forward") == {1: list(range(2, 12))}
    assert visits(session, direction="backward") == {-1: list(range(9, -1, -1))}


def test_objects_have_ways_of_their_own_and_what_is_locked_stays() -> None:
    session = session_with(o1=(0, 6), o2=(8,))
    session.locks.add(1, [5, 9])
    assert visits(session, 1) == {1: [0, 1, 2, 3, 6, 7, 8, 10, 11], -1: [4]}
    assert visits(session, 2) == {1: [8, 9, 10, 11], -1: list(range(7, -1, -1))}


def test_nothing_is_followed_from_where_it_is_not() -> None:
    session = session_with(o1=(2, 10))
    for frame in (0, 6, 11):
        session.add(MaskPrompt(1, frame, np.zeros((40, 40), bool)))
    assert visits(session) == {1: [2, 3, 4, 5, 6, 10, 11], -1: [9, 8, 7, 1, 0]}
    assert visits(session, direction="backward") == {-1: list(range(10, -1, -1))}
    session.prompts.clear(1, 2)
    session.prompts.clear(1, 10)
    assert visits(session)[1] == [0, 1, 2, 3, 6, 7, 8, 11], "there is nothing else to go by"


@pytest.fixture(scope="module")
def network() -> SAM2:
    return load_model("bundled")


def cell(frames: np.ndarray, t: int, y: int, x: int) -> np.ndarray:
    """Draw a bright cell on a frame; return its mask."""
    rows, columns = np.indices(frames.shape[1:])
    mask = (rows - y) ** 2 + (columns - x) ** 2 <= 81
    frames[t] += np.where(mask, 900, 0).astype(frames.dtype)
    return mask


def iou(session: VideoSession, t: int, truth: np.ndarray) -> float:
    found = session.masklets.mask(1, t)
    return float((found & truth).sum() / (found | truth).sum())


def test_what_jumped_away_is_followed_back_from_where_it_was_corrected(network) -> None:
    """A cell is somewhere else from frame 6 on; a prompt on frame 9 tells where it went."""
    frames = np.random.default_rng(0).normal(200, 12, (12, 96, 96)).astype(np.uint16)
    jumps = [cell(frames, t, *((25, 25) if t < 6 else (70, 66))) for t in range(12)]
    predictor = VideoPredictor(network, Runtime.auto("cpu", "float32"))
    session = VideoSession.open(frames)
    for t in (0, 9):
        session.add(MaskPrompt(1, t, jumps[t]))
    visited = [r.frame for r in predictor.propagate(session)]
    assert sorted(visited) == list(range(12))
    there = {t: iou(session, t, jumps[t]) for t in (1, 2, 3, 4, 6, 7, 8, 10, 11)}
    assert min(there.values()) > 0.7, there


def test_passes_of_other_directions_share_no_pixel(predictor, movie) -> None:
    """Two objects are followed by a network that sees each nearly everywhere."""
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (18, 28)))
    session.add(PointPrompt(2, len(movie) - 1, (20, 44)))
    list(predictor.propagate(session))
    for t in range(1, len(movie) - 1):
        one, other = (session.masklets.mask(i, t) for i in (1, 2))
        assert one.sum() > 100, t
        assert not (one & other).any(), t


def test_a_lost_object_is_looked_for_anew_from_each_prompt(network) -> None:
    """Patience that ran out between two prompts does not end the pass before the first one."""
    frames = np.random.default_rng(0).normal(200, 12, (16, 96, 96)).astype(np.uint16)
    shown = {t: cell(frames, t, 40, 40) for t in (*range(7), 15)}
    predictor = VideoPredictor(network, Runtime.auto("cpu", "float32"))
    session = VideoSession.open(frames)
    session.add(MaskPrompt(1, 5, shown[5]))
    session.add(MaskPrompt(1, 15, shown[15]))
    list(predictor.propagate(session, PropagateOptions(patience=2)))
    assert [session.masklets.mask(1, t).any() for t in (12, 13)] == [False, False]
    assert min(iou(session, t, shown[t]) for t in range(5)) > 0.7
