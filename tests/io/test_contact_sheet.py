"""The contact sheet, read back with another library than it is written with."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imread

from napari_sam2.io.contact_sheet import Tile, object_color, write_contact_sheet


def tile(frame, shape=(60, 80), dtype=np.uint16):
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint16)
    labels[(y - 25) ** 2 + (x - 30 - frame) ** 2 < 120] = 4
    labels[40:55, 60:75] = 9
    return Tile(frame, (np.where(labels, 900, 100) + y).astype(dtype), labels)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_the_sheet_has_room_for_every_frame(tmp_path, count):
    path = write_contact_sheet(tmp_path / "s.png", [tile(t) for t in range(count)], tile_size=160)
    sheet = imread(path)
    columns, rows = (sheet.shape[1] + 4) // 164, (sheet.shape[0] + 4) // 124
    assert columns * rows >= count
    assert (columns - 1) * rows < count or rows == 1


def test_outlines_have_the_colour_of_their_object_and_lie_on_its_border(tmp_path):
    path = write_contact_sheet(tmp_path / "s.png", [tile(0, (160, 160))], tile_size=160)
    sheet = imread(path)
    labels = tile(0, (160, 160)).labels
    for object_id in (4, 9):
        drawn = (sheet == object_color(object_id)).all(axis=-1)
        assert drawn.sum() > 30
        assert not (drawn & (labels != object_id)).any()
    assert (sheet[40, 60] == object_color(9)).all()
    assert not (sheet[42, 61] == object_color(9)).all()


def test_objects_have_different_colours():
    assert len({object_color(object_id) for object_id in range(1, 40)}) == 39


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_every_type_of_image_is_shown(tmp_path, dtype):
    path = write_contact_sheet(tmp_path / "s.png", [tile(0, dtype=dtype)])
    assert imread(path).std() > 10


def test_colour_nan_and_constant_frames_are_shown(tmp_path):
    plain = tile(0)
    colour = np.stack([plain.image] * 3, axis=-1)
    broken = plain.image.astype(float)
    broken[:5] = np.nan
    broken[5:9] = np.inf
    for name, image in (("colour", colour), ("nan", broken), ("flat", np.zeros((60, 80)))):
        path = write_contact_sheet(tmp_path / f"{name}.png", [Tile(0, image, plain.labels)])
        assert imread(path).shape == (240, 320, 3)


def test_no_frame_and_an_older_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_contact_sheet(tmp_path / "s.png", [])
    write_contact_sheet(tmp_path / "s.png", [tile(0)])
    with pytest.raises(FileExistsError, match=r"s\.png exists"):
        write_contact_sheet(tmp_path / "s.png", [tile(0)])
