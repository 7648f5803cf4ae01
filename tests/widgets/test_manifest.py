"""What napari reads about the plugin: the manifest, and what it names."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import requests
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.tracks import read_tracks
from napari_sam2.widgets import sample_data
from napari_sam2.widgets.help_page import HelpPage, page
from napari_sam2.widgets.keys import KEYS
from napari_sam2.widgets.opening import prefer_sessions


def test_the_manifest_is_valid_and_all_it_names_exists(repository):
    manifest = PluginManifest.from_file(repository / "src" / "napari_sam2" / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == "napari-sam2"
    assert manifest.contributions.widgets[0].display_name == "Segment and track"


def test_the_installed_package_brings_its_manifest():
    manifest = PluginManifest.from_distribution("napari-sam2")
    assert {command.id for command in manifest.contributions.commands} >= {
        "napari-sam2.track_widget",
        "napari-sam2.dividing_cells",
    }


def test_the_sample_movie_opens(make_napari_viewer):
    viewer = make_napari_viewer()
    (layer,) = viewer.open_sample("napari-sam2", "dividing_cells")
    assert layer.data.ndim == 3
    assert len(layer.data) >= 20
    assert layer.axis_labels == ("t", "y", "x")
    low, high = layer.contrast_limits
    assert np.mean(layer.data[0] > (low + high) / 2) > 0.001  # cells can be seen at once


def test_the_manifest_names_only_what_napari_offers(repository):
    manifest = PluginManifest.from_file(repository / "src" / "napari_sam2" / "napari.yaml")
    contributions = manifest.contributions
    assert {one.key for one in contributions.sample_data} == {
        "dividing_cells",
        "nuclei_stack",
        "glioblastoma_cells",
    }
    named = {command.id for command in contributions.commands}
    for group in (contributions.readers, contributions.writers, contributions.widgets):
        assert {one.command for one in group} <= named
    assert set(contributions.menus) <= {"napari/layers/segment", "napari/layers/track"}


def test_the_sample_stack_is_one_of_slices():
    ((stack, properties, kind),) = sample_data.nuclei_stack()
    assert kind == "image"
    assert stack.ndim == 3
    assert properties["axis_labels"] == ("z", "y", "x")
    middle = stack[len(stack) // 2].astype(float)
    assert middle.std() > 0.02 * (stack.max() - stack.min())  # there is something to see


def test_the_public_movie_is_fetched_from_its_archive(tmp_path, monkeypatch):
    archive = tmp_path / "web" / "PhC-C2DH-U373.zip"
    frames = tmp_path / "PhC-C2DH-U373" / "01"
    frames.mkdir(parents=True)
    for frame in range(3):
        tifffile.imwrite(frames / f"t{frame:03d}.tif", np.full((20, 30), frame, np.uint8))
    archive.parent.mkdir()
    shutil.make_archive(str(archive.with_suffix("")), "zip", tmp_path, "PhC-C2DH-U373")
    monkeypatch.setattr(sample_data, "PUBLIC_SHA256", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cached = tmp_path / "cache" / "napari-sam2" / "samples"
    cached.mkdir(parents=True)
    shutil.copy(archive, cached)
    ((movie, properties, _),) = sample_data.glioblastoma_cells()
    assert movie.shape == (3, 20, 30)
    assert int(np.asarray(movie[2]).max()) == 2
    assert properties["axis_labels"] == ("t", "y", "x")


def test_without_a_connection_the_public_movie_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sample_data, "PUBLIC_MOVIE", "http://127.0.0.1:9/PhC-C2DH-U373.zip")
    with pytest.raises(ConnectionError, match=r"put it at .*samples.PhC-C2DH-U373.zip"):
        sample_data.glioblastoma_cells()
    assert issubclass(requests.ConnectionError, OSError)


@pytest.fixture
def plugins():
    """Have the plugins found, as napari does when its window opens."""
    manager = PluginManager.instance()
    manager.discover()
    return manager


def test_layers_are_saved_by_the_writers(tmp_path, plugins):
    viewer = ViewerModel()
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[1:, 5:9, 6:10] = 3
    viewer.add_labels(labels, name="cells")
    table = np.array([[1, 0, 5, 6], [1, 1, 5.5, 6], [2, 2, 4, 4], [2, 3, 4, 5]], float)
    viewer.add_tracks(table, graph={2: [1]}, name="tracks")
    viewer.layers["cells"].save(str(tmp_path / "cells.tif"), plugin="napari-sam2")
    viewer.layers["tracks"].save(str(tmp_path / "tracks.csv"), plugin="napari-sam2")
    np.testing.assert_array_equal(np.asarray(read_labels(tmp_path / "cells.tif")), labels)
    assert (tmp_path / "cells.tif").stat().st_size < labels.nbytes / 2
    back = read_tracks(tmp_path / "tracks.csv")
    np.testing.assert_allclose(back.table, table)
    assert back.graph == {2: [1]}
    # A volume in time keeps its axes, and tracks their depth.
    viewer.add_labels(np.stack([labels, labels]), name="volume")
    viewer.layers["volume"].save(str(tmp_path / "volume.tif"), plugin="napari-sam2")
    with tifffile.TiffFile(tmp_path / "volume.tif") as file:
        assert file.series[0].axes == "TZYX"
        np.testing.assert_array_equal(file.asarray()[1], labels)
    deep = np.array([[1, 0, 1, 5, 6], [1, 1, 1, 5, 6]], float)
    viewer.add_tracks(deep).save(str(tmp_path / "deep.csv"), plugin="napari-sam2")
    np.testing.assert_allclose(read_tracks(tmp_path / "deep.csv").table, deep)


def test_challenge_folders_open_as_labels_and_tracks(tmp_path, synthetic, plugins):
    folder = tmp_path / "01_RES"
    folder.mkdir()
    for frame, image in enumerate(synthetic.labels):
        tifffile.imwrite(folder / f"mask{frame:03d}.tif", image)
    daughters = synthetic.lineage
    (folder / "res_track.txt").write_text(
        "".join(f"{i} 0 11 {daughters.get(int(i), 0)}\n" for i in np.unique(synthetic.labels)[1:])
    )
    viewer = ViewerModel()
    labels, tracks = viewer.open(str(folder), plugin="napari-sam2")
    np.testing.assert_array_equal(np.asarray(labels.data), synthetic.labels)
    assert {d: [m] for d, m in daughters.items()} == {
        int(d): [int(m) for m in np.atleast_1d(ms)] for d, ms in tracks.graph.items()
    }


def test_a_session_opened_in_a_script_brings_its_labels(tmp_path, synthetic, plugins):
    from napari_sam2.editing.document import Document
    from napari_sam2.io.session_file import MovieStamp, SessionFolder
    from napari_sam2.masklets import MaskletSet

    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.asarray(synthetic.images), metadata={"axes": "TYX"})
    document = Document(MaskletSet.from_labels(np.asarray(synthetic.labels)))
    stamp = MovieStamp.of(synthetic.images, path)
    SessionFolder(tmp_path / "cells.sam2", stamp).write_all(document, {})
    viewer = ViewerModel()
    prefer_sessions()  # then napari does not ask which plugin is meant
    image, labels = viewer.open(str(tmp_path / "cells.sam2"), plugin=None)
    assert image.data.shape == (12, 96, 96)
    np.testing.assert_array_equal(labels.data, synthetic.labels)
    path.rename(tmp_path / "moved.tif")
    with pytest.raises(FileNotFoundError, match=r"is not at .*put it back"):
        ViewerModel().open(str(tmp_path / "cells.sam2"), plugin="napari-sam2")


def test_the_help_page_lists_every_key_that_is_bound(qtbot):
    text = page()
    for key in KEYS.values():
        assert f"<b>{key.key}</b>" in text.replace("&lt;", "<")
    dialog = HelpPage()
    qtbot.addWidget(dialog)
    shown = dialog.page.toPlainText()
    for key in KEYS.values():
        assert key.text in shown
        assert key.code in shown
