"""The one function for every format: which is meant, what is refused, what a full disk leaves."""

from __future__ import annotations

import errno
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.io import write_ctc, write_geff, write_ome_tiff
from napari_sam2.io.calibration import Calibration, read_calibration
from napari_sam2.io.export import FORMATS, export, format_of
from napari_sam2.io.import_session import import_session
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.session_file import SessionFolder, read_session
from napari_sam2.io.session_masks import records_on
from napari_sam2.io.tracked_objects import SpilledPlanes
from napari_sam2.masklets import MaskletSet

NAMES = {
    "ctc": "01_RES", "geff": "a.geff", "ome-zarr": "a.ome.zarr", "tiff": "a.ome.tif",
    "csv": "a.csv", "parquet": "a.parquet", "coco": "a.json", "trackmate": "a.xml",
    "napari-tracks": "a.tracks.csv",
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", list(FORMATS))


def listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_ending_says_the_format() -> None:
    assert {format_of(name).name: name for name in NAMES.values()} == NAMES
    assert format_of("A.OME.TIFF").name == "tiff"
    assert format_of("a.csv", "napari-tracks").name == "napari-tracks"
    with pytest.raises(ValueError, match=r"'cells.doc' does not say.*\.geff"):
        format_of("cells.doc")
    with pytest.raises(ValueError, match="no format 'word': choose one of ctc"):
        format_of("cells.csv", "word")


@EVERY
def test_an_empty_session_is_refused(name, tmp_path) -> None:
    with pytest.raises(ValueError, match="no object has a mask; track or paint"):
        export(MaskletSet((2, 9, 9)), tmp_path / NAMES[name])
    assert listed(tmp_path) == set()


@EVERY
def test_nothing_is_replaced_unasked(name, flat_objects, tmp_path) -> None:
    folder = tmp_path / "new" / "out"  # made where it is not there
    export(flat_objects, folder / NAMES[name])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(FileExistsError, match="exists"):
        export(flat_objects, folder / NAMES[name])
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    export(flat_objects, folder / NAMES[name], overwrite=True)
    assert {path.name for path in before} == {path.name for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["ctc", "geff", "ome-zarr"])
def test_folders_of_others_are_never_replaced(name, flat_objects, tmp_path) -> None:
    folder = tmp_path / NAMES[name]
    folder.mkdir()
    (folder / "thesis.doc").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other things in it \(thesis.doc\)"):
        export(flat_objects, folder, overwrite=True)
    assert listed(folder) == {"thesis.doc"}


def disk_full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("name", "module", "what"),
    [
        ("ctc", write_ctc.tifffile, "imwrite"),
        ("tiff", write_ome_tiff.tifffile, "imwrite"),
        ("geff", write_geff, "_write_graph"),
        ("coco", Path, "open"),
    ],
)
def test_a_full_disk_leaves_no_half_file(
    name, module, what, flat_objects, tmp_path, monkeypatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(module, what, disk_full)
        with pytest.raises(OSError, match=r"no space to write .*MiB free in .*free some space"):
            export(flat_objects, folder / NAMES[name])
    assert listed(folder) == set()


@EVERY
def test_what_the_watcher_raises_ends_it_without_traces(name, flat_objects, tmp_path) -> None:
    folder = tmp_path / "out"
    steps: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        steps.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(flat_objects, folder / NAMES[name], watch=stop)
    assert listed(folder) == set()
    assert [done for done, _ in steps] == [1, 2, 3]
    assert steps[0][1] in (8, 16)


@pytest.mark.parametrize(
    ("name", "library"),
    [("geff", "geff"), ("ome-zarr", "ome_zarr"), ("parquet", "pyarrow"), ("coco", "pycocotools")],
)
def test_a_missing_library_is_named_with_its_extra(
    name, library, flat_objects, tmp_path, monkeypatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "napari_sam2.io.extras.find_spec", lambda one: None if one == library else found(one)
    )
    with pytest.raises(RuntimeError, match=rf"'{library}'.*pip install 'napari-sam2\[files\]'"):
        export(flat_objects, tmp_path / NAMES[name])


def test_no_library_of_a_format_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, napari_sam2.io.export, napari_sam2.io.import_session as _; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "napari", "geff", "ome_zarr", "pyarrow", "pycocotools", "pandas"}


def test_a_movie_of_another_size_is_refused(flat, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 60, 90), np.uint8), metadata={"axes": "TYX"})
    with pytest.raises(ValueError, match=r"masks are of a movie of \(8, 60, 80\).*\(8, 60, 90\)"):
        open_tracked(flat, tmp_path / "b.tif")
    with pytest.raises(ValueError, match=r"masks of \(8, 60, 80\).*movie has \(8, 60, 90\)"):
        import_session(
            export(open_tracked(flat), tmp_path / "l.tif").path, tmp_path / "b.tif",
            tmp_path / "b.sam2",
        )  # fmt: skip
    assert not (tmp_path / "b.sam2").exists()


