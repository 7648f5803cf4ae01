"""The view: half-pixel conventions, round trips, borders, and what it costs."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_sam2.model.config import IMAGE_MEAN, IMAGE_STD
from napari_sam2.predictor.intensity import IntensityMapping
from napari_sam2.predictor.transforms import View

VIEWS = {
    "whole, equal size": View.whole((256, 256), (256, 256)),
    "whole, shrunk, not square": View.whole((700, 1100), (256, 256)),
    "whole, enlarged": View.whole((97, 133), (256, 256)),
    "window, equal size": View.square((300, 400), 256, (700, 1100), (256, 256)),
    "window, shrunk": View.square((300, 400), 411, (700, 1100), (256, 256)),
    "window, enlarged, input not square": View.square((300, 400), 101, (700, 1100), (256, 320)),
    "over the border": View(-60, 900, 300, 300, (256, 256), (700, 1100)),
    "larger than the frame": View.square((50, 50), 256, (100, 120), (256, 256)),
}


@pytest.fixture(params=VIEWS.values(), ids=VIEWS.keys())
def view(request):
    return request.param


def denormalise(image):
    std = torch.tensor(IMAGE_STD).view(3, 1, 1)
    return (image * std + torch.tensor(IMAGE_MEAN).view(3, 1, 1))[0].permute(1, 2, 0).numpy()


def disc(shape, center, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


def test_points_come_back(view):
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.5, 1, (200, 2)) * view.frame_shape
    back = view.to_frame_yx(view.to_input_xy(points).numpy())
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_corners_of_the_view_are_the_corners_of_the_input(view):
    y0, x0, y1, x1 = view.corners
    h, w = view.input_size
    # Frame edges lie half a pixel before the centre of the pixel.
    xy = view.to_input_xy([(y0 - 0.5, x0 - 0.5), (y1 - 0.5, x1 - 0.5)])
    np.testing.assert_allclose(xy, [(-0.5, -0.5), (w - 0.5, h - 0.5)], atol=1e-4)


def test_a_mirrored_view_shows_the_same_window_turned_round(view):
    rng = np.random.default_rng(5)
    frame = rng.random((*view.frame_shape, 3), np.float32)
    mask = disc(view.frame_shape, (view.y0 + view.height / 3, view.x0 + view.width / 4), 30)
    logits = torch.from_numpy(rng.normal(size=(2, 1, 64, 64)).astype(np.float32))
    points = rng.uniform(0, 1, (9, 2)) * view.frame_shape
    mirror = view.mirrored
    assert mirror != view
    assert mirror.mirrored == view
    assert torch.equal(mirror.crop(frame), view.crop(frame).flip(-1))
    assert torch.equal(mirror.mask_to_input(mask), view.mask_to_input(mask).flip(-1))
    turned = view.to_input_xy(points)
    turned[:, 0] = view.input_size[1] - 1 - turned[:, 0]
    torch.testing.assert_close(mirror.to_input_xy(points), turned)
    np.testing.assert_allclose(mirror.to_frame_yx(turned.numpy()), points, atol=1e-3)
    origin, whole = view.logits_to_frame(logits)
    assert mirror.logits_to_frame(logits.flip(-1))[0] == origin
    assert torch.equal(mirror.logits_to_frame(logits.flip(-1))[1], whole)
    pairs = zip(
        mirror.object_logits_to_frame(logits.flip(-1)),
        view.object_logits_to_frame(logits),
        strict=True,
    )
    assert all(one[0] == two[0] and torch.equal(one[1], two[1]) for one, two in pairs)


def test_order_of_x_and_y():
    view = View(10, 20, 64, 64, (128, 128), (200, 300))
    np.testing.assert_allclose(view.to_input_xy([(12, 29)]), [(18.5, 4.5)])


def test_a_ramp_is_seen_where_the_points_say(view):
    """Pixel values that equal their own coordinates tie picture and points together."""
    H, W = view.frame_shape
    y, x = np.mgrid[:H, :W].astype(np.float32)
    frame = np.stack([y / H, x / W, np.zeros_like(y)], axis=-1)
    seen = denormalise(view.crop(frame))
    h, w = view.input_size
    # Away from the border, where smoothing and continued pixels bend the ramp.
    xy = np.array([(w * a, h * b) for a in (0.4, 0.5, 0.6) for b in (0.45, 0.55)]).round()
    expected = view.to_frame_yx(xy) / (H, W)
    values = seen[xy[:, 1].astype(int), xy[:, 0].astype(int), :2]
    yx = view.to_frame_yx(xy)
    inside = ((yx > 2) & (yx < np.array((H, W)) - 3)).all(axis=1)
    assert inside.any()
    np.testing.assert_allclose(values[inside], expected[inside], atol=2e-3)


def test_logits_on_a_ramp_land_where_the_points_say(view):
    h, w = view.input_size[0] // 4, view.input_size[1] // 4
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    (oy, ox), crops = view.logits_to_frame(torch.stack([y, x]).float()[:, None])
    inside = (crops[0] > 1) & (crops[0] < h - 2) & (crops[1] > 1) & (crops[1] < w - 2)
    rows, cols = inside.nonzero().T
    assert len(rows) > 100
    xy = view.to_input_xy(np.stack([rows + oy, cols + ox], axis=1))
    # A low-resolution cell is 4 input pixels: its centre is at 4 i + 1.5.
    torch.testing.assert_close(crops[1][rows, cols], (xy[:, 0] - 1.5) / 4, atol=1e-3, rtol=0)
    torch.testing.assert_close(crops[0][rows, cols], (xy[:, 1] - 1.5) / 4, atol=1e-3, rtol=0)


def test_logits_are_clipped_to_the_frame(view):
    (oy, ox), crops = view.logits_to_frame(torch.randn(3, 1, 64, 64))
    H, W = view.frame_shape
    assert (oy, ox, oy + crops.shape[1], ox + crops.shape[2]) == view.clipped
    assert 0 <= oy <= oy + crops.shape[1] <= H
    assert 0 <= ox <= ox + crops.shape[2] <= W


def test_logits_are_interpolated_as_torch_does_it(view):
    logits = torch.randn(2, 1, 64, 80)
    (oy, ox), crops = view.logits_to_frame(logits)
    size = (view.height, view.width)
    full = F.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0]
    top, left = oy - view.y0, ox - view.x0
    expected = full[:, top : top + crops.shape[1], left : left + crops.shape[2]]
    torch.testing.assert_close(crops, expected, atol=1e-4, rtol=1e-4)


def test_logits_of_each_object_are_the_same_on_a_smaller_crop(view):
    logits = torch.full((4, 1, 64, 64), -3.0)
    logits[0, 0, 30:34, 40:47] = 2.0
    logits[1, 0, 0, 0] = 5.0
    logits[2, 0, 63, 20:] = 1.0
    (oy, ox), crops = view.logits_to_frame(logits)
    single = view.object_logits_to_frame(logits)
    for full, ((y, x), small) in zip(crops, single, strict=True):
        mask = torch.zeros(full.shape, dtype=torch.bool)
        ys, xs = slice(y - oy, y - oy + small.shape[0]), slice(x - ox, x - ox + small.shape[1])
        mask[ys, xs] = small > 0
        assert torch.equal(mask, full > 0)
        torch.testing.assert_close(small, full[ys, xs])
    assert single[0][1].numel() < crops[0].numel() / 4
    assert single[3][1].numel() == 0


@pytest.mark.parametrize("radius", [14, 40])
def test_masks_come_back(view, radius):
    y0, x0, y1, x1 = view.clipped
    mask = disc(view.frame_shape, ((y0 + y1) / 2, (x0 + x1) / 2), radius)
    seen = view.mask_to_input(mask)
    assert seen.shape == (1, 1, *view.input_size)
    assert set(seen.unique().tolist()) <= {0.0, 1.0}
    (oy, ox), crop = view.logits_to_frame(seen * 20 - 10)
    back = np.zeros(view.frame_shape, bool)
    back[oy : oy + crop.shape[1], ox : ox + crop.shape[2]] = crop[0].numpy() > 0
    window = np.zeros_like(mask)
    window[y0:y1, x0:x1] = True
    truth = mask & window
    iou = (back & truth).sum() / (back | truth).sum()
    # Shrinking 4 times blurs a disc of radius 14 by about half a pixel of 3.3.
    assert iou > (0.995 if view.scale[0] >= 1 else 0.96 if radius > 20 else 0.9)


def test_mask_of_equal_size_comes_back_exactly():
    view = VIEWS["window, equal size"]
    mask = disc(view.frame_shape, (310, 390), 30)
    (oy, ox), crop = view.logits_to_frame(view.mask_to_input(mask) * 20 - 10)
    np.testing.assert_array_equal(crop[0] > 0, mask[oy : oy + 256, ox : ox + 256])


def test_a_single_pixel_survives_shrinking():
    view = View.whole((1024, 1024), (64, 64))
    mask = np.zeros((1024, 1024), bool)
    assert view.mask_to_input(mask).sum() == 0
    mask[500, 700] = True
    seen = view.mask_to_input(mask)[0, 0]
    assert 1 <= seen.sum() <= 4
    assert seen[31, 43] == 1


def test_window_is_cut_out_unchanged():
    view = VIEWS["window, equal size"]
    frame = np.random.default_rng(0).random((*view.frame_shape, 3), np.float32)
    y0, x0, y1, x1 = view.corners
    np.testing.assert_allclose(denormalise(view.crop(frame)), frame[y0:y1, x0:x1], atol=1e-6)


def test_mapping_of_the_window_is_the_window_of_the_mapping(view):
    raw = np.random.default_rng(0).integers(0, 4000, view.frame_shape, np.uint16)
    mapping = IntensityMapping((100.0,), (3000.0,))
    torch.testing.assert_close(view.crop(raw, mapping), view.crop(mapping.apply(raw).copy()))


def test_outside_continues_the_border():
    view = View(-4, -4, 8, 8, (8, 8), (6, 6))
    frame = np.zeros((6, 6, 3), np.float32)
    frame[0, 0] = 0.25
    frame[0, 3] = 0.75
    seen = denormalise(view.crop(frame))[..., 0]
    np.testing.assert_allclose(seen[:5, :5], 0.25, atol=1e-6)
    np.testing.assert_allclose(seen[:5, 7], 0.75, atol=1e-6)


def test_a_view_beside_the_frame_sees_its_nearest_pixels():
    view = View(-30, 10, 8, 8, (8, 8), (20, 20))
    frame = np.zeros((20, 20, 3), np.float32)
    frame[0] = 1.0
    np.testing.assert_allclose(denormalise(view.crop(frame)), 1.0, atol=1e-6)
    origin, crop = view.logits_to_frame(torch.ones(2, 1, 4, 4))
    assert crop.shape[0] == 2
    assert crop.numel() == 0
    assert origin == (0, 10)


def test_shrinking_smooths():
    """A fine chequerboard becomes grey instead of aliasing into stripes."""
    frame = np.indices((512, 512)).sum(axis=0) % 2
    frame = np.repeat(frame[..., None], 3, axis=2).astype(np.float32)
    seen = denormalise(View.whole((512, 512), (128, 128)).crop(frame))
    np.testing.assert_allclose(seen[2:-2, 2:-2], 0.5, atol=0.02)


@pytest.mark.parametrize(
    ("center", "corners"),
    [
        ((300, 400), (172, 272, 428, 528)),
        ((0, 0), (0, 0, 256, 256)),
        ((699, 1099), (444, 844, 700, 1100)),
        ((-50, 400), (0, 272, 256, 528)),
    ],
)
def test_square_stays_in_a_large_frame(center, corners):
    assert View.square(center, 256, (700, 1100), (256, 256)).corners == corners


def test_square_is_centred_on_a_small_frame():
    view = View.square((10, 10), 256, (100, 120), (256, 256))
    assert view.corners == (-78, -68, 178, 188)
    assert view.clipped == (0, 0, 100, 120)
    assert not view.is_whole


def test_equal_views_are_equal_keys():
    a = View.square((300.2, 400.3), 256, (700, 1100), (256, 256))
    assert a == View.square((300.4, 400.1), 256, (700, 1100), (256, 256))
    assert len({a, View.square((300, 401), 256, (700, 1100), (256, 256))}) == 2


def test_contains_wants_margin_only_inside_the_frame():
    view = View(0, 100, 200, 200, (256, 256), (400, 600))
    assert view.contains((50, 150, 100, 200), margin=40)
    assert not view.contains((50, 110, 100, 200), margin=40)
    assert view.contains((0, 150, 40, 200), margin=40), "the frame ends there as well"
    assert not view.contains((120, 150, 180, 200), margin=40)
    assert not view.contains((50, 50, 100, 200))
    assert view.contains((0, 0, 0, 0), margin=40), "nothing is everywhere"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: View(0, 0, 0, 5, (8, 8), (10, 10)), "at least 1 pixel"),
        (lambda: View(0.5, 0, 5, 5, (8, 8), (10, 10)), "whole pixels"),
        (lambda: View.square((np.nan, 1), 8, (10, 10), (8, 8)), "finite centre"),
        (lambda: View.square((1, 1), 0, (10, 10), (8, 8)), "side of at least 1"),
        (lambda: View.whole((10, 10), (8, 8)).crop(np.zeros((9, 10, 3))), "not \\(9, 10\\)"),
        (lambda: View.whole((10, 10), (8, 8)).crop(np.zeros((10, 10))), "pass a mapping"),
        (lambda: View.whole((10, 10), (8, 8)).mask_to_input(np.zeros((9, 9))), "not \\(9, 9\\)"),
        (lambda: View.whole((9, 9), (8, 8)).logits_to_frame(torch.ones(1, 3, 4, 4)), "one mask"),
    ],
)
def test_errors_name_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_window_of_a_large_frame_is_cheap():
    """Only the window is converted: a 4k frame costs what a small one does."""
    frame = np.random.default_rng(0).integers(0, 60000, (4096, 4096), np.uint16)
    view = View.square((2000, 2000), 256, (4096, 4096), (256, 256))
    mapping = IntensityMapping((0.0,), (60000.0,))
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        view.crop(frame, mapping)
        seconds.append(time.perf_counter() - start)
    # 1 ms on two idle cores; the whole frame would take over 100 ms.
    assert min(seconds) < 0.02
