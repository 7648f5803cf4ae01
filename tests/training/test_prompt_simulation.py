"""Simulated prompts: where clicks and boxes land, and what they are labelled."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.training.blobs import random_blobs
from napari_sam2.training.prompt_simulation import (
    bounding_boxes,
    boxed,
    corrective_click,
    depth_inside,
    first_box,
    first_click,
    sample_inside,
    torch_generator,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rectangle(y0: int, x0: int, y1: int, x1: int) -> torch.Tensor:
    """Return a (1, 64, 96) mask with the given rows and columns, last ones left out."""
    mask = torch.zeros(1, 64, 96, dtype=torch.bool)
    mask[:, y0:y1, x0:x1] = True
    return mask


MASKS = torch.cat([rectangle(4, 10, 9, 80), rectangle(30, 90, 64, 96), rectangle(1, 1, 2, 2)])


def is_inside(masks: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    x, y = points.long().unbind(1)
    return masks[torch.arange(len(masks)), y, x]


@pytest.mark.parametrize("central", [0.0, 1.0])
def test_sampled_points_are_inside(central: float) -> None:
    for seed in range(20):
        points = sample_inside(MASKS, generator(seed), central=central)
        assert is_inside(MASKS, points).all()


def test_an_empty_region_gives_the_centre() -> None:
    empty = torch.zeros(1, 64, 96, dtype=torch.bool)
    assert sample_inside(empty, generator()).tolist() == [[47.5, 31.5]]


def test_depth_grows_inwards_and_is_zero_outside() -> None:
    region = rectangle(20, 20, 40, 40)
    depth = depth_inside(region)[0]
    assert depth[19, 30] == 0
    assert depth[20, 30] < depth[25, 30] < depth[29, 30]


def test_central_clicks_stay_away_from_the_border() -> None:
    region = rectangle(20, 20, 40, 40)
    points = torch.cat([sample_inside(region, generator(s), central=1.0) for s in range(20)])
    assert (points >= 26).all()
    assert (points <= 33).all()


def test_uniform_clicks_spread_over_the_mask() -> None:
    region = rectangle(20, 20, 40, 40)
    points = torch.cat([sample_inside(region, generator(s), central=0.0) for s in range(50)])
    assert points.std(0).min() > 4


def test_first_click_is_one_positive_point() -> None:
    rows = first_click(MASKS, generator())
    assert rows.points.shape == (3, 1, 2)
    assert rows.labels.tolist() == [[1], [1], [1]]


def test_boxes_include_the_last_pixels() -> None:
    assert bounding_boxes(MASKS).tolist() == [[10, 4, 79, 8], [90, 30, 95, 63], [1, 1, 1, 1]]


def test_a_box_without_jitter_is_the_bounding_box() -> None:
    rows = first_box(MASKS, generator(), jitter=0.0)
    assert rows.points.reshape(3, 4).tolist() == bounding_boxes(MASKS).tolist()
    assert rows.labels.tolist() == [[2, 3]] * 3


def test_a_jittered_box_moves_a_little_and_stays_in_the_frame() -> None:
    exact = bounding_boxes(MASKS)
    side = (exact[:, 2:] - exact[:, :2] + 1).repeat(1, 2)
    for seed in range(20):
        boxes = first_box(MASKS, generator(seed), jitter=0.2).points.reshape(3, 4)
        assert ((boxes - exact).abs() <= side * 0.2 + 1e-4).all()
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([95, 63, 95, 63])).all()


@pytest.mark.parametrize(
    ("predicted", "label", "area"),
    [
        (rectangle(20, 20, 40, 25), 1, rectangle(20, 25, 40, 40)),
        (rectangle(20, 20, 40, 70), 0, rectangle(20, 40, 40, 70)),
    ],
)
def test_corrective_clicks_hit_the_error(
    predicted: torch.Tensor, label: int, area: torch.Tensor
) -> None:
    truth = rectangle(20, 20, 40, 40)
    for seed in range(10):
        click = corrective_click(truth, predicted, generator(seed), from_truth=0.0)
        assert click.labels.tolist() == [[label]]
        assert is_inside(area, click.points[:, 0]).all()


def test_a_perfect_answer_is_confirmed_inside() -> None:
    truth = rectangle(20, 20, 40, 40)
    click = corrective_click(truth, truth, generator())
    assert click.labels.tolist() == [[1]]
    assert is_inside(truth, click.points[:, 0]).all()


def test_nothing_to_click_is_no_point() -> None:
    empty = torch.zeros(1, 64, 96, dtype=torch.bool)
    assert corrective_click(empty, empty, generator()).labels.tolist() == [[-1]]


def test_a_mask_of_something_absent_is_clicked_away() -> None:
    empty, extra = torch.zeros(1, 64, 96, dtype=torch.bool), rectangle(20, 20, 40, 40)
    click = corrective_click(empty, extra, generator(), from_truth=1.0)
    assert click.labels.tolist() == [[0]]
    assert is_inside(extra, click.points[:, 0]).all()


def test_blobs_are_never_empty_and_differ() -> None:
    import numpy as np

    blobs = random_blobs(np.random.default_rng(0), 30, (64, 96))
    areas = blobs.flatten(1).sum(1)
    assert blobs.shape == (30, 64, 96)
    assert areas.min() > 50
    assert len(areas.unique()) > 20


def test_the_same_draw_makes_the_same_generator() -> None:
    import numpy as np

    first, second = (torch_generator(np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(torch.rand(4, generator=first), torch.rand(4, generator=second))


def test_a_click_is_asked_again_with_the_box_and_the_centre_of_its_answer() -> None:
    clicks = first_click(MASKS, generator())
    found = torch.cat([MASKS[:2], torch.zeros_like(MASKS[:1])])
    again = boxed(clicks, found)
    assert again.labels.tolist() == [[2, 3, 1, 1]] * 3
    assert again.points[0, :2].tolist() == [[10, 4], [79, 8]]
    assert again.points[1, :2].tolist() == [[90, 30], [95, 63]]
    assert torch.equal(again.points[:, 2:3], clicks.points)
    assert is_inside(found[:2], again.points[:2, 3]).all()
    depth = depth_inside(found[:2]).flatten(1)
    x, y = again.points[:2, 3].long().unbind(1)
    assert torch.equal(depth[torch.arange(2), 96 * y + x], depth.amax(1)), "the innermost pixel"
    # Nothing was found: its own click twice, anywhere in the frame.
    assert torch.equal(again.points[2, 3], clicks.points[2, 0])
    assert again.points[2, :2].tolist() == [[0, 0], [95, 63]]
