"""What is on the screen: a movie that was seen as a whole, and objects that are gone to."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import MaskPrompt


def camera(viewer):
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def test_a_movie_that_was_seen_as_a_whole_still_is_beside_the_dock(open_dock, qtbot, screenshot):
    viewer, _ = open_dock(np.zeros((3, 200, 400), np.uint16), seen=True)
    image = viewer.layers[0]
    qtbot.waitUntil(lambda: image.corner_pixels[1, 2] == 399, timeout=10_000)
    assert image.corner_pixels[0, 2] == 0
    screenshot(viewer, "whole-beside-the-dock")


def test_going_to_an_object_off_the_screen_moves_the_camera(open_dock, qtbot):
    images = np.zeros((3, 200, 200), np.uint16)
    viewer, widget = open_dock(images, scale=(1, 0.5, 0.5))
    controller = widget.controller
    masks = np.zeros((200, 200), bool)
    for object_id, corner in ((1, 10), (2, 160)):
        mask = masks.copy()
        mask[corner : corner + 20, corner : corner + 20] = True
        controller.layers.masklets.write(object_id, 1, MaskRecord.from_mask(mask))
        controller._movie.document.prompts.add(MaskPrompt(object_id, 1, mask))
    camera(viewer).zoom *= 4
    camera(viewer).center = (0, 10, 10)
    qtbot.wait(100)
    controller.objects.select(1)
    controller.review.go_to(1)
    assert camera(viewer).center[-2:] == pytest.approx((10, 10)), "it is on the screen"
    controller.objects.select(2)
    controller.review.go_to(1)
    assert camera(viewer).center[-2:] == pytest.approx((169.5 / 2, 169.5 / 2), abs=0.01)
