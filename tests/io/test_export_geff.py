"""GEFF graphs, by the reader and the validators of the geff library, and back again."""

from __future__ import annotations

import shutil

import networkx as nx
import numpy as np
import pytest
import zarr
from geff import GeffMetadata, validate_structure
from geff import read as read_geff_graph
from geff.core_io import read_to_memory, write_arrays
from geff.validate.data import ValidationConfig, validate_data
from geff.validate.segmentation import (
    axes_match_seg_dims,
    graph_is_in_seg_bounds,
    has_seg_ids_at_time_points,
    has_valid_seg_id,
)

from napari_sam2.io.export import export
from napari_sam2.io.import_session import import_session
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.session_file import read_session
from napari_sam2.masklets import MaskletSet
from napari_sam2.prompts import PointPrompt


@pytest.mark.parametrize(("kind", "nodes", "edges"), [("flat", 28, 24), ("deep", 8, 6)])
def test_the_graph_is_valid(kind, nodes, edges, request, tmp_path) -> None:
    done = export(open_tracked(request.getfixturevalue(kind)), tmp_path / "cells.geff")
    validate_structure(str(done.path))
    memory = read_to_memory(str(done.path))
    validate_data(memory, ValidationConfig(graph=True, lineage=True, tracklet=True))
    graph, about = read_geff_graph(str(done.path))
    assert isinstance(graph, nx.DiGraph)
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (nodes, edges)
    (mother,) = [node for node in graph if graph.out_degree(node) == 2]
    daughters = {graph.nodes[node]["object_id"] for node in graph.successors(mother)}
    assert (graph.nodes[mother]["object_id"], daughters) == (1, {2, 3})
    axes = {axis.name: (axis.scale, axis.scaled_unit) for axis in about.axes}
    assert axes["x"] == (0.5, "micrometer")
    assert axes["t"] == (5.0, "minute")
    assert axes.get("z", (2.0, "micrometer")) == (2.0, "micrometer")


@pytest.mark.parametrize("kind", ["flat", "deep"])
def test_the_graph_points_to_its_masks(kind, request, tmp_path) -> None:
    done = export(open_tracked(request.getfixturevalue(kind)), tmp_path / "cells.geff")
    memory = read_to_memory(str(done.path))
    (related,) = memory["metadata"].related_objects
    masks = np.asarray(zarr.open_array(str(done.path / related.path), mode="r"))
    assert has_valid_seg_id(memory, related.node_prop) == (True, [])
    assert axes_match_seg_dims(memory, masks) == (True, [])
    assert graph_is_in_seg_bounds(memory, masks) == (True, [])
    props = memory["node_props"]
    found = has_seg_ids_at_time_points(
        masks, props["t"]["values"].tolist(), props[related.node_prop]["values"].tolist()
    )
    assert found == (True, [])


@pytest.mark.parametrize("kind", ["flat", "deep"])
def test_a_graph_with_masks_comes_back_as_a_session(kind, request, tmp_path) -> None:
    before = open_tracked(request.getfixturevalue(kind))
    export(before, tmp_path / "cells.geff")
    done = import_session(
        tmp_path / "cells.geff", tmp_path / "cells.ome.tif", tmp_path / "again.sam2"
    )
    document = read_session(done.path).document
    assert document.object_ids == before.masks.object_ids()
    assert document.lineage == {2: 1, 3: 1}
    if kind == "flat":
        assert document.info(1).name == "mother"
        assert document.info(1).state == "accepted"
    masks = zarr.open_array(str(tmp_path / "cells_masks.zarr"), mode="r")
    labels = np.asarray(masks).reshape(before.masks.shape)
    assert np.array_equal(document.masklets.to_labels(), labels)


def test_a_graph_without_masks_becomes_clicks(flat_objects, tmp_path) -> None:
    export(flat_objects, tmp_path / "cells.geff")
    shutil.rmtree(tmp_path / "cells_masks.zarr")
    done = import_session(
        tmp_path / "cells.geff", tmp_path / "cells.ome.tif", tmp_path / "again.sam2"
    )
    document = read_session(done.path).document
    assert "has no masks" in done.notes[0]
    assert len(document.prompts.all()) == 28
    assert document.lineage == {2: 1, 3: 1}
    clicks = [one for one in document.prompts.all() if one.object_id == 1]
    assert [(one.frame, one.yx) for one in clicks] == [(t, (20.0, 20.0 + t)) for t in range(4)]
    assert all(isinstance(one, PointPrompt) for one in clicks)


def peer_graph(path, unit: str) -> None:
    """Write a graph as another tool would: no track ids, positions in units, a merge."""
    times = np.array([0, 1, 2, 2, 3, 0, 1])
    places = np.array([10, 11, 8, 14, 15, 30, 31]) * (0.5 if unit == "micrometer" else 1)
    props = {"t": times, "y": places, "x": places}
    axes = [{"name": "t", "type": "time"}]
    axes += [{"name": name, "type": "space", "unit": unit} for name in "yx"]
    about = GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={})
    edges = np.array([[10, 11], [11, 12], [11, 13], [13, 14], [15, 16]], np.uint64)
    nodes = np.arange(10, 17, dtype=np.uint64)
    values = {name: {"values": value, "missing": None} for name, value in props.items()}
    write_arrays(str(path), nodes, values, edges, {}, about)


def test_a_graph_of_another_tool_is_cut_at_its_divisions(flat, tmp_path) -> None:
    peer_graph(tmp_path / "peer.geff", "micrometer")
    done = import_session(
        tmp_path / "peer.geff", tmp_path / "cells.ome.tif", tmp_path / "again.sam2"
    )
    document = read_session(done.path).document
    paths = {i: [(p.frame, p.yx[0]) for p in document.prompts.all() if p.object_id == i]
             for i in document.object_ids}  # fmt: skip
    assert paths == {
        1: [(0, 10.0), (1, 11.0)], 2: [(2, 8.0)], 3: [(2, 14.0), (3, 15.0)],
        4: [(0, 30.0), (1, 31.0)],
    }  # fmt: skip
    assert document.lineage == {2: 1, 3: 1}


def test_units_that_the_movie_does_not_know_are_refused(flat, tmp_path) -> None:
    peer_graph(tmp_path / "peer.geff", "nanometer")
    with pytest.raises(ValueError, match=r"in nanometer and the movie is in micrometer.*--pixel"):
        import_session(tmp_path / "peer.geff", tmp_path / "cells.ome.tif", tmp_path / "a.sam2")
    assert not (tmp_path / "a.sam2").exists()


def test_an_older_one_is_replaced_only_where_it_is_asked_for(tmp_path) -> None:
    labels = np.ones((2, 9, 9), np.uint8)
    one = MaskletSet.from_labels(labels)
    export(one, tmp_path / "a.geff")
    with pytest.raises(FileExistsError, match="exists"):
        export(one, tmp_path / "a.geff")
    export(MaskletSet.from_labels(labels[:1]), tmp_path / "a.geff", overwrite=True)
    assert len(read_to_memory(str(tmp_path / "a.geff"))["node_ids"]) == 1
    assert zarr.open_array(str(tmp_path / "a_masks.zarr"), mode="r").shape == (1, 9, 9)
    (tmp_path / "a.geff" / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match=r"other things in it \(mine.txt\)"):
        export(one, tmp_path / "a.geff", overwrite=True)
    assert (tmp_path / "a.geff" / "mine.txt").read_text() == "keep"
