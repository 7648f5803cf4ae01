"""The rivals do what they say on shapes where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from napari_sam2.evaluation.clicks import box_of
from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.methods import StillPrompts
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.optical_flow import has_optical_flow
from napari_sam2.evaluation.rivals import (
    CopyMask,
    EllipseInBox,
    FlowWarp,
    LinkedWatershed,
    WatershedUnderClick,
)
from napari_sam2.evaluation.tasks import MaskletTask, pick_masklets, whole_movie
from napari_sam2.evaluation.watershed import Watershed, foreground, watershed_objects


def touching_disks(dim=1.0):
    labels = np.zeros((80, 100), dtype=np.int32)
    labels[disk((40, 34), 16)] = 1
    labels[disk((40, 64), 16)] = 2
    image = np.random.default_rng(0).normal(10, 1, labels.shape)
    return image + 100 * (labels == 1) + 100 * dim * (labels == 2), labels


@pytest.mark.parametrize("threshold", ["global", "local"])
def test_watershed_parts_touching_disks(threshold):
    image, truth = touching_disks()
    labels = watershed_objects(image, threshold)
    assert labels.max() == 2
    for value, (y, x) in ((1, (40, 30)), (2, (40, 68))):
        assert iou(labels == labels[y, x], truth == value) > 0.85


def test_only_the_local_threshold_sees_a_dim_disk_beside_a_bright_one():
    image, truth = touching_disks(dim=0.25)
    dim = truth == 2
    assert foreground(image, "local")[dim].mean() > 0.8
    assert foreground(image, "global")[dim].mean() < 0.2


def test_dark_cells_on_bright_ground_and_colours_work_too():
    image, truth = touching_disks()
    inverted = np.repeat((255 - image)[..., None], 3, axis=2)
    assert iou(foreground(inverted), truth > 0) > 0.9


def test_constant_frame_has_no_objects():
    assert watershed_objects(np.full((20, 20), 7)).max() == 0


def test_click_and_box_choose_the_object(moving_disks):
    movie = moving_disks(frames=1)
    truth = movie.mask(2, 0)
    rival = WatershedUnderClick(Watershed())
    clicked = rival.answer(movie, 0, StillPrompts((((60.0, 40.0), True),)))
    boxed = rival.answer(movie, 0, StillPrompts(box=box_of(truth)))
    assert iou(clicked.mask(truth.shape), truth) > 0.9
    assert clicked == boxed
    assert not rival.answer(movie, 0, StillPrompts((((2.0, 2.0), True),))).visible


def test_ellipse_fills_the_box_of_a_disk(moving_disks):
    movie = moving_disks(frames=1)
    truth = movie.mask(1, 0)
    answer = EllipseInBox().answer(movie, 0, StillPrompts(box=box_of(truth)))
    assert iou(answer.mask(truth.shape), truth) > 0.9


def follow(moving_disks, rival, speed):
    movie = moving_disks(frames=7, speed=speed)
    (task,) = pick_masklets(movie, count=3, length=6, seed=0)
    results = dict(rival.track(task))
    assert list(results) == [0, 1, 2, 3, 4, 5, 6]
    shape = movie.frame_shape
    return {i: iou(results[6][i].mask(shape), movie.mask(i, 6)) for i in task.object_ids}


def test_copied_masks_stay_behind(moving_disks):
    scores = follow(moving_disks, CopyMask(), speed=2.0)
    assert scores[1] < 0.3
    assert scores[2] == scores[5] == 1.0


def test_linked_watershed_follows_overlap(moving_disks):
    assert min(follow(moving_disks, LinkedWatershed(Watershed()), speed=3.0).values()) > 0.85


def test_linked_watershed_waits_where_the_object_was_last_seen(moving_disks):
    movie = moving_disks(frames=4, speed=0.0)
    images = movie.images.copy()
    images[1][movie.mask(1, 1)] = 20
    blinking = AnnotatedMovie("blinking", images, movie.labels, movie.annotated)
    (task,) = pick_masklets(blinking, count=3, length=3, seed=0)
    results = dict(LinkedWatershed(Watershed()).track(task))
    assert not results[1][1].visible
    assert iou(results[2][1].mask(movie.frame_shape), movie.mask(1, 2)) > 0.85


def test_two_objects_never_share_a_label():
    labels = np.zeros((1, 40, 60), dtype=np.uint16)
    labels[0][10:30, 10:30], labels[0][10:30, 30:50] = 1, 2
    image = np.where(labels > 0, 100, 0).astype(np.uint8)
    movie = AnnotatedMovie("joined", np.repeat(image, 2, 0), np.repeat(labels, 2, 0), (0, 1))
    (task,) = pick_masklets(movie, count=2, length=1, seed=0)
    masks = dict(LinkedWatershed(Watershed()).track(task))[1]
    shape = movie.frame_shape
    assert not (masks[1].mask(shape) & masks[2].mask(shape)).any()


@pytest.mark.skipif(not has_optical_flow(), reason="OpenCV is not installed (optional rival)")
def test_flow_warps_the_mask_with_the_object(moving_disks):
    scores = follow(moving_disks, FlowWarp(), speed=2.0)
    assert min(scores.values()) > 0.75


RIVALS = [CopyMask(), LinkedWatershed(Watershed("local")), FlowWarp()]


@pytest.mark.skipif(not has_optical_flow(), reason="OpenCV is not installed (optional rival)")
@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_newcomers_begin_when_they_appear_and_mothers_end(dividing_disk, rival):
    movie = dividing_disk()
    results = dict(rival.track(whole_movie(movie)))
    assert sorted(results[3]) == [1, 4]
    assert sorted(results[4]) == sorted(results[8]) == [2, 3, 4]
    shape = movie.frame_shape
    assert iou(results[4][2].mask(shape), movie.mask(2, 4)) > 0.8
    assert iou(results[8][4].mask(shape), movie.mask(4, 8)) > 0.8


@pytest.mark.parametrize("prompt", ["box", "1 click", "3 clicks", "mask"])
def test_rivals_begin_with_what_the_prompt_says(moving_disks, prompt):
    movie = moving_disks(frames=3)
    task = MaskletTask(movie, {2: 0}, 2, (1, 2), "test", prompt)
    first = dict(CopyMask().track(task))[0][2].mask(movie.frame_shape)
    agreement = iou(first, movie.mask(2, 0))
    assert agreement > 0.85
    assert (agreement == 1.0) == (prompt == "mask")
