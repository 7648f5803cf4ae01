"""A cell whose mask comes apart has ended, and is proposed as a division."""

from __future__ import annotations

import numpy as np
import pytest
from tests.dividing_cell import DIVIDES, FRAMES, SIDE, movie, truth

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.divided import comes_apart
from napari_sam2.predictor.divisions import divided_on, has_ended
from napari_sam2.predictor.options import Direction, Divided, PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking.proposals import DivisionWatch
from napari_sam2.tracking.splitting import halves


def run(
    divided: Divided = "auto",
    prompts: tuple[int, ...] = (0,),
    direction: Direction = "forward",
    axes: str = "TYX",
) -> VideoSession:
    options = PredictorOptions(divided=divided)
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"), options)
    session = VideoSession.open(movie(), axes=axes)
    for frame in prompts:
        session.add(MaskPrompt(1, frame, truth(frame)))
    list(predictor.propagate(session, PropagateOptions(direction=direction)))
    return session


def states(session: VideoSession) -> str:
    """One letter a frame: whole, halved, empty, ended."""
    letters = ""
    for t in range(session.num_frames):
        one = session.masklets.record(1, t)
        if one is None or not one.visible:
            letters += "x" if one is not None and one.has_ended else "-"
        else:
            letters += "h" if halves(one) else "w"
    return letters


def test_a_mask_that_falls_into_two_halves_ends_and_is_proposed() -> None:
    followed, ended = states(run("follow")), run()
    first = followed.index("h")
    assert first == DIVIDES
    assert "-" not in followed, "the network goes on"
    assert states(ended) == followed[:first] + "x" * (FRAMES - first)
    (found,) = DivisionWatch().propose(ended.masklets)
    assert (found.mother, found.frame) == (1, first)


def test_a_prompt_ahead_says_that_the_object_lives() -> None:
    last = FRAMES - 1
    found = states(run(prompts=(0, last)))
    assert "x" not in found
    assert "hh" in found


def test_neither_backwards_nor_through_depth() -> None:
    assert "x" not in states(run(prompts=(FRAMES - 1,), direction="backward"))
    assert states(run(axes="ZYX")) == states(run("follow"))


def test_a_run_that_goes_on_leaves_it_ended() -> None:
    session = run()
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    before = states(session)
    first = before.index("x")
    session.masklets.remove(1, range(first + 1, FRAMES))
    for frame in range(first + 1, FRAMES):
        session.objects[1].tracked.pop(frame)
    list(predictor.propagate(session, PropagateOptions(direction="forward", resume=True)))
    assert states(session) == before


TWO, ONE = (MaskRecord.from_mask(truth(t), predicted_iou=0.9) for t in (DIVIDES, 0))
NOTHING = MaskRecord.from_mask(truth(0) & False)


def prompted(frame: int = 0) -> VideoSession:
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, frame, truth(frame)))
    VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")).commit(session)
    return session


@pytest.mark.parametrize(("record", "is_told"), [(TWO, True), (ONE, False), (NOTHING, False)])
def test_only_what_is_drawn_in_two_halves_has_divided(record, is_told) -> None:
    session = prompted()
    for frame in range(DIVIDES - 3, DIVIDES):
        session.masklets.write(1, frame, ONE)
    found = divided_on(session, (DIVIDES, 1), {1: record})
    assert list(found) == [1] * is_told
    assert all(0.5 < sure <= 1 for sure in found.values())
    assert divided_on(session, (DIVIDES, -1), {1: record}) == {}


def test_halves_of_a_mask_end_nothing_where_the_picture_shows_one_cell() -> None:
    session = prompted()
    for frame in range(3, 6):
        session.masklets.write(1, frame, ONE)
    assert divided_on(session, (6, 1), {1: TWO}) == {}


@pytest.mark.parametrize(
    ("record", "expected"), [(MaskRecord.ended(0.8), True), (TWO, False), (NOTHING, False)]
)
def test_what_has_ended_stays_ended(record, expected) -> None:
    session = prompted()
    session.masklets.write(1, 6, record)
    assert has_ended(session, 1, (7, 1)) is expected
    assert not has_ended(session, 1, (5, -1))
    session.add(MaskPrompt(1, 9, truth(0)))
    assert not has_ended(session, 1, (7, 1)), "a person says that it lives"


def judged(before: list[np.ndarray], mask: np.ndarray, iou: float = 0.9, born: bool = False) -> str:
    """Say how a cell drawn on frame 5, with these masks since, looks on the last one."""
    session = VideoSession.open(movie())
    session.add(MaskPrompt(1, 5, before[0]))
    if born:
        session.locks.limit(1, 5, None)
    VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")).commit(session)
    for frame, drawn in enumerate([*before[1:], mask], start=6):
        session.masklets.write(1, frame, MaskRecord.from_mask(drawn, predicted_iou=iou))
    record = session.masklets.record(1, 5 + len(before))
    last = 5 + len(before)
    return "apart" if comes_apart(session, 1, (last, 1), record) else "one"


def disc(y: int, x: int, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


CELL, DAUGHTERS = disc(64, 64, 18), disc(64, 44, 12) | disc(64, 84, 12)


def test_soon_after_a_prompt_two_daughters_that_lie_apart_end_their_mother() -> None:
    assert judged([CELL], DAUGHTERS) == "apart"
    assert judged([CELL, disc(64, 64, 9)], DAUGHTERS) == "apart", "she was small just before"
    assert states(run(prompts=(DIVIDES - 3,))).lstrip("-") == "wwwxxxxxx"[: FRAMES - DIVIDES + 3]


def test_a_bad_mask_in_pieces_is_no_division() -> None:
    assert judged([CELL], DAUGHTERS, iou=0.6) != "apart"


def test_a_daughter_whose_mask_takes_in_her_sister_lives() -> None:
    assert judged([disc(64, 44, 12)], DAUGHTERS) != "apart"
    assert judged([CELL], DAUGHTERS, born=True) != "apart"


@pytest.mark.parametrize("frames", [1, 8])
def test_one_daughter_and_a_piece_of_the_other_end_their_mother(frames: int) -> None:
    piece = disc(64, 84, 5)
    assert judged([CELL] * frames, disc(64, 44, 12) | piece) == "apart"
    assert judged([CELL] * frames, CELL | disc(64, 100, 7)) != "apart", "she has lost nothing"
    assert judged([CELL] * frames, disc(64, 44, 12) | disc(64, 62, 5)) != "apart", "no gap"
    assert judged([CELL] * frames, disc(64, 44, 12) | disc(64, 84, 2)) != "apart", "a crumb"


def test_a_large_mask_is_judged_as_a_small_one() -> None:
    session = VideoSession.open(np.zeros((20, 8 * SIDE, 8 * SIDE), np.uint8))
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    session.add(MaskPrompt(1, 0, np.kron(CELL, np.ones((8, 8), bool))))
    predictor.commit(session)
    session.masklets.write(1, 11, session.masklets.record(1, 0))
    two, one = (
        MaskRecord.from_mask(np.kron(drawn, np.ones((8, 8), bool)), predicted_iou=0.9)
        for drawn in (DAUGHTERS, CELL)
    )
    assert comes_apart(session, 1, (12, 1), two)
    assert not comes_apart(session, 1, (12, 1), one)
