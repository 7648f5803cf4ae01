"""The memory bank chooses by the rules of SAM 2 and stays bounded."""

import numpy as np
import pytest
import torch

from napari_sam2.predictor.memory_bank import FrameMemory, MemoryBank, closest_prompted
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt

VIEW = View.whole((8, 8), (8, 8))


def memory() -> FrameMemory:
    return FrameMemory(VIEW, torch.zeros(2, 1, 1), torch.zeros(4), torch.zeros(4, 4))


def bank_with(prompted: list[int], recent: list[int]) -> MemoryBank:
    bank = MemoryBank(window=3, pointer_window=5)
    for frame in prompted:
        bank.commit(frame, memory(), (PointPrompt(1, frame, (1, 1)),))
    for frame in recent:
        bank.push(frame, memory())
    return bank


def test_selects_prompted_frames_and_the_window_before_the_frame() -> None:
    bank = bank_with([0], [1, 2, 3, 4, 5, 6])
    selection = bank.select(7, 1, (20, None), bank.recent)
    assert selection.spatial == ((0, 3), (4, 2), (5, 1), (6, 0))
    assert selection.pointers == ((0, 7), (6, 1), (5, 2), (4, 3), (3, 4), (2, 5))


def test_backward_travel_looks_at_later_frames() -> None:
    bank = bank_with([9], [5, 6, 7, 8])
    selection = bank.select(4, -1, (20, None), bank.recent)
    assert selection.spatial == ((9, 3), (7, 2), (6, 1), (5, 0))
    assert dict(selection.pointers)[9] == 5


def test_a_frame_that_was_said_to_be_empty_counts_among_the_frames_before() -> None:
    bank = bank_with([0, 8], [6, 7, 9])
    bank.commit(5, memory(), (MaskPrompt(1, 5, np.zeros((8, 8))),))
    bank.push(6, memory())
    bank.push(7, memory())
    assert bank.select(7, 1, (20, None), [6]).spatial == ((0, 3), (8, 3), (5, 1), (6, 0))
    assert bank.select(12, 1, (20, None), [9, 10, 11]).spatial[:2] == ((0, 3), (8, 3))
    assert 5 not in bank.select(12, 1, (20, None), [9, 10, 11]).frames
    entered = bank_with([6], [])
    entered.commit(5, memory(), (MaskPrompt(1, 5, np.zeros((8, 8))),))
    entered.push(4, memory())
    assert entered.select(7, 1, (20, None), [4]).spatial == ((6, 3),), "it has come since"
    assert entered.select(4, -1, (20, None), []).spatial == ((6, 3), (5, 0))
    alone = MemoryBank(window=3, pointer_window=5)
    alone.commit(5, memory(), (MaskPrompt(1, 5, np.zeros((8, 8))),))
    assert alone.select(9, 1, (20, None), []).spatial == ((5, 3),)


def test_prompted_frames_of_the_future_give_maps_but_no_pointers() -> None:
    bank = bank_with([0, 9], [])
    selection = bank.select(4, 1, (20, None), ())
    assert [f for f, _ in selection.spatial] == [0, 9]
    assert selection.pointers == ((0, 4),)


def test_a_prompted_frame_that_is_not_among_the_nearest_counts_as_recent() -> None:
    bank = bank_with([3, 4, 5], [])
    selection = bank.select(6, 1, (20, 1), ())
    assert selection.spatial == ((5, 3), (3, 2), (4, 1))


@pytest.mark.parametrize(
    ("frame", "limit", "expected"),
    [
        (5, None, [0, 2, 6, 9]),
        (5, 2, [2, 6]),
        (5, 3, [2, 6, 9]),
        (6, 2, [2, 6]),
        (10, 2, [6, 9]),
        (5, 1, [2]),
    ],
)
def test_closest_prompted(frame: int, limit: int | None, expected: list[int]) -> None:
    assert closest_prompted(frame, [0, 2, 6, 9], limit) == expected


@pytest.mark.parametrize(("view", "same_as"), [("follow", 4), ("whole", 99)])
def test_who_follows_objects_attends_to_four_prompted_frames(
    small_model, cpu, movie: np.ndarray, view: str, same_as: int
) -> None:
    def scores(limit: int | None) -> list[float]:
        options = PredictorOptions(view=view, max_prompted=limit)
        predictor = VideoPredictor(small_model, cpu, options)
        session = VideoSession.open(movie)
        for t in (0, 2, 3, 5, 7, 9):
            mask = np.zeros(movie.shape[1:], bool)
            mask[10 + t : 26 + t, 20 + 2 * t : 36 + 2 * t] = True
            predictor.predict_frame(session, MaskPrompt(1, t, mask))
        for _ in predictor.propagate(session):
            pass
        return [session.masklets.record(1, t).object_score for t in (1, 4, 6, 8)]

    assert scores(None) == scores(same_as)
    assert scores(4) != scores(99)


def test_committing_drops_stale_memories_around_the_frame() -> None:
    bank = bank_with([0], [])
    for frame in range(1, 30):
        bank.push(frame, memory())
    bank.commit(15, memory(), (PointPrompt(1, 15, (1, 1)),))
    assert sorted(bank.recent) == [*range(1, 10), *range(21, 30)]


def test_eviction_keeps_the_window_and_the_surroundings_of_prompts() -> None:
    bank = bank_with([0], [])
    for frame in range(1, 200):
        bank.push(frame, memory())
        bank.evict(frame, 1)
    assert sorted(bank.recent) == [1, 2, 3, 4, 5, 195, 196, 197, 198, 199]


def test_a_memory_belongs_to_exactly_its_prompts() -> None:
    bank = bank_with([2], [])
    assert bank.is_committed(2, (PointPrompt(1, 2, (1, 1)),))
    assert not bank.is_committed(2, (PointPrompt(1, 2, (1, 2)),))
    bank.forget(2)
    assert not bank.is_committed(2, (PointPrompt(1, 2, (1, 1)),))
