"""The camera spoils pictures, and leaves the labels on what they belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.training.synthetic.camera import (
    Camera,
    Course,
    film,
    random_camera,
    random_course,
    steady_course,
)
from napari_sam2.training.synthetic.scene import Scene

CLEAR = Camera(photons=1e6, read_noise=0.0, unevenness=0.0)


def _discs(frames: int, shape: tuple[int, int]) -> Scene:
    """Three still discs on a dark ground."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros((frames, *shape), np.uint16)
    for number, (cy, cx, radius) in enumerate([(30, 30, 12), (60, 75, 17), (85, 35, 9)], 1):
        labels[:, (y - cy) ** 2 + (x - cx) ** 2 < radius**2] = number
    signal = ndimage.gaussian_filter((labels > 0).astype(np.float32), (0, 0.7, 0.7))
    return Scene(signal + np.float32(0.1), labels)


def _rng() -> np.random.Generator:
    return np.random.default_rng(4)


def test_labels_follow_a_stage_that_moves() -> None:
    path = np.array([[0, 0], [3, 1], [7, 2], [5, 9], [12, 4]])
    course = Course(path, np.zeros(5), np.ones(5))
    camera = replace(CLEAR, photons=200.0, read_noise=0.03)
    images, labels = film(_discs(5, (120, 112)), camera, course, _rng())
    assert images.shape == labels.shape == (5, 108, 103)
    for image, label in zip(images.astype(float), labels, strict=True):
        fits = {
            (dy, dx): np.corrcoef(np.roll(label > 0, (dy, dx), (0, 1)).ravel(), image.ravel())[0, 1]
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        }
        assert max(fits, key=fits.__getitem__) == (0, 0)
    moved = ndimage.center_of_mass(labels[4] == 2)
    still = ndimage.center_of_mass(labels[0] == 2)
    np.testing.assert_allclose(np.subtract(moved, still), path[4])


def test_edges_of_labels_are_edges_of_the_picture() -> None:
    course = random_course(np.random.default_rng(1), 6, "fluorescence")
    scene = _discs(6, (110 + course.margin[0], 110 + course.margin[1]))
    images, labels = film(scene, CLEAR, replace(course, faults={}, blur=np.zeros(6)), _rng())
    assert course.margin > (0, 0)
    for image, label in zip(images.astype(float), labels, strict=True):
        steep = ndimage.gaussian_gradient_magnitude(image, 0.7)
        edge = (label > 0) ^ ndimage.binary_erosion(label > 0, border_value=1)
        assert steep[edge].mean() > 5 * steep.mean()


def test_missed_frames_show_nothing_and_have_no_labels() -> None:
    course = replace(steady_course(5), faults={1: "dark", 2: "bright", 4: "repeated"})
    images, labels = film(_discs(5, (100, 100)), CLEAR, course, _rng())
    assert not labels[1].any()
    assert not labels[2].any()
    assert np.ptp(images[1]) < 0.15 * np.ptp(images[0])
    assert images[1].mean() < images[0].mean() < images[2].mean()
    np.testing.assert_array_equal(images[4], images[3])
    np.testing.assert_array_equal(labels[4], labels[3])
    assert labels[3].any()


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_numbers_fit_the_depth_and_use_the_part_that_is_asked_for(bits: int) -> None:
    scene = _discs(3, (100, 100))
    images, _ = film(scene, replace(CLEAR, used=(0.3, 0.5)), steady_course(3), _rng(), bits)
    assert images.dtype == (np.uint8 if bits == 8 else np.uint16)
    top = 2**bits - 1
    assert images.min() >= np.floor(0.3 * top) - 1
    assert images.max() <= np.ceil(0.5 * top)
    assert np.ptp(images) > 0.15 * top


@pytest.mark.parametrize("bits", [1, 7, 17])
def test_impossible_depth_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"bits is {bits}"):
        film(_discs(1, (100, 100)), CLEAR, steady_course(1), _rng(), bits)


def test_bleaching_dims_and_a_loss_of_focus_blurs_its_frame_only() -> None:
    scene = _discs(4, (100, 100))
    course = replace(steady_course(4), blur=np.array([0.0, 0.0, 3.0, 0.0]))
    images, _ = film(scene, replace(CLEAR, bleaching=0.2), course, _rng(), 16)
    bright = [float(np.percentile(image, 97)) for image in images]
    assert bright[0] > bright[1] > bright[3]
    steepness = [
        ndimage.gaussian_gradient_magnitude(image.astype(float), 0.5).max() / level
        for image, level in zip(images, bright, strict=True)
    ]
    assert steepness[2] < 0.5 * min(steepness[1], steepness[3])


def test_more_light_means_less_noise() -> None:
    scene = Scene(np.full((1, 64, 64), 0.5, np.float32), np.zeros((1, 64, 64), np.uint16))
    scene.signal[0, :32] = 1.0
    spread = []
    for photons in (15.0, 100.0, 1000.0):
        camera = replace(CLEAR, photons=photons)
        images, _ = film(scene, camera, steady_course(1), _rng(), 16)
        bright, dark = images[0, :32].astype(float), images[0, 32:].astype(float)
        spread.append(bright.std() / (bright.mean() - dark.mean()))
    assert spread[0] > spread[1] > spread[2]


def test_saturation_cuts_the_brightest_pixels() -> None:
    scene = Scene(
        np.linspace(0, 1, 90 * 90, dtype=np.float32).reshape(1, 90, 90),
        np.zeros((1, 90, 90), np.uint16),
    )
    images, _ = film(
        scene, replace(CLEAR, saturated=0.1, used=(0.0, 1.0)), steady_course(1), _rng()
    )
    assert (images == 255).mean() == pytest.approx(0.1, abs=0.03)


def test_hot_pixels_and_dust_stay_while_the_stage_moves() -> None:
    flat = np.full((3, 80, 80), 0.4, np.float32)
    scene = Scene(flat, np.zeros(flat.shape, np.uint16))
    course = replace(steady_course(3), path=np.array([[0, 0], [5, 8], [9, 3]]))
    images, _ = film(scene, replace(CLEAR, hot_pixels=20, dust=5), course, _rng(), 12)
    for image in images[1:]:
        assert np.corrcoef(images[0].ravel(), image.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("light", ["fluorescence", "transmitted", "electrons"])
def test_drawn_cameras_and_courses_are_possible(light: str) -> None:
    kinds_of_fault = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        camera, course = random_camera(rng, light), random_course(rng, 12, light)
        assert 0 <= camera.used[0] < camera.used[1] <= 1
        assert course.path.min() == 0
        assert max(course.margin) < 120
        assert all(0 < frame < 12 for frame in course.faults)
        kinds_of_fault |= set(course.faults.values())
        assert light == "fluorescence" or camera.bleaching == 0
    assert {"dark", "repeated"} <= kinds_of_fault
