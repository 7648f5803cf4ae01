"""Masks as images and run lengths, by the readers of their own libraries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr.io import parse_url
from pycocotools.coco import COCO

from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.export import export
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.read_planes import read_planes

KINDS = pytest.mark.parametrize("kind", ["flat", "deep"])
KNOWN = Calibration((2.0, 0.5, 0.5), "micrometer", 5.0, "minute")


def painted(objects, time: int) -> np.ndarray:
    """Return labels as the format says it: the smaller object on top."""
    out = np.zeros((objects.planes.slices, 60, 80), np.uint32)
    for z, plane in enumerate(objects.planes.along_z(time)):
        found = objects.masks.on(plane)
        for i in sorted(found, key=lambda i: (-found[i].area, i)):
            out[z][found[i].mask((60, 80))] = i
    return out if objects.is_deep else out[0]


@KINDS
def test_ome_tiff_has_labels_axes_and_scale(kind, request, tmp_path) -> None:
    objects = open_tracked(request.getfixturevalue(kind))
    done = export(objects, tmp_path / "labels.ome.tif")
    assert any("mothers of 2 daughters are not in it" in note for note in done.notes) == (
        len(objects.lineage) > 0
    )
    path = done.path
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        assert tiff.is_ome
        assert series.axes == ("TZYX" if kind == "deep" else "TYX")
        assert series.dtype == ("uint32" if kind == "flat" else "uint16")
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata
        labels = series.asarray()
    wanted = np.stack([painted(objects, t) for t in range(objects.num_times)])
    assert np.array_equal(labels, wanted)
    assert read_calibration(path) == KNOWN


def nodes_of(path) -> list:
    """Read with the library's reader, whose import warns of its own older parts."""
    import warnings

    with warnings.catch_warnings(action="ignore"):
        from ome_zarr.reader import Reader

        return list(Reader(parse_url(str(path)))())


@KINDS
def test_ome_zarr_holds_image_and_labels(kind, request, tmp_path) -> None:
    objects = open_tracked(request.getfixturevalue(kind))
    path = export(objects, tmp_path / "cells.ome.zarr").path
    image, labels = [node for node in nodes_of(path) if node.data]
    wanted = np.stack([painted(objects, t) for t in range(objects.num_times)])
    assert np.array_equal(np.asarray(labels.data[0]), wanted)
    movie = np.stack([objects.image(t) for t in range(objects.num_times)])  # (T, Z, H, W, C)
    pixels = np.moveaxis(movie, -1, 1)
    assert np.array_equal(np.asarray(image.data[0]), pixels if kind == "deep" else pixels[:, :, 0])
    axes = {axis["name"]: axis.get("unit") for axis in labels.metadata["axes"]}
    assert axes.pop("z", "micrometer") == "micrometer"
    assert axes == {"t": "minute", "y": "micrometer", "x": "micrometer"}
    # Without an axis of depth there is no room for the size of a slice.
    assert read_calibration(path) == (KNOWN if kind == "deep" else replace(KNOWN, pixel=(0.5,) * 3))
    about = zarr.open_group(str(path / "labels" / "objects"), mode="r").attrs["ome"]
    parents = {one["label-value"]: one["parent"] for one in about["image-label"]["properties"]}
    assert parents[2] == 1
    assert np.array_equal(
        read_planes(path / "labels" / "objects")[0], wanted.reshape(-1, 60, 80)[0]
    )


@pytest.mark.parametrize("version", [2, 3])
def test_labels_are_added_to_an_ome_zarr_that_is_there(version, flat_objects, tmp_path) -> None:
    image = tmp_path / "movie.zarr"
    group = zarr.open_group(str(image), mode="w", zarr_format=version)
    group.create_array("0", data=np.ones((8, 1, 1, 60, 80), np.uint8))
    axes = [{"name": name, "type": kind} for name, kind in
            zip("tczyx", ("time", "channel", "space", "space", "space"), strict=True)]  # fmt: skip
    steps = [{"type": "scale", "scale": [1, 1, 1, 0.25, 0.25]}]
    for axis in axes[2:]:
        axis["unit"] = "micrometer"
    about = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    if version == 2:
        group.attrs["multiscales"] = [{"version": "0.4", **about}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [about]}
    export(flat_objects, image)
    picture, labels = [node for node in nodes_of(image) if node.data]
    assert np.asarray(picture.data[0]).all()
    assert np.array_equal(np.asarray(labels.data[0])[3, 0], painted(flat_objects, 3))
    # The labels lie where the image of that file lies, whatever the session's movie says.
    assert read_calibration(image / "labels" / "objects").pixel == (1.0, 0.25, 0.25)
    with pytest.raises(FileExistsError, match="labels/objects exists"):
        export(flat_objects, image)
    export(flat_objects, image, overwrite=True)
    assert len([node for node in nodes_of(image) if node.data]) == 2


def test_labels_are_not_added_to_an_image_of_another_size(deep_objects, flat_objects, tmp_path):
    path = export(deep_objects, tmp_path / "deep.ome.zarr").path
    zarr.open_group(str(path), mode="r+").attrs.pop("napari-sam2", None)
    with pytest.raises(ValueError, match="holds an image of"):
        export(flat_objects, path, overwrite=False)


# pycocotools decodes in a way that NumPy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@KINDS
def test_coco_keeps_every_pixel_of_every_object(kind, request, tmp_path, capsys) -> None:
    objects = open_tracked(request.getfixturevalue(kind))
    path = export(objects, tmp_path / "cells.json").path
    coco = COCO(str(path))
    capsys.readouterr()  # it prints
    assert len(coco.getImgIds()) == objects.masks.shape[0]
    seen = 0
    for plane in range(objects.masks.shape[0]):
        (image,) = coco.loadImgs(plane + 1)
        assert objects.planes.place(plane) == (image["frame_id"], image["z"])
        for one in coco.loadAnns(coco.getAnnIds(imgIds=[plane + 1])):
            record = objects.masks.on(plane)[one["track_id"]]
            assert np.array_equal(coco.annToMask(one), record.mask((60, 80)))
            assert one["area"] == record.area
            y0, x0, y1, x1 = record.bbox
            assert one["bbox"] == [x0, y0, x1 - x0, y1 - y0]
            assert one["score"] == record.predicted_iou
            assert one["parent_id"] == {2: 1, 3: 1}.get(one["track_id"])
            seen += 1
    assert seen == sum(len(objects.masks.on(plane)) for plane in range(objects.masks.shape[0]))
