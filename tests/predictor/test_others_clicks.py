"""Who clicks two cells on a frame says that they are two."""

import numpy as np
import pytest

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.evaluation.metrics import iou
from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor import answerer
from napari_sam2.predictor.answerer import record_of_answer
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.others_clicks import clicks_on_others, leaving, taken_in
from napari_sam2.predictor.parting import parted
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.training.synthetic import random_movie


@pytest.fixture(scope="module")
def bundled():
    return load_model("bundled")


def test_only_positive_clicks_on_other_objects_inside_the_mask_count() -> None:
    session = VideoSession.open(np.zeros((2, 30, 40), np.uint8))
    mask = np.zeros((30, 40), bool)
    mask[5:15, 10:20] = True
    for prompt in (
        PointPrompt(1, 0, (7, 12)),
        PointPrompt(2, 0, (14.4, 19.4)),
        PointPrompt(2, 0, (8, 15), positive=False),
        PointPrompt(3, 0, (14.6, 19)),
        PointPrompt(4, 1, (10, 15)),
        BoxPrompt(5, 0, (6, 11, 9, 14)),
    ):
        session.add(prompt)
    clicks = clicks_on_others(session, 1, 0)
    assert clicks == ((14.4, 19.4), (14.6, 19))
    assert taken_in(MaskRecord.from_mask(mask), clicks) == ((14.4, 19.4),)
    assert taken_in(MaskRecord.from_mask(mask & False), clicks) == ()


def test_an_object_leaves_what_others_are_and_its_own_clicks_stay_the_last() -> None:
    geometry = Geometry.of([PointPrompt(1, 0, (7, 12), candidate=2)])
    asked = leaving(geometry, ((1.0, 2.0), (3.0, 4.0)))
    assert asked.points.tolist() == [[1, 2], [3, 4], [7, 12]]
    assert asked.labels.tolist() == [0, 0, 1]
    assert asked.candidate is None


def crowd(kind: str = "phase", seed: int = 42_000_000, cells: int = 10):
    """Return cells that lie side by side: images, masks, a click on each."""
    movie = random_movie(seed, 2, kind=kind)
    areas = np.bincount(movie.labels[0].ravel())
    clicks = {
        int(i): innermost_point(movie.labels[0] == i) for i in np.flatnonzero(areas >= 50)[1:]
    }
    points = np.array(list(clicks.values()))
    apart = np.hypot(*(points[:, None] - points).transpose(2, 0, 1))
    middle = points[(apart < 40).sum(axis=1).argmax()]
    chosen = sorted(clicks, key=lambda i: np.hypot(*(clicks[i] - middle)))[:cells]
    return movie.images, {i: movie.labels[0] == i for i in chosen}, {i: clicks[i] for i in chosen}


CROWDS = (("phase", 2), ("phase", 6), ("nuclei", 5), ("nuclei", 7))


def test_cells_that_are_all_clicked_are_told_apart(bundled, cpu) -> None:
    predictor = VideoPredictor(bundled, cpu)
    before, after = [], []
    for kind, number in CROWDS:
        images, masks, clicks = crowd(kind, 42_000_000 + number)
        shape, together, alone = images.shape[1:], VideoSession.open(images), {}
        for i, yx in clicks.items():
            click, single = PointPrompt(i, 0, yx), VideoSession.open(images)
            alone[i] = predictor.predict_frame(single, click).objects[0].record
            predictor.predict_frame(together, click)
        predictor.commit(together)
        for i in clicks:
            record, others = together.masklets.record(i, 0), clicks_on_others(together, i, 0)
            assert not taken_in(record, others)
            if taken_in(alone[i], others):
                before.append(iou(alone[i].mask(shape), masks[i]))
                after.append(iou(record.mask(shape), masks[i]))
    assert len(before) >= 10, "one click is answered with two cells or more"
    assert np.mean(after) > np.mean(before) + 0.1


def test_where_masks_may_overlap_nothing_is_left_to_others(bundled, cpu) -> None:
    images, _, clicks = crowd("nuclei", 42_000_005)
    inside = {}
    for overlap in ("best", "keep"):
        predictor = VideoPredictor(bundled, cpu, PredictorOptions(overlap=overlap))
        session = VideoSession.open(images)
        for i, yx in clicks.items():
            session.add(PointPrompt(i, 0, yx))
        predictor.commit(session)
        records = {i: session.masklets.record(i, 0) for i in clicks}
        inside[overlap] = sum(
            bool(taken_in(one, clicks_on_others(session, i, 0))) for i, one in records.items()
        )
    assert inside["best"] == 0
    assert inside["keep"] >= 3