def test_the_axes_of_a_layer_may_lack_the_channels_of_its_file(flat, tmp_path) -> None:
    record = read_session(flat)
    folder = SessionFolder(flat, record.movie)
    for axes, shape in (("TCYX", (8, 60, 80, 2)), ("TYX", (8, 60, 80, 2))):
        folder.write_head(record.document, {"axes": axes})
        assert open_tracked(flat).movie.shape == shape
    # A layer that was a part of its file: there is no telling which, so nothing is measured.
    tifffile.imwrite(tmp_path / "cells.ome.tif", np.zeros((9, 60, 80), np.uint8))
    objects = open_tracked(flat)
    assert objects.movie is None
    assert "has another size now" in objects.notes[-1]


def test_results_of_a_run_are_exported_with_their_parents(flat_objects, tmp_path) -> None:
    results = tmp_path / "results"
    export(flat_objects, results / "labels.tif")
    export(flat_objects, results / "tracks.csv", format="napari-tracks")
    (results / "run.json").write_text('{"movie": "%s"}' % (tmp_path / "cells.ome.tif"))
    objects = open_tracked(results)
    assert objects.lineage.daughters_of(1) == (2, 3)
    assert objects.movie is not None
    assert objects.calibration == Calibration((2.0, 0.5, 0.5), "micrometer", 5.0, "minute")
    done = export(objects, tmp_path / "01_RES")
    assert (done.path / "res_track.txt").read_text().startswith("1 0 3 0\n2 4 7 1\n")


def test_a_label_stack_becomes_a_session(flat, tmp_path) -> None:
    labels = export(open_tracked(flat), tmp_path / "labels.tif").path
    done = import_session(labels, tmp_path / "cells.ome.tif", tmp_path / "again")
    assert done.path == tmp_path / "again.sam2"
    assert done.num_objects == 6
    record = read_session(done.path)
    assert np.array_equal(record.document.masklets.to_labels(), tifffile.imread(labels))
    with pytest.raises(FileExistsError, match="a session is never replaced"):
        import_session(labels, tmp_path / "cells.ome.tif", tmp_path / "again")


def test_a_stack_without_an_object_is_no_session(flat, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "none.tif", np.zeros((8, 60, 80), np.uint8))
    with pytest.raises(ValueError, match="holds no object"):
        import_session(tmp_path / "none.tif", tmp_path / "cells.ome.tif", tmp_path / "a.sam2")
    assert not (tmp_path / "a.sam2").exists()


def test_parents_beside_a_label_stack_are_taken(flat, tmp_path) -> None:
    labels = export(open_tracked(flat), tmp_path / "labels.tif").path
    (tmp_path / "man_track.txt").write_text("1 0 3 0\n2 4 7 1\n3 4 7 1\n")
    done = import_session(labels, tmp_path / "cells.ome.tif", tmp_path / "again.sam2")
    assert read_session(done.path).document.lineage == {2: 1, 3: 1}
    assert "parents are from" in done.notes[0]


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        ({"unit": "micron", "spacing": 3.0, "finterval": 30.0}, ((3.0, 0.5, 0.5), 30.0, "second")),
        ({"unit": "um"}, ((0.5, 0.5, 0.5), 1.0, "frame")),
        ({}, ((1.0, 1.0, 1.0), 1.0, "frame")),
    ],
)
def test_imagej_says_the_scale(about, wanted, tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 9, 9), np.uint8), imagej=True, resolution=(2.0, 2.0),
                     metadata={"axes": "TYX", **about})  # fmt: skip
    found = read_calibration(path)
    assert (found.pixel, found.interval, found.time_unit) == wanted


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="give numbers above 0"):
        Calibration((1.0, 0.0, 1.0), "micrometer")


def test_the_masks_of_a_session_stay_on_disk(flat_objects, flat) -> None:
    """They are read plane by plane, as they were written, and nothing is written."""
    files = {path: path.stat().st_mtime_ns for path in flat.rglob("*") if path.is_file()}
    held = flat_objects.masks
    assert isinstance(held, SpilledPlanes)
    masklets = read_session(flat).document.masklets
    for plane in range(8):
        wanted = {i: one for i, one in records_on(masklets, plane).items() if one.visible}
        wanted.pop(9)  # rejected
        assert held.on(plane) == wanted
    assert files == {path: path.stat().st_mtime_ns for path in flat.rglob("*") if path.is_file()}


def test_a_long_movie_is_not_held_in_memory(tmp_path) -> None:
    """Only one frame of a label stack is read at a time, whatever the format does with it."""
    stack = zarr.create_array(str(tmp_path / "labels.zarr"), shape=(40, 30, 30), chunks=(1, 30, 30),
                              dtype="uint16", dimension_names=("t", "y", "x"))  # fmt: skip
    for t in range(40):
        stack[t, 5:10, 5:10] = 1
    objects = open_tracked(tmp_path / "labels.zarr")
    held: list[int] = []
    read = objects.masks.on
    alive: set[int] = set()

    class Record(dict):
        def __init__(self, *args) -> None:
            super().__init__(*args)
            alive.add(id(self))
            held.append(len(alive))

        def __del__(self) -> None:
            alive.discard(id(self))

    object.__setattr__(objects.masks, "on", lambda plane: Record(read(plane)))
    for name in FORMATS:
        export(objects, tmp_path / "out" / NAMES[name])
    assert max(held) <= 2
    assert len(held) >= 40
