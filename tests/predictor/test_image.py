"""Prompts on one image."""

import numpy as np
import pytest

from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.options import PredictorOptions


@pytest.fixture
def predictor(small_model, cpu) -> ImagePredictor:
    return ImagePredictor(small_model, cpu, PredictorOptions(view="whole"))


@pytest.fixture
def image(movie) -> np.ndarray:
    return movie[0]


def test_three_masks_best_first(predictor, image) -> None:
    predictor.set_image(image)
    result = predictor.predict([(15, 25)])
    assert result.masks.shape == (3, *image.shape)
    assert result.masks.dtype == bool
    assert (np.diff(result.ious) <= 0).all()
    assert np.abs(result.logits).max() <= 32


def test_box_and_clicks_and_an_earlier_answer(predictor, image) -> None:
    predictor.set_image(image)
    first = predictor.predict(box_yxyx=(8, 18, 28, 40), multimask=False)
    assert first.masks.shape == (1, *image.shape)
    second = predictor.predict(
        [(15, 25), (40, 60)], [True, False], mask_logits=first.logits[0], multimask=False
    )
    plain = predictor.predict([(15, 25), (40, 60)], [True, False], multimask=False)
    assert not np.array_equal(second.logits, plain.logits)


def test_following_views_look_twice(small_model, cpu) -> None:
    image = np.random.default_rng(0).integers(0, 255, (300, 400)).astype(np.uint8)
    predictor = ImagePredictor(small_model, cpu, PredictorOptions(view="follow"))
    predictor.set_image(image)
    assert predictor.predict([(150, 200)]).masks.shape == (3, 300, 400)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({}, "no prompt"),
        ({"points_yx": [(500, 2)]}, "outside the frame"),
        ({"points_yx": [(5, 2)], "positive": [True, False]}, "1 points but 2 signs"),
    ],
)
def test_bad_prompts(predictor, image, prompts, message) -> None:
    predictor.set_image(image)
    with pytest.raises(ValueError, match=message):
        predictor.predict(**prompts)


def test_an_image_comes_first(predictor) -> None:
    with pytest.raises(RuntimeError, match="set_image"):
        predictor.predict([(1, 1)])
    with pytest.raises(ValueError, match="shape"):
        predictor.set_image(np.zeros((2, 3, 4, 5)))