def test_a_mask_that_a_person_chose_is_tracked_whoever_else_is_clicked_in_it(bundled, cpu) -> None:
    images, _, clicks = crowd()
    predictor, session = VideoPredictor(bundled, cpu), VideoSession.open(images)
    first, *others = clicks
    offered = predictor.predict_frame(session, PointPrompt(first, 0, clicks[first])).objects[0]
    for i in others:
        session.add(PointPrompt(i, 0, clicks[i]))
    known = clicks_on_others(session, first, 0)
    chosen = max(range(len(offered.candidates)), key=lambda n: offered.candidates[n].area)
    assert taken_in(offered.candidates[chosen], known), "it is more than one cell"
    session.prompts.remove_object(first)
    session.add(PointPrompt(first, 0, clicks[first], candidate=chosen))
    taken = predictor.predict_frame(session, object_id=first, frame=0).objects[0].record
    predictor.commit(session)
    for record in (taken, session.masklets.record(first, 0)):
        assert taken_in(record, known) == taken_in(offered.candidates[chosen], known)


def test_what_a_mask_cannot_leave_is_not_asked_for_twice(bundled, cpu, monkeypatch) -> None:
    movie = random_movie(42_000_000, 1, kind="nuclei")
    y, x = innermost_point(movie.labels[0] == np.bincount(movie.labels[0].ravel())[1:].argmax() + 1)
    clicks = {1: (y, x), 2: (y + 2, x + 2)}
    asked, answer = [], answerer.answer
    monkeypatch.setattr(answerer, "answer", lambda *given: asked.append(1) or answer(*given))
    predictor, session = VideoPredictor(bundled, cpu), VideoSession.open(movie.images)
    for i, yx in clicks.items():
        session.add(PointPrompt(i, 0, yx))
    predictor.commit(session)
    done = len(asked)
    for i in clicks:
        predictor.predict_frame(session, object_id=i, frame=0)
    assert len(asked) == done


def test_what_a_mask_cannot_leave_ends_half_way_to_it(bundled, cpu) -> None:
    movie = random_movie(42_000_000, 1, kind="nuclei")
    truth = movie.labels[0] == np.bincount(movie.labels[0].ravel())[1:].argmax() + 1
    y, x = innermost_point(truth)
    clicks, masks = {1: (y, x - 4), 2: (y, x + 4)}, {}
    predictor, session = VideoPredictor(bundled, cpu), VideoSession.open(movie.images)
    for i, yx in clicks.items():
        session.add(PointPrompt(i, 0, yx))
    predictor.commit(session)
    for i in clicks:
        record = session.masklets.record(i, 0)
        assert record.visible
        assert not taken_in(record, clicks_on_others(session, i, 0))
        masks[i] = record.mask(truth.shape)
    columns = {i: np.nonzero(mask)[1] for i, mask in masks.items()}
    assert np.mean(columns[1] <= x + 1) > 0.95
    assert np.mean(columns[2] >= x - 1) > 0.95


def test_only_what_is_nearer_to_another_click_is_taken(bundled, cpu) -> None:
    movie = random_movie(42_000_000, 1, kind="nuclei")
    y, x = innermost_point(movie.labels[0] == np.bincount(movie.labels[0].ravel())[1:].argmax() + 1)
    session = VideoSession.open(movie.images)
    VideoPredictor(bundled, cpu).predict_frame(session, PointPrompt(1, 0, (y, x)))
    answered = session.objects[1].answers[0]
    assert parted(answered, ()) is answered
    before, other = record_of_answer(answered), (y, x + 6)
    after = record_of_answer(parted(answered, (other,)))
    shape = movie.images.shape[1:]
    taken = before.mask(shape) & ~after.mask(shape)
    rows, columns = np.indices(shape)
    nearer = np.hypot(rows - y, columns - x - 6) - np.hypot(rows - y, columns - x)
    assert not (after.mask(shape) & ~before.mask(shape)).any()
    assert taken.any()
    assert nearer[taken].max() < 2
    assert nearer[after.mask(shape)].min() > -2
