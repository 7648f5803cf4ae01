"""Cell Tracking Challenge folders, as the challenge's own rules and another reader see them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from ctc_metrics.scripts.validate import validate_sequence
from geff.convert import from_ctc_to_geff
from geff.core_io import read_to_memory

from napari_sam2.io import write_ctc
from napari_sam2.io.export import export
from napari_sam2.io.import_session import document_of, import_session
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.read_ctc import objects_of_tracks, read_ctc
from napari_sam2.io.session_file import read_session
from napari_sam2.io.tracked_objects import MaskletMasks, TrackedObjects
from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.lineage import Lineage


def table(folder) -> list[tuple[int, ...]]:
    lines = (folder / "res_track.txt").read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines]


def is_valid(folder) -> bool:
    """Whether py-ctcmetrics finds a folder valid; its doubts are warnings, which fail the test."""
    return validate_sequence(str(folder), threads=1)["Valid"] == 1


def test_divisions_and_gaps_are_valid_tracks(flat_objects, tmp_path) -> None:
    done = export(flat_objects, tmp_path / "01_RES")
    folder = done.path
    assert done.format == "ctc"
    assert is_valid(folder)
    # 5 was hidden on frame 3: what follows is a track of its own, its parent the part before.
    assert table(folder) == [
        (1, 0, 3, 0), (2, 4, 7, 1), (3, 4, 7, 1), (5, 0, 2, 0), (6, 0, 7, 0), (7, 4, 7, 5),
        (8, 0, 0, 0),
    ]  # fmt: skip
    first = tifffile.imread(folder / "mask000.tif")
    assert first.dtype == np.uint16
    assert first.shape == (60, 80)
    assert np.array_equal(first == 1, flat_objects.masks.on(0)[1].mask((60, 80)))
    said = " ".join(done.notes)
    assert "70000 is 8" in said
    assert "overlap on 7 frames (first: 0)" in said
    assert "1 rejected object left out" in said


def test_stacks_are_one_image_a_time(deep_objects, tmp_path) -> None:
    folder = export(deep_objects, tmp_path / "01_RES").path
    assert is_valid(folder)
    assert tifffile.imread(folder / "mask003.tif").shape == (3, 60, 80)
    assert table(folder) == [
        (1, 0, 1, 0), (2, 2, 3, 1), (3, 2, 3, 1), (4, 1, 1, 0), (5, 3, 3, 4)
    ]  # fmt: skip


def test_another_reader_finds_the_same_graph(flat_objects, tmp_path) -> None:
    folder = export(flat_objects, tmp_path / "01_RES").path
    from_ctc_to_geff(folder, tmp_path / "peer.geff", tmp_path / "peer.zarr")
    graph = read_to_memory(tmp_path / "peer.geff")
    # 4 + 2 * 4 + 7 + 8 + 1 nodes; the edges of tracks, two of the division, one over the gap.
    assert len(graph["node_ids"]) == 28
    assert len(graph["edge_ids"]) == 3 + 2 * 3 + 6 + 7 + 2


def test_an_object_that_others_cover_is_said(tmp_path) -> None:
    labels = np.zeros((2, 20, 20), np.uint16)
    labels[:, 5:10, 5:10] = 1
    masklets = MaskletSet.from_labels(labels)
    masklets.write(2, 0, masklets.record(1, 0))
    objects = TrackedObjects(MaskletMasks(masklets), Lineage.from_mothers({2: 1}))
    done = export(objects, tmp_path / "01_RES")
    assert is_valid(done.path)
    # The later of two equal masks is on top, so 1 begins when 2 has gone: no mother of it.
    assert table(done.path) == [(1, 1, 1, 0), (2, 0, 0, 0)]
    assert "object 2 without parent" in " ".join(done.notes)


def test_more_tracks_than_labels_are_refused(flat_objects, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(write_ctc, "_MOST", 6)
    with pytest.raises(ValueError, match=r"7 tracks and the challenge's 16-bit labels hold 6"):
        export(flat_objects, tmp_path / "01_RES")
    assert not list(tmp_path.glob("01_RES*"))


@pytest.mark.parametrize("kind", ["flat", "deep"])
def test_results_come_back_as_a_session(kind, request, tmp_path) -> None:
    source = request.getfixturevalue(kind)
    before = open_tracked(source)
    folder = export(before, tmp_path / "01_RES").path
    done = import_session(folder, tmp_path / "cells.ome.tif", tmp_path / "again.sam2")
    assert done.num_divisions == 1
    record = read_session(done.path)
    assert record.movie == read_session(source).movie
    again = export(open_tracked(done.path), tmp_path / "02_RES").path
    twice = document_of(read_ctc(again))
    labels = record.document.masklets.to_labels()
    assert np.array_equal(twice.masklets.to_labels(), labels)
    written = [tifffile.imread(path) for path in sorted(folder.glob("mask*.tif"))]
    assert np.array_equal(labels > 0, np.reshape(written, labels.shape) > 0)
    # A gap is a gap again, not two objects; a prompt on the first frame says how each one looks.
    document = record.document
    assert len(document.object_ids) == len(before.masks.object_ids())
    assert document.lineage == {2: 1, 3: 1}
    assert {prompt.object_id for prompt in document.prompts.all()} == set(document.object_ids)


def test_ground_truth_takes_whole_masks_where_there_are_some(tmp_path) -> None:
    truth = tmp_path / "01_GT"
    (truth / "TRA").mkdir(parents=True)
    (truth / "SEG").mkdir()
    cell = np.zeros((2, 30, 30), np.uint16)
    cell[:, 5:15, 5:15] = 1
    for t in range(2):
        marker = np.zeros((30, 30), np.uint16)
        marker[9:11, 9:11] = 4
        marker[20:22, 20:22] = 6
        tifffile.imwrite(truth / "TRA" / f"man_track{t:03d}.tif", marker)
    tifffile.imwrite(truth / "SEG" / "man_seg001.tif", cell[1] * 9)
    (truth / "TRA" / "man_track.txt").write_text("4 0 1 0\n6 0 1 0\n")
    document = document_of(read_ctc(truth))
    areas = {(m.object_id, t): r.area for m in document.masklets for t, r in m.records.items()}
    assert areas == {(4, 0): 4, (4, 1): 100, (6, 0): 4, (6, 1): 4}


def test_parents_that_do_not_fit_are_left_out() -> None:
    spans = {1: (0, 3), 2: (2, 5), 3: (4, 5), 4: (6, 7)}
    ids, lineage, notes = objects_of_tracks(spans, {2: 1, 3: 1, 4: 9})
    assert ids == {1: 1, 2: 2, 3: 3, 4: 4}
    assert lineage.graph() == {3: [1]}
    assert "no parent for 2, 4" in notes[0]
