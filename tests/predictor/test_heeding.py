"""What corrective clicks say of their pixels holds, and the rest of the mask stays."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.benchmarks.bench_heeding import corrected

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import PRESETS
from napari_sam2.predictor import answering, heeding
from napari_sam2.predictor.heeding import (
    Clicked,
    finely,
    moved,
    near_clicks,
    with_heart,
    within_reach,
)
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.training.synthetic import dividing_cells, random_movie


def disk(y: float, x: float, radius: float) -> MaskRecord:
    rows, columns = np.mgrid[:60, :60]
    return MaskRecord.from_mask(np.hypot(rows - y, columns - x) <= radius)


def clicks(*signed: tuple[float, float, bool]) -> Geometry:
    return Geometry.of([PointPrompt(1, 0, (y, x), positive) for y, x, positive in signed])


def clicked(*signed: tuple[float, float, bool]) -> Clicked:
    rows, columns, inside = zip(*signed, strict=True)
    return Clicked(np.stack([rows, columns], axis=1) + 0.5, torch.tensor(inside))


def test_a_mask_that_loses_its_side_keeps_its_heart() -> None:
    asked = with_heart(clicks((30, 45, False)), disk(30, 30, 18))
    (y, x), last = asked.points
    assert asked.labels.tolist() == [1, 0]
    assert last.tolist() == [30, 45], "the newest click stays the last"
    assert y == pytest.approx(30, abs=2)
    assert 22 <= x <= 32


@pytest.mark.parametrize(
    ("asked", "record"),
    [
        (clicks((30, 30, False)), disk(30, 30, 18)),
        (clicks((30, 45, False), (20, 20, True)), disk(30, 30, 18)),
        (clicks((30, 45, False)), None),
        (clicks((30, 45, False)), MaskRecord.from_mask(np.zeros((60, 60), bool))),
        (Geometry.of([BoxPrompt(1, 0, (9, 9, 40, 40))]), disk(30, 30, 18)),
        (Geometry.of([]), disk(30, 30, 18)),
    ],
    ids=["all of it", "one is positive", "no mask", "empty mask", "box", "nothing"],
)
def test_nothing_is_added_to_other_prompts(asked, record) -> None:
    assert with_heart(asked, record) is asked


def test_only_changes_at_clicks_are_taken() -> None:
    before, logits = torch.full((2, 12, 12), -5.0)
    before[2:6, 2:6] = 5.0
    logits[2:6, 2:9] = 4.0  # grows where the click is
    logits[9:11, 9:11] = 3.0  # and elsewhere
    merged = near_clicks(logits, before, clicked((4, 7, True)))
    assert (merged[2:6, 2:9] == 4.0).all()
    assert (merged[9:11, 9:11] == -5.0).all()
    assert torch.equal(near_clicks(logits, before, clicked((0, 0, False))) > 0, before > 0)


def plane(where: slice, value: float = 5.0) -> torch.Tensor:
    """A mask of 32 x 32 cells that is inside on some of its rows."""
    logits = torch.full((32, 32), -value)
    logits[where] = value
    return logits


@pytest.mark.parametrize(("row", "positive"), [(17.5, True), (13.5, False)])
def test_a_click_beside_the_border_changes_nothing_that_is_deep_or_far_away(row, positive) -> None:
    before, logits = plane(slice(0, 16)), plane(slice(0, 24 if positive else 6))
    click = clicked((row, 5.0, positive))
    merged = within_reach(logits, before, click)
    changed = (merged > 0) != (before > 0)
    assert click.heeded(merged).all()
    rows, columns = (places.numpy() for places in changed.nonzero().T)
    assert abs(rows - 15.5).max() <= 3, "a click two cells deep speaks of three"
    assert columns.max() < 5 + 2.5 * 12, "and of what is near"
    deep = within_reach(logits, before, clicked((22.0 if positive else 9.0, 16.0, positive)))
    missed = ((deep > 0) != (logits > 0)).float().mean()
    assert float(missed) < 0.05, "one deep in the error speaks of all of it"


def test_a_click_on_less_than_a_cell_holds_to_the_pixel() -> None:
    before, logits = plane(slice(0, 16), 1.0), plane(slice(0, 20), 8.0)
    click = clicked((16.1, 9.0, True))
    assert not click.finely().heeded(finely(before)).any()
    merged = within_reach(logits, before, click)
    assert click.finely().heeded(finely(merged)).all()
    assert torch.equal(merged[18:], before[18:])


@pytest.mark.parametrize(("row", "is_free"), [(15.2, False), (14.8, False), (5.0, True)])
def test_a_click_on_the_border_that_seems_right_is_no_leave_to_draw_anew(row, is_free) -> None:
    """Deep in its mask it is: who clicks one of two cells that a mask holds means this one."""
    before, logits = plane(slice(0, 16)), plane(slice(0, 24))
    click = clicked((row, 9.0, True))
    assert click.finely().heeded(finely(before)).all()
    merged = answering._changed_by_newest(logits, before, click)
    assert torch.equal(merged > 0, (logits if is_free else before) > 0)


def test_the_edge_of_the_view_is_no_border() -> None:
    before, logits = plane(slice(0, 16)), plane(slice(6, 16))
    click = clicked((1.0, 16.0, False))
    assert torch.equal(within_reach(logits, before, click) > 0, logits > 0)


def test_features_move_until_the_clicks_are_heeded_and_no_further() -> None:
    features = torch.randn(1, 8, 10, 10, generator=torch.Generator().manual_seed(0))
    features[:, 0] = -1.0
    features[:, 0, :, 4:] = 1.0
    weights = torch.zeros(8)
    weights[0] = 2.0
    steps = []

    def decode(seen: torch.Tensor) -> torch.Tensor:
        steps.append(seen)
        return torch.einsum("c,bchw->hw", weights, seen)

    heeded = clicked((3, 7, True), (3, 1, False))
    assert torch.equal(moved(decode, features, heeded), decode(features))
    assert len(steps) == 2, "nothing to do"
    features[:, 0, 3, 3] = 0.1
    wanted = clicked((3, 3, False), (3, 7, True))
    found = moved(decode, features, wanted)
    assert wanted.heeded(decode(features)).tolist() == [False, True]
    assert wanted.heeded(found).all()
    assert torch.equal(found[:, 4:] > 0, torch.ones(10, 6, dtype=torch.bool))
    assert weights.grad is None


def test_the_descent_is_adam() -> None:
    ours, theirs = (torch.linspace(-1, 1, 8).reshape(2, 4, 1, 1).requires_grad_() for _ in "ab")
    adam, descent = torch.optim.Adam([theirs], lr=heeding._RATE), heeding._Descent.of(ours)
    for number in range(6):
        gradient = torch.sin(torch.arange(8.0) * (number + 1)).reshape_as(ours)
        theirs.grad = gradient
        adam.step()
        descent.step(gradient)
    torch.testing.assert_close(ours, theirs)


def test_a_click_waits_for_no_import() -> None:
    script = (
        "import sys, torch, numpy as np\n"
        "from napari_sam2.predictor.heeding import Clicked, moved\n"
        "wanted = Clicked(np.array([[1.5, 1.5]]), torch.tensor([True]))\n"
        "dark = torch.full((1, 2, 3, 3), -0.2)\n"
        "assert (moved(lambda seen: seen[0].mean(0), dark, wanted) > 0).all()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture(scope="module")
def bundled():
    return load_model("bundled")


def test_corrections_of_tracked_masks_are_heeded_and_do_no_harm(bundled, cpu) -> None:
    movies = [random_movie(22_000_310, 6, kind=kind) for kind in ("phase", "dic")]
    held, scores = {}, {}
    for choice in ("on", "off"):
        predictor = VideoPredictor(bundled, cpu, PredictorOptions(heed=choice))
        rows = [row for movie in movies for row in corrected(predictor, movie, cells=4)]
        assert len(rows) > 5
        held[choice] = np.mean([one for row in rows for one in row.held])
        scores[choice] = np.mean([row.after for row in rows])
    assert held["on"] > 0.9
    assert held["on"] > held["off"] + 0.1
    assert scores["on"] > scores["off"] - 0.01


def test_clicks_on_masks_that_are_nearly_right_improve_them(bundled, cpu) -> None:
    movies = [dividing_cells(frames=6)]
    movies += [random_movie(22_000_311, 6, kind=kind) for kind in ("embryo", "organelles")]
    predictor = VideoPredictor(bundled, cpu)
    rows = [r for one in movies for r in corrected(predictor, one, cells=6, worst=0.85, best=1.0)]
    assert len(rows) > 15
    course = np.array([(row.before, *row.after) for row in rows])
    assert (np.diff(course.mean(axis=0)) > 0.002).all(), "every click brings something"
    assert (course[:, -1] < course[:, 0]).mean() < 0.2


def test_what_a_person_points_at_is_there(bundled, cpu) -> None:
    movie = random_movie(22_000_301, 2, kind="nuclei")
    sceptic = load_model("bundled")
    head = sceptic.sam_mask_decoder.pred_obj_score_head
    with torch.no_grad():
        [p for p in head.parameters() if p.ndim == 1][-1].fill_(-50.0)
    yx = innermost_point(movie.labels[0] == 1 + np.bincount(movie.labels[0].ravel())[1:].argmax())
    for choice, is_seen in (("on", True), ("off", False)):
        predictor = VideoPredictor(sceptic, cpu, PredictorOptions(heed=choice))
        session = VideoSession.open(movie.images)
        record = predictor.predict_frame(session, PointPrompt(1, 0, yx)).objects[0].record
        assert record.visible == is_seen
        if is_seen:
            assert record.mask(movie.labels.shape[1:])[tuple(map(int, yx))]


def test_answers_are_held_to_clicks_in_bfloat16_too(bundled, monkeypatch) -> None:
    held = []
    monkeypatch.setattr(answering, "moved", lambda *given: held.append(1) or moved(*given))
    movie = random_movie(22_000_310, 1, kind="phase")
    y, x = innermost_point(movie.labels[0] == movie.labels[0].max())
    predictor = VideoPredictor(bundled, Runtime(torch.device("cpu"), torch.bfloat16))
    session = VideoSession.open(movie.images)
    predictor.predict_frame(session, PointPrompt(1, 0, (y, x)))
    # Hardly to be heeded: the pixels are beside each other, in one cell of the mask or two.
    click = PointPrompt(1, 0, (y, x + 1), positive=False)
    assert predictor.predict_frame(session, click).objects[0].record.visible
    assert held
    assert all(p.grad is None for p in bundled.parameters())


def test_a_mask_chosen_before_does_not_stand_in_the_way(bundled, cpu) -> None:
    movie = random_movie(22_000_304, 3, kind="nuclei")
    truth = movie.labels[0] == 1 + np.bincount(movie.labels[0].ravel())[1:].argmax()
    y, x = innermost_point(truth)
    predictor = VideoPredictor(bundled, cpu)
    session = VideoSession.open(movie.images)
    predictor.predict_frame(session, PointPrompt(1, 0, (y, x)))
    list(predictor.propagate(session))
    assert session.masklets.record(1, 2).visible
    y0, x0, *_ = session.masklets.record(1, 2).bbox
    aside = PointPrompt(1, 2, (y0, x0), positive=False)
    assert predictor.predict_frame(session, replace(aside, candidate=2)).objects[0].record.visible


def test_the_reference_is_left_as_it_is(bundled) -> None:
    assert PredictorOptions().heeds_clicks(bundled.config)
    assert not PredictorOptions().heeds_clicks(PRESETS["sam2.1-tiny"])
    with pytest.raises(ValueError, match="heed is 'maybe'; choose one of 'auto'"):
        PredictorOptions(heed="maybe")
