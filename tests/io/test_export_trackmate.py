"""TrackMate files, by their documented structure and by the geff library's reader of them."""

from __future__ import annotations

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from skimage.draw import polygon2mask

from napari_sam2.io.export import export
from napari_sam2.masklets import MaskletSet


@pytest.fixture
def root(flat_objects, tmp_path):
    """The file of the flat session, parsed."""
    return ElementTree.parse(export(flat_objects, tmp_path / "cells.xml").path).getroot()


def test_spots_lie_where_the_objects_are(root, flat_objects) -> None:
    model = root.find("Model")
    assert (model.get("spatialunits"), model.get("timeunits")) == ("µm", "min")
    spots = list(model.iter("Spot"))
    assert len(spots) == int(model.find("AllSpots").get("nspots")) == 28
    frames = model.find("AllSpots").findall("SpotsInFrame")
    assert [int(one.get("frame")) for one in frames] == list(range(8))
    declared = {one.get("feature") for one in model.find(".//SpotFeatures")}
    for spot in spots:
        assert set(spot.attrib) - {"ID", "name", "ROI_N_POINTS"} == declared
        record = flat_objects.masks.on(int(spot.get("FRAME")))[int(spot.get("OBJECT_ID"))]
        y, x = record.centroid()
        place = [float(spot.get(f"POSITION_{axis}")) for axis in "XYZT"]
        assert place == pytest.approx([0.5 * x, 0.5 * y, 0.0, 5.0 * int(spot.get("FRAME"))])
        assert float(spot.get("AREA")) == pytest.approx(0.25 * record.area)
        corners = np.array(spot.text.split(), float).reshape(-1, 2)
        assert len(corners) == int(spot.get("ROI_N_POINTS"))
        drawn = polygon2mask((60, 80), corners[:, ::-1] * 2 + (y, x))
        assert np.count_nonzero(drawn != record.mask((60, 80))) <= 2
    assert spots[0].get("name") == "mother"


def test_families_are_tracks_with_their_divisions(root) -> None:
    spots = {int(one.get("ID")): one for one in root.iter("Spot")}
    tracks = root.find("Model/AllTracks").findall("Track")
    kept = [int(one.get("TRACK_ID")) for one in root.find("Model/FilteredTracks")]
    assert kept == [int(one.get("TRACK_ID")) for one in tracks] == [1, 5, 6]
    edges = [(int(e.get("SPOT_SOURCE_ID")), int(e.get("SPOT_TARGET_ID"))) for e in tracks[0]]
    mothers = [source for source, _ in edges]
    (branch,) = {one for one in mothers if mothers.count(one) == 2}
    assert (spots[branch].get("OBJECT_ID"), spots[branch].get("FRAME")) == ("1", "3")
    for source, target in edges:
        assert int(spots[source].get("FRAME")) < int(spots[target].get("FRAME"))
    image = root.find("Settings/ImageData")
    assert (image.get("width"), image.get("height"), image.get("nframes")) == ("80", "60", "8")
    assert (image.get("pixelwidth"), image.get("timeinterval")) == ("0.5", "5")


@pytest.mark.parametrize("kind", ["flat", "deep"])
def test_another_reader_finds_the_same_graph(kind, request, tmp_path) -> None:
    from geff.convert import from_trackmate_xml_to_geff
    from geff.core_io import read_to_memory

    path = export(request.getfixturevalue(f"{kind}_objects"), tmp_path / "cells.xml").path
    with warnings.catch_warnings(action="ignore"):  # of units, and of a movie that has no file
        from_trackmate_xml_to_geff(path, tmp_path / "peer.geff")
        graph = read_to_memory(tmp_path / "peer.geff")
    assert len(graph["node_ids"]) == (28 if kind == "flat" else 8)
    assert len(graph["edge_ids"]) == (24 if kind == "flat" else 6)


def test_what_an_outline_cannot_say_is_said(deep_objects, tmp_path) -> None:
    done = export(deep_objects, tmp_path / "deep.xml")
    assert "no outlines" in done.notes[0]
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[0, 2:12, 2:12] = 1
    labels[0, 5:7, 5:7] = 0
    done = export(MaskletSet.from_labels(labels), tmp_path / "ring.xml")
    assert "1 masks have holes" in done.notes[0]
