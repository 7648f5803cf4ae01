"""What napari reads about the plugin: the manifest, and what it names."""

from __future__ import annotations

import numpy as np
from npe2 import PluginManifest


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
