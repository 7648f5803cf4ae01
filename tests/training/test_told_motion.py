"""What clips tell of motion: where objects should be, as wrong as the predictor finds it."""

import pytest
import torch

from napari_sam2.training import told_motion
from napari_sam2.training.told_motion import expected_centers


def squares(centers, side=9):
    """Masks (B, T, 64, 64) of squares; None is a frame without the object."""
    masks = torch.zeros(len(centers), len(centers[0]), 64, 64, dtype=torch.bool)
    for row, way in enumerate(centers):
        for frame, place in enumerate(way):
            if place is not None:
                y, x = (int(value) - side // 2 for value in place)
                masks[row, frame, y : y + side, x : x + side] = True
    return masks


def expected(centers, clips=None):
    numbers = torch.tensor(clips or [0] * len(centers))
    return expected_centers(squares(centers), numbers, torch.Generator().manual_seed(0))


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(told_motion, "_ERROR", 0.0)
    monkeypatch.setattr(told_motion, "_UNSEEN", 0.0)


def test_what_is_there_is_expected_where_it_is(exact):
    way = [(20, 20), (24, 27), (30, 22)]
    assert expected([way])[0].tolist() == [list(place) for place in way]


def test_what_has_gone_moves_on_with_the_stage(exact):
    stays = [(20, 20), (23, 25), (26, 30)]
    other = [(40, 20), (43, 25), (46, 30)]
    gone = [(30, 40), None, None]
    assert expected([stays, other, gone])[2].tolist() == [[30, 40], [33, 45], [36, 50]]
    # Objects of another clip say nothing of this stage.
    assert expected([stays, other, gone], [0, 0, 1])[2].tolist() == [[30, 40]] * 3


def test_one_object_alone_is_no_stage(exact):
    assert expected([[(20, 20), (23, 25)], [(30, 40), None]])[1].tolist() == [[30, 40]] * 2


def test_errors_add_up_and_are_drawn_back(monkeypatch):
    monkeypatch.setattr(told_motion, "_UNSEEN", 0.0)
    way = [(30, 30)] * 40
    errors = (expected([way] * 50)[:, 1:] - 30).square().mean((0, 2)).sqrt()
    # One step is wrong by 0.03 of nine pixels.
    assert errors[0].item() == pytest.approx(0.27, rel=0.3)
    assert errors[0] < errors[20] < 0.27 * 40**0.5


def test_now_and_then_an_object_is_not_found(monkeypatch):
    monkeypatch.setattr(told_motion, "_ERROR", 0.0)
    ways = [[(20, 20), (30, 20)]] * 60 + [[(20, 20), (20, 20)]] * 140
    steps = expected(ways)[:60, 1, 0] - 20
    assert set(steps.tolist()) == {0.0, 10.0}
    assert 0.6 < (steps == 10).float().mean().item() < 0.95
