"""Who clicks two cells on a frame says that they are two."""

import numpy as np
import pytest

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.evaluation.metrics import iou
from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.others_clicks import clicks_on_others, leaving
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
    record = MaskRecord.from_mask(mask)
    assert clicks_on_others(session, 1, 0, record) == ((14.4, 19.4),)
    assert clicks_on_others(session, 1, 0, MaskRecord.from_mask(mask & False)) == ()


def test_an_object_leaves_what_others_are_and_its_own_clicks_stay_the_last() -> None:
    geometry = Geometry.of([PointPrompt(1, 0, (7, 12), candidate=2)])
    asked = leaving(geometry, ((1.0, 2.0), (3.0, 4.0)))
    assert asked.points.tolist() == [[1, 2], [3, 4], [7, 12]]
    assert asked.labels.tolist() == [0, 0, 1]
    assert asked.candidate is None


def crowd(cells: int = 10):
    """Return bodies of phase contrast that lie side by side: images, masks, a click on each."""
    movie = random_movie(42_000_000, 2, kind="phase")
    areas = np.bincount(movie.labels[0].ravel())
    clicks = {
        int(i): innermost_point(movie.labels[0] == i) for i in np.flatnonzero(areas >= 50)[1:]
    }
    points = np.array(list(clicks.values()))
    apart = np.hypot(*(points[:, None] - points).transpose(2, 0, 1))
    middle = points[(apart < 40).sum(axis=1).argmax()]
    chosen = sorted(clicks, key=lambda i: np.hypot(*(clicks[i] - middle)))[:cells]
    return movie.images, {i: movie.labels[0] == i for i in chosen}, {i: clicks[i] for i in chosen}


def test_cells_that_are_all_clicked_are_told_apart(bundled, cpu) -> None:
    images, masks, clicks = crowd()
    predictor, shape = VideoPredictor(bundled, cpu), images.shape[1:]
    together, alone = VideoSession.open(images), {}
    for i, yx in clicks.items():
        click = PointPrompt(i, 0, yx)
        alone[i] = predictor.predict_frame(VideoSession.open(images), click).objects[0].record
        predictor.predict_frame(together, click)
    predictor.commit(together)
    records = {i: together.masklets.record(i, 0) for i in clicks}
    both = [i for i in clicks if clicks_on_others(together, i, 0, alone[i])]
    assert len(both) >= 5, "one click is answered with two cells or more"
    assert sum(bool(clicks_on_others(together, i, 0, records[i])) for i in clicks) <= 1
    before = np.mean([iou(alone[i].mask(shape), masks[i]) for i in both])
    after = np.mean([iou(records[i].mask(shape), masks[i]) for i in both])
    assert after > before + 0.1


def test_where_masks_may_overlap_nothing_is_left_to_others(bundled, cpu) -> None:
    movie = random_movie(42_000_000, 1, kind="nuclei")
    y, x = innermost_point(movie.labels[0] == np.bincount(movie.labels[0].ravel())[1:].argmax() + 1)
    inside = {}
    for overlap in ("best", "keep"):
        predictor = VideoPredictor(bundled, cpu, PredictorOptions(overlap=overlap))
        session = VideoSession.open(movie.images)
        session.add(PointPrompt(1, 0, (y, x)))
        session.add(PointPrompt(2, 0, (y + 2, x + 2)))
        record = predictor.predict_frame(session, object_id=1, frame=0).objects[0].record
        inside[overlap] = len(clicks_on_others(session, 1, 0, record))
    assert inside == {"best": 0, "keep": 1}
