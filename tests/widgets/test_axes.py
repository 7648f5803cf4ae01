"""Every layout of axes that microscopists have, on a viewer model, with the network that ships."""

from __future__ import annotations

import shutil

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Labels, Tracks

from napari_sam2.widgets import label_planes
from napari_sam2.widgets.coordinates import show_frame, shown_frame
from napari_sam2.widgets.source import guess_axes

SIDE = 64


def frames(count: int = 4) -> np.ndarray:
    """A bright disc that moves, uint16 (count, Y, X)."""
    y, x = np.indices((SIDE, SIDE))
    images = np.random.default_rng(0).normal(200, 12, (count, SIDE, SIDE))
    for t in range(count):
        images[t] += 800 * ((y - 24 - 2 * t) ** 2 + (x - 30) ** 2 < 90)
    return images.clip(0).astype(np.uint16)


def truth(t: int) -> np.ndarray:
    y, x = np.indices((SIDE, SIDE))
    return (y - 24 - 2 * t) ** 2 + (x - 30) ** 2 < 90


def iou(mask: np.ndarray, wanted: np.ndarray) -> float:
    return (mask & wanted).sum() / (mask | wanted).sum()


def noise(images: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).normal(200, 12, images.shape).clip(0).astype(images.dtype)


def coloured(images: np.ndarray) -> np.ndarray:
    grey = (images.clip(0, 1100) / 1100 * 255).astype(np.uint8)
    return np.stack([grey, grey // 2, grey // 3], axis=-1)


MOVIE = frames()
LABELS = ("t", "z", "y", "x")
LAYOUTS = {
    "TYX": (MOVIE, {}),
    "ZYX": (MOVIE, {"axis_labels": ("z", "y", "x")}),
    "YX": (MOVIE[0], {}),
    "TCYX": (np.stack([MOVIE, noise(MOVIE)], axis=1), {}),
    "CTYX": (np.stack([MOVIE, noise(MOVIE)]), {"axis_labels": ("c", "t", "y", "x")}),
    "TYXC": (np.stack([MOVIE, noise(MOVIE)], axis=-1), {"axis_labels": ("t", "y", "x", "c")}),
    "RGB": (coloured(MOVIE), {"rgb": True}),
    "RGB stack": (coloured(MOVIE), {"rgb": True, "axis_labels": ("z", "y", "x")}),
    "RGB picture": (coloured(MOVIE)[0], {"rgb": True}),
    "XTY": (MOVIE.transpose(2, 0, 1), {"axis_labels": ("x", "t", "y")}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_click_and_a_run_give_the_cell_in_every_layout(
    name, make_controller, answered, drive, trained_network
):
    data, properties = LAYOUTS[name]
    viewer, controller = make_controller(data, network=trained_network, **properties)
    axes = controller.source.axes
    assert axes == {"RGB": "TYX", "RGB stack": "ZYX", "RGB picture": "YX"}.get(name, name)
    place = {"T": 0, "Z": 0, "C": 0, "Y": 24, "X": 30}
    click = [place[axis] for axis in axes]
    answered(controller, lambda: controller.layers.points.add(click))
    controller.propagate()
    drive(controller, lambda: controller.run_state == "idle")
    labels = controller.layers.canvas
    count = controller.num_frames
    assert count == (1 if axes == "YX" else 4)
    assert min(iou(labels._plane(t) == 1, truth(t)) for t in range(count)) > 0.7
    assert labels.layer.ndim == viewer.layers[0].ndim


@pytest.mark.parametrize(
    ("labels", "sizes", "axes"),
    [
        (("-3", "-2", "-1"), (10, 64, 64), "TYX"),
        (("-2", "-1"), (64, 64), "YX"),
        (("-4", "-3", "-2", "-1"), (10, 20, 64, 64), "TZYX"),
        (("-4", "-3", "-2", "-1"), (10, 2, 64, 64), "TCYX"),
        (("-4", "-3", "-2", "-1"), (3, 10, 64, 64), "CTYX"),
        (("-5", "-4", "-3", "-2", "-1"), (10, 20, 2, 64, 64), "TZCYX"),
        (("time", "Z", "channel", "y", "x"), (10, 20, 5, 64, 64), "TZCYX"),
        (("z", "-2", "-1"), (10, 64, 64), "ZYX"),
        (("c", "-3", "y", "x"), (9, 20, 64, 64), "CTYX"),
        (("y", "y", "x"), (9, 64, 64), "TYX"),
    ],
)
def test_axes_are_guessed_from_labels_and_shape(labels, sizes, axes):
    assert guess_axes(labels, sizes) == axes


class TestStacks:
    """Movies of stacks, (T, Z, Y, X)."""

    @pytest.fixture
    def stacks(self):
        z, y, x = np.indices((6, SIDE, SIDE))
        images = np.random.default_rng(0).normal(200, 12, (2, 6, SIDE, SIDE))
        for t in range(2):
            images[t] += 800 * ((4 * (z - 2)) ** 2 + (y - 24 - 2 * t) ** 2 + (x - 30) ** 2 < 90)
        return images.clip(0).astype(np.uint16)

    def test_one_id_through_time_and_depth(
        self, stacks, make_controller, answered, drive, trained_network
    ):
        viewer, controller = make_controller(
            stacks,
            network=trained_network,
            scale=(60, 2, 0.5, 0.5),
            units=("s", "um", "um", "um"),
            axis_labels=LABELS,
        )
        answered(controller, lambda: controller.layers.points.add((0, 2, 24, 30)))
        controller.propagate()
        drive(controller, lambda: controller.run_state == "idle")
        labels = controller.layers.canvas.layer
        assert labels.data.shape == stacks.shape
        for t in range(2):
            assert iou(labels.data[t, 2] == 1, truth(t)) > 0.7
            assert not labels.data[t, 5].any()
        tracks = next(layer for layer in viewer.layers if isinstance(layer, Tracks))
        assert tracks.data.shape == (2, 5)
        np.testing.assert_allclose(tracks.data[:, 1], (0, 1))
        np.testing.assert_allclose(tracks.data[:, 2:], ((2, 24, 30), (2, 26, 30)), atol=1)
        np.testing.assert_array_equal(tracks.scale, viewer.layers[0].scale)
        assert labels.units == viewer.layers[0].units

    def test_along_time_here_only(self, stacks, make_controller, answered, drive, trained_network):
        viewer, controller = make_controller(stacks, network=trained_network, axis_labels=LABELS)
        answered(controller, lambda: controller.layers.points.add((0, 2, 24, 30)))
        controller.route.along = "time"
        controller.propagate()
        drive(controller, lambda: controller.run_state == "idle")
        assert controller.layers.masklets.frames(1) == (2, 8)
        viewer.dims.set_point(0, 1)
        viewer.dims.set_point(1, 2)
        assert shown_frame(viewer, controller.image) == 8
        controller.route.along, controller.route.only_here = "z", True
        controller.propagate()
        drive(controller, lambda: controller.run_state == "idle")
        assert controller.layers.masklets.record(1, 9).visible
        assert controller.layers.masklets.record(1, 3) is None

    def test_the_slider_goes_to_time_and_slice(self, stacks, make_controller):
        viewer, controller = make_controller(
            stacks, network=None, scale=(60, 2, 0.5, 0.5), axis_labels=LABELS
        )
        show_frame(viewer, controller.image, 9)
        assert viewer.dims.point[:2] == (60, 6)
        assert shown_frame(viewer, controller.image) == 9

    def test_a_click_outside_every_plane_is_taken_back(self, stacks, make_controller, drive):
        _, controller = make_controller(stacks, network=None, axis_labels=LABELS)
        controller.layers.points.add((0, 7, 24, 30))
        assert "no plane" in controller.told[-1].text
        drive(controller, lambda: len(controller.layers.points.data) == 0)

    def test_axes_can_be_set_and_masks_are_kept(self, stacks, make_controller, answered):
        viewer, controller = make_controller(stacks)
        assert controller.source.axes == "CTYX"  # by its shape (2, 6, 64, 64)
        assert controller.source.set_axes("TZYX")
        assert controller.num_frames == 12
        assert len(viewer.layers) == 4  # the empty layers of the other axes are gone
        answered(controller, lambda: controller.layers.points.add((0, 2, 24, 30)))
        old = controller.layers.canvas.layer
        assert controller.source.set_axes("ZTYX")
        assert old in viewer.layers
        assert controller.layers.canvas.layer is not old

    @pytest.mark.parametrize("axes", ["TZCX", "TTYX", "TZY", "TPYX"])
    def test_axes_that_make_no_movie_are_refused_with_the_reason(
        self, stacks, make_controller, axes
    ):
        _, controller = make_controller(stacks, network=None)
        before = controller.source.axes
        assert not controller.source.set_axes(axes)
        assert controller.source.axes == before
        assert controller.told[-1].level == "error"
        assert axes in controller.told[-1].text


def test_labels_of_a_large_movie_take_no_memory(make_controller, monkeypatch, answered):
    monkeypatch.setattr(label_planes, "LARGE_BYTES", 1000)
    _, controller = make_controller(MOVIE)
    layer = controller.layers.canvas.layer
    assert isinstance(layer.data, zarr.Array)
    answered(controller, lambda: controller.layers.points.add((1, 26, 30)))
    assert (layer.data[1] == 1).any() or not controller.layers.masklets.record(1, 1).visible
    layer.selected_label = 2
    show_frame(controller._viewer, controller.image, 2)
    layer.paint((2, 40, 40), 2)
    text = answered(controller, controller.poll)
    assert text.startswith("Object 2")
    assert layer.data[2, 40, 40] == 2


def test_a_lazy_movie_of_stacks_is_read_where_it_is_asked(make_controller, answered, drive):
    read = set()

    def plane(block_info=None):
        t, z, *_ = block_info[None]["chunk-location"]
        read.add((t, z))
        return np.full((1, 1, SIDE, SIDE), t + z, np.uint16)

    chunks = ((1,) * 9, (1,) * 50, (SIDE,), (SIDE,))
    data = da.map_blocks(plane, chunks=chunks, dtype=np.uint16, meta=np.zeros((0,) * 4, "u2"))
    viewer, controller = make_controller(data, contrast_limits=(0, 100))
    read.clear()
    viewer.dims.set_point(0, 4)
    viewer.dims.set_point(1, 20)
    answered(controller, lambda: controller.layers.points.add((4, 20, 24, 30)))
    # The plane of the click, and a few around it that are encoded ahead.
    assert (4, 20) in read
    assert all(t == 4 and abs(z - 20) <= 8 for t, z in read)
    controller.route.along = "time"
    controller.propagate(start=3, stop=5)
    drive(controller, lambda: controller.run_state == "idle")
    assert {(3, 20), (4, 20), (5, 20)} <= read
    assert all(3 <= t <= 5 and abs(z - 20) <= 8 for t, z in read)


class TestChannels:
    def test_contrast_and_gamma_of_each_layer_reach_the_network(
        self, make_controller, answered, drive
    ):
        viewer, controller = make_controller(MOVIE, contrast_limits=(100, 1100), name="membrane")
        viewer.add_image(noise(MOVIE), contrast_limits=(0, 500), gamma=0.5, name="nuclei")
        names = [channel.name for channel in controller.source.channels()]
        assert names == ["membrane", "nuclei"]
        assert controller.source.set_channels(1, 0, 0)
        answered(controller, lambda: controller.layers.points.add((0, 24, 30)))
        mapping = controller._engine._session.mapping
        assert (mapping.low, mapping.high) == ((100, 0), (1100, 500))
        assert (mapping.gamma, mapping.channels) == ((1.0, 0.5), (1, 0, 0))
        seen = controller._engine._session.frames.read(0)
        np.testing.assert_array_equal(seen[..., 0], MOVIE[0])
        np.testing.assert_array_equal(seen[..., 1], viewer.layers["nuclei"].data[0])
        viewer.layers["nuclei"].gamma = 2.0
        answered(controller, lambda: controller.layers.points.add((0, 25, 30)))
        assert controller._engine._session.mapping.gamma == (1.0, 2.0)

    def test_only_the_chosen_channel_of_an_axis_is_read(self, make_controller, answered):
        read = set()

        def plane(block_info=None):
            t, c, *_ = block_info[None]["chunk-location"]
            read.add((t, c))
            return np.full((1, 1, SIDE, SIDE), 100 * t + c, np.uint16)

        chunks = ((1,) * 4, (1,) * 3, (SIDE,), (SIDE,))
        data = da.map_blocks(plane, chunks=chunks, dtype=np.uint16, meta=np.zeros((0,) * 4, "u2"))
        _, controller = make_controller(data, contrast_limits=(0, 400))
        assert controller.source.axes == "TCYX"
        assert controller.source.set_channels(2)
        read.clear()
        answered(controller, lambda: controller.layers.points.add((1, 0, 24, 30)))
        # Frames around it are encoded ahead; the viewer itself shows channel 0.
        assert (1, 2) in read
        assert not any(channel == 1 for _, channel in read)

    def test_layers_of_another_size_are_no_channels(self, make_controller):
        viewer, controller = make_controller(MOVIE, network=None, name="large")
        viewer.add_image(MOVIE[:, ::2, ::2], name="small")
        assert [one.name for one in controller.source.channels()] == ["large"]
        assert not controller.source.set_channels(1)
        assert "channels 0 to 0" in controller.told[-1].text

    def test_a_click_counts_at_every_channel_that_is_shown(self, make_controller):
        data = np.stack([MOVIE, noise(MOVIE), noise(MOVIE)], axis=1)
        viewer, controller = make_controller(data, network=None, scale=(1, 5, 1, 1))
        viewer.dims.set_point(1, 10)
        layer = controller.layers.points
        layer.add(layer.world_to_data((2, 10, 24, 30)))
        prompt = controller.layers.prompts[0]
        assert (prompt.frame, prompt.yx) == (2, (24, 30))
        boxes = controller.layers.boxes
        corners = [(2, 10, y, x) for y, x in ((14, 20), (14, 40), (34, 40), (34, 20))]
        boxes.add([boxes.world_to_data(one) for one in corners], shape_type="rectangle")
        assert controller.layers.prompts[1].yxyx == (14, 20, 34, 40)
        labels = controller.layers.canvas.layer
        labels.data[2, 0, 24, 30] = 7
        for channel in (0, 5, 10):
            viewer.dims.set_point(0, 2)
            viewer.dims.set_point(1, channel)
            labels.refresh()
            assert len(layer._view_data) == 1
            assert len(boxes._data_view.displayed_index) > 0
            assert labels.get_value((2, channel, 24, 30), world=True) == 7


class TestLevels:
    @pytest.fixture
    def levels(self):
        fine = frames(3).repeat(2, axis=1).repeat(2, axis=2)
        return [fine, fine[:, ::2, ::2]]

    def test_a_coarser_level_is_worked_on_and_lies_where_it_should(
        self, levels, make_controller, answered, trained_network
    ):
        _, controller = make_controller(
            levels, network=trained_network, multiscale=True, scale=(1, 0.5, 0.5), rotate=20
        )
        assert controller.source.level_sizes == ["128 × 128", "64 × 64"]
        assert controller.layers.movie.shape == (3, 128, 128)
        assert controller.source.set_level(1)
        assert controller.layers.movie.shape == (3, 64, 64)
        labels = controller.layers.canvas.layer
        assert labels.data.shape == (3, 64, 64)
        image = controller.image
        np.testing.assert_allclose(
            labels.data_to_world((1, 10, 20)), image.data_to_world((1, 20.5, 40.5))
        )
        answered(controller, lambda: controller.layers.points.add((0, 24, 30)))
        assert iou(labels.data[0] == 1, truth(0)) > 0.7

    def test_a_level_that_is_not_there(self, levels, make_controller):
        _, controller = make_controller(levels, network=None, multiscale=True)
        assert not controller.source.set_level(2)
        assert "levels 0 to 1" in controller.told[-1].text


class TestPreview:
    def test_it_is_what_the_network_gets(self, make_controller, answered, drive, trained_network):
        viewer, controller = make_controller(
            MOVIE, network=trained_network, contrast_limits=(0, 1000)
        )
        drawn = []
        controller.preview.drawn.connect(lambda picture, box: drawn.append((picture, box)))
        controller.preview.is_on = True
        drive(controller, lambda: drawn)
        picture, box = drawn[-1]
        assert picture.shape[2] == 3
        assert box == (0, 0, SIDE, SIDE)
        assert picture[picture.shape[0] * 24 // SIDE, picture.shape[1] * 30 // SIDE].mean() > 230
        viewer.layers[0].contrast_limits = (0, 4000)
        drive(controller, lambda: len(drawn) > 1)
        assert drawn[-1][0].max() < 100
        before = len(drawn)
        viewer.dims.set_point(0, 2)
        drive(controller, lambda: len(drawn) > before)

    def test_it_follows_the_object_and_costs_nothing_when_off(
        self, make_controller, answered, drive, trained_network
    ):
        viewer, controller = make_controller(
            np.pad(MOVIE, ((0, 0), (0, 400), (0, 400)), "edge"), network=trained_network
        )
        drawn = []
        controller.preview.drawn.connect(lambda picture, box: drawn.append(box))
        answered(controller, lambda: controller.layers.points.add((0, 24, 30)))
        viewer.dims.set_point(0, 1)
        assert not drawn
        viewer.dims.set_point(0, 0)
        controller.preview.is_on = True
        drive(controller, lambda: drawn)
        y0, x0, y1, x1 = drawn[-1]
        assert max(y1 - y0, x1 - x0) < 464
        assert y0 <= 24 < y1
        assert x0 <= 30 < x1


class TestBadInput:
    def test_a_frame_without_contrast(self, make_controller, answered, trained_network):
        _, controller = make_controller(np.full((3, 48, 48), 7, np.uint8), network=trained_network)
        text = answered(controller, lambda: controller.layers.points.add((0, 20, 20)))
        assert text.startswith("Object 1")

    @pytest.mark.parametrize("is_dask", [True, False])
    def test_a_movie_whose_file_vanishes_in_mid_run(
        self, is_dask, make_controller, answered, drive, tmp_path, trained_network
    ):
        path = tmp_path / "cells.zarr"
        stored = zarr.create_array(path, shape=(30, 64, 64), chunks=(1, 64, 64), dtype="u2")
        stored[:] = frames(30)

        def block(block_info=None):
            return zarr.open_array(path, mode="r")[block_info[None]["chunk-location"][0]][None]

        chunks = ((1,) * 30, (64,), (64,))
        lazy = da.map_blocks(block, chunks=chunks, dtype="u2", meta=np.zeros((0,) * 3, "u2"))
        viewer, controller = make_controller(network=trained_network)
        image = viewer.add_image(
            lazy if is_dask else stored, contrast_limits=(0, 1200), cache=False
        )
        controller.set_image(image)
        answered(controller, lambda: controller.layers.points.add((0, 24, 30)))
        controller.propagate()
        drive(controller, lambda: len(controller.layers.masklets.frames(1)) > 3)
        shutil.rmtree(path)
        drive(controller, lambda: controller.run_state == "idle")
        errors = [status.text for status in controller.told if status.level == "error"]
        assert any("could not be read" in text and "put it back" in text for text in errors)
        done = len(controller.layers.masklets.frames(1))
        assert 3 < done < 30
        assert isinstance(controller.layers.canvas.layer, Labels)


def test_an_image_that_is_no_movie_becomes_one_when_its_axes_are_set(make_controller):
    viewer, controller = make_controller(network=None)
    image = viewer.add_image(np.zeros((8, 9, 5, 16, 16)))
    controller.set_image(image)
    assert controller.image is None
    assert "set its axes" in controller.told[-1].text
    assert controller.source.axes == "TZAYX"
    assert controller.source.set_axes("TZCYX")
    assert controller.image is image
    assert controller.num_frames == 72
    assert controller.layers.canvas.layer.data.shape == (8, 9, 1, 16, 16)
