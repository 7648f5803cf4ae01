"""Measurements, read back by pandas and checked against sums made here from the pixels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops_table

from napari_sam2.io.export import export
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.read_planes import read_planes
from napari_sam2.io.tracks import read_tracks
from napari_sam2.masklets import MaskletSet

READERS = {"csv": pd.read_csv, "parquet": pd.read_parquet}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_number_is_that_of_the_pixels(kind, flat_objects, tmp_path) -> None:
    path = export(flat_objects, tmp_path / f"cells.{kind}").path
    table = READERS[kind](path)
    assert len(table) == 28
    assert set(table.object_id) == {1, 2, 3, 5, 6, 70000}
    movie = np.asarray(read_planes(tmp_path / "cells.ome.tif")[2])
    row = table[(table.object_id == 5) & (table.t == 2)].iloc[0]
    mask = flat_objects.masks.on(2)[5].mask((60, 80))
    assert row.area == mask.sum()
    assert (row.y, row.x) == (45.0, 19.0)
    assert (row.y_um, row.x_um, row.t_min) == (22.5, 9.5, 10.0)
    assert row.area_um2 == pytest.approx(0.25 * mask.sum())
    names = ["perimeter", "eccentricity", "solidity", "axis_major_length", "feret_diameter_max"]
    wanted = regionprops_table(mask.astype(int), properties=names)
    assert [row[name] for name in names] == pytest.approx([wanted[name][0] for name in names])
    inside = movie[..., 0][mask]
    found = [row[f"intensity_{name}_0"] for name in ("mean", "std", "min", "max", "median", "sum")]
    assert found == pytest.approx(
        [inside.mean(), inside.std(), inside.min(), inside.max(), np.median(inside), inside.sum()]
    )
    assert row.intensity_mean_1 == 7.0
    first = table[(table.object_id == 1) & (table.t == 0)].iloc[0]
    assert (first.predicted_iou, first.object_score) == (0.75, 4.0)
    assert not first.prompted
    assert table[(table.object_id == 5) & (table.t == 0)].iloc[0].prompted
    born = table[table.division]
    assert list(zip(born.object_id, born.t, born.parent, strict=True)) == [(2, 4, 1), (3, 4, 1)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tracks_are_summed_up_beside_it(kind, flat_objects, tmp_path) -> None:
    export(flat_objects, tmp_path / f"cells.{kind}")
    tracks = READERS[kind](tmp_path / f"cells_tracks.{kind}").set_index("object_id")
    mother, hidden = tracks.loc[1], tracks.loc[5]
    assert (mother["name"], mother.daughters, mother.divides) == ("mother", "2;3", True)
    assert mother.accepted
    assert (hidden.first_t, hidden.last_t, hidden.frames_seen, hidden.gaps) == (0, 7, 7, 1)
    assert (hidden.life_span, hidden.life_span_min) == (8, 40.0)
    # It moves by two pixels, of 0.5 µm, a frame of 5 minutes.
    assert (hidden.displacement, hidden.path_length, hidden.mean_speed) == (14.0, 14.0, 2.0)
    assert (hidden.displacement_um, hidden.mean_speed_um_per_min) == (7.0, 0.2)
    assert (tracks.loc[2].parent, tracks.loc[2].root, tracks.loc[2].generation) == (1, 1, 1)
    assert np.isnan(tracks.loc[70000].mean_speed)
    assert mother.mean_predicted_iou == 0.75


def test_stacks_are_measured_as_volumes(deep_objects, tmp_path) -> None:
    export(deep_objects, tmp_path / "cells.csv")
    table = pd.read_csv(tmp_path / "cells.csv")
    row = table[(table.object_id == 1) & (table.t == 1)].iloc[0]
    slices = [deep_objects.masks.on(3 + z)[1].area for z in range(3)]
    assert row.area == sum(slices)
    assert (row.z, row.y, row.x) == (1.0, 30.0, 31.0)
    assert (row.z_um, row.volume_um3) == pytest.approx((2.0, 0.5 * sum(slices)))
    # The movie is as bright as its planes are late.
    assert row.intensity_mean_0 == pytest.approx(np.average([3, 4, 5], weights=slices))
    tracks = pd.read_csv(tmp_path / "cells_tracks.csv").set_index("object_id")
    assert tracks.loc[4].gaps == 1
    assert tracks.loc[1].path_length_um == pytest.approx(0.5)


def test_overlapping_objects_keep_all_their_pixels(flat_objects, tmp_path) -> None:
    done = export(flat_objects, tmp_path / "cells.csv")
    table = pd.read_csv(done.path)
    both = table[(table.t == 0) & table.object_id.isin([5, 6])].area.sum()
    masks = flat_objects.masks.on(0)
    assert both == masks[5].area + masks[6].area
    assert (masks[5].mask((60, 80)) & masks[6].mask((60, 80))).any()
    assert not any("overlap" in note for note in done.notes)


def test_without_a_movie_there_are_no_intensities(flat, tmp_path) -> None:
    (tmp_path / "cells.ome.tif").rename(tmp_path / "elsewhere.ome.tif")
    done = export(open_tracked(flat), tmp_path / "cells.csv")
    said = " ".join(done.notes)
    assert "is not at" in said
    assert "no intensities" in said
    names = set(pd.read_csv(done.path).columns)
    assert "area" in names
    assert not any(name.startswith("intensity") for name in names)
    again = export(open_tracked(flat, tmp_path / "elsewhere.ome.tif"), tmp_path / "b.csv")
    assert "intensity_mean_1" in pd.read_csv(again.path).columns


def test_label_stacks_have_no_confidence(tmp_path) -> None:
    from napari_sam2.io.label_stack import write_label_tiff

    labels = np.zeros((2, 20, 20), np.uint16)
    labels[:, 5, 5] = 1  # one pixel: hull, perimeter and axes are not defined
    write_label_tiff(tmp_path / "labels.tif", labels)
    export(open_tracked(tmp_path / "labels.tif"), tmp_path / "cells.csv")
    table = pd.read_csv(tmp_path / "cells.csv")
    assert "predicted_iou" not in table
    assert table.area.tolist() == [1, 1]
    assert table.circularity.isna().all()


def test_napari_tracks_come_back(flat_objects, deep_objects, tmp_path) -> None:
    export(flat_objects, tmp_path / "a.tracks.csv")
    tracks = read_tracks(tmp_path / "a.tracks.csv")
    assert tracks.graph == {2: [1], 3: [1]}
    assert tracks.table[:4].tolist() == [[1, t, 20, 20 + t] for t in range(4)]
    done = export(deep_objects, tmp_path / "b.csv", format="napari-tracks")
    deep = read_tracks(done.path)
    assert deep.table[:2].tolist() == [[1, 0, 1, 30, 30], [1, 1, 1, 30, 31]]
    assert "masks are not in it" in done.notes[0]


def test_napari_takes_the_table(flat_objects, tmp_path) -> None:
    from napari.layers import Tracks

    tracks = read_tracks(export(flat_objects, tmp_path / "a.tracks.csv").path)
    layer = Tracks(tracks.table, graph=tracks.graph)
    assert layer.graph == {2: [1], 3: [1]}


def test_masks_alone_are_measured_in_pixels(tmp_path) -> None:
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[0, 4:8, 4:10] = 3
    done = export(MaskletSet.from_labels(labels), tmp_path / "a.csv")
    table = pd.read_csv(done.path)
    assert table.area.tolist() == [24]
    assert not [name for name in table if name.endswith(("_um", "_s"))]
