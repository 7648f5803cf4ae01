"""The results of a job as layers."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel

from napari_sam2.io.label_stack import write_label_tiff
from napari_sam2.io.tracks import write_tracks
from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.lineage import Lineage
from napari_sam2.tracking.tracks import tracks_from_masklets
from napari_sam2.widgets.show_result import add_results


def write_results(folder, labels, lineage=None):
    np.save(folder / "movie.npy", labels * 9)
    write_label_tiff(folder / "labels.tif", labels)
    write_tracks(
        folder / "tracks.csv", tracks_from_masklets(MaskletSet.from_labels(labels), lineage)
    )


def test_movie_labels_and_tracks_become_layers(tmp_path):
    labels = np.zeros((4, 30, 40), np.uint16)
    labels[:2, 5:10, 5:10] = 1
    labels[2:, 4:7, 5:10] = 2
    labels[2:, 9:12, 5:10] = 3
    write_results(tmp_path, labels, Lineage.from_mothers({2: 1, 3: 1}))
    viewer = ViewerModel()
    add_results(viewer, tmp_path / "movie.npy", tmp_path)
    assert [layer.name for layer in viewer.layers] == ["movie", "labels", "tracks"]
    assert np.array_equal(np.asarray(viewer.layers["labels"].data), labels)
    assert viewer.layers["tracks"].graph == {2: [1], 3: [1]}
    assert len(viewer.layers["tracks"].data) == 6


def test_results_without_a_track_are_shown_without_one(tmp_path):
    write_results(tmp_path, np.zeros((2, 20, 20), np.uint16))
    viewer = ViewerModel()
    add_results(viewer, tmp_path / "movie.npy", tmp_path)
    assert [layer.name for layer in viewer.layers] == ["movie", "labels"]
