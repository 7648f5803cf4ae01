"""Label stacks: what is on disk, at every moment, and what other libraries read from it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.io.label_stack import LabelStackWriter, read_labels, write_label_tiff


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 9, (5, 20, 30)).astype(np.uint16) * 7000


def test_frames_are_on_disk_as_soon_as_they_are_written(tmp_path, labels):
    writer = LabelStackWriter(tmp_path / "labels.zarr", labels.shape)
    for frame in (3, 1):
        writer.write(frame, labels[frame])
        opened = zarr.open_array(tmp_path / "labels.zarr", mode="r")
        assert np.array_equal(opened[frame], labels[frame])
    assert writer.frames_written == (1, 3)
    assert not opened[0].any()
    assert opened.chunks == (1, 20, 30)
    assert opened.dtype == np.uint16


def test_a_frame_may_be_written_again(tmp_path, labels):
    writer = LabelStackWriter(tmp_path / "labels.zarr", labels.shape)
    writer.write(0, labels[0])
    writer.write(0, labels[4])
    assert np.array_equal(read_labels(tmp_path / "labels.zarr")[0], labels[4])


def test_an_empty_frame_leaves_a_chunk_that_says_it_is_done(tmp_path):
    writer = LabelStackWriter(tmp_path / "labels.zarr", (2, 4, 4))
    writer.write(1, np.zeros((4, 4), np.uint16))
    assert writer.array.nchunks_initialized == 1


def test_the_tiff_is_what_tifffile_reads(tmp_path, labels):
    writer = LabelStackWriter(tmp_path / "labels.zarr", labels.shape)
    for frame, picture in enumerate(labels):
        writer.write(frame, picture)
    path = writer.save_tiff(tmp_path / "labels.tif")
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "TYX"
        assert np.array_equal(tiff.asarray(), labels)
        assert len(tiff.pages) == len(labels)
    assert list(tmp_path.glob("*.part")) == []


def test_large_ids_are_kept_in_32_bits(tmp_path):
    big = np.full((2, 8, 8), 100_000, np.uint32)
    writer = LabelStackWriter(tmp_path / "labels.zarr", big.shape, np.uint32)
    writer.write(0, big[0])
    assert tifffile.imread(writer.save_tiff(tmp_path / "labels.tif")).dtype == np.uint32
    narrow = LabelStackWriter(tmp_path / "narrow.zarr", big.shape)
    with pytest.raises(ValueError, match="object 100000 does not fit uint16"):
        narrow.write(0, big[0])


@pytest.mark.parametrize(("frame", "shape"), [(5, (20, 30)), (-1, (20, 30)), (0, (30, 20))])
def test_a_frame_outside_the_stack_is_refused(tmp_path, labels, frame, shape):
    writer = LabelStackWriter(tmp_path / "labels.zarr", labels.shape)
    with pytest.raises(ValueError, match=f"frame {frame}"):
        writer.write(frame, np.zeros(shape, np.uint16))


def test_results_are_not_overwritten_unless_asked(tmp_path, labels):
    LabelStackWriter(tmp_path / "labels.zarr", labels.shape).write(0, labels[1])
    with pytest.raises(FileExistsError, match=r"labels\.zarr exists"):
        LabelStackWriter(tmp_path / "labels.zarr", labels.shape)
    fresh = LabelStackWriter(tmp_path / "labels.zarr", labels.shape, overwrite=True)
    assert not fresh.array[0].any()
    write_label_tiff(tmp_path / "labels.tif", labels)
    with pytest.raises(FileExistsError, match=r"labels\.tif exists"):
        write_label_tiff(tmp_path / "labels.tif", labels[:1])
    write_label_tiff(tmp_path / "labels.tif", labels[:1], overwrite=True)
    assert tifffile.imread(tmp_path / "labels.tif").size == labels[0].size


def test_a_folder_that_is_no_zarr_is_never_replaced(tmp_path):
    (tmp_path / "labels.zarr").mkdir()
    (tmp_path / "labels.zarr" / "thesis.txt").write_text("years of work")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    for name in ("notes", "labels.zarr"):
        with pytest.raises(FileExistsError, match="no zarr"):
            LabelStackWriter(tmp_path / name, (1, 4, 4), overwrite=True)
        assert (tmp_path / name / "thesis.txt").exists()


def test_pictures_that_are_no_labels_are_refused(tmp_path):
    np.save(tmp_path / "picture.npy", np.zeros((4, 4), np.float32))
    with pytest.raises(ValueError, match="float32"):
        read_labels(tmp_path / "picture.npy")


def run_with_small_disk(script, folder):
    """Run a script that can write no file above 64 kB: the kernel refuses as on a full disk."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
    return subprocess.run(
        [sys.executable, "-c", limit + textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_a_full_disk_keeps_the_frames_that_were_written(tmp_path):
    done = run_with_small_disk(
        """
        import sys, numpy as np
        from napari_sam2.io.label_stack import LabelStackWriter
        writer = LabelStackWriter(sys.argv[1] + "/labels.zarr", (3, 512, 512))
        writer.write(0, np.full((512, 512), 5, np.uint16))
        noise = np.random.default_rng(0).integers(0, 60000, (512, 512)).astype(np.uint16)
        try:
            writer.write(1, noise)
        except OSError as error:
            sys.exit(str(error))
        """,
        tmp_path,
    )
    assert "no space to write" in done.stderr
    assert "MiB free" in done.stderr
    assert "1 written frames are kept" in done.stderr
    assert "labels.zarr" in done.stderr
    kept = read_labels(tmp_path / "labels.zarr")
    assert (kept[0] == 5).all()
    assert not kept[1].any()


def test_a_full_disk_keeps_the_older_tiff(tmp_path, labels):
    write_label_tiff(tmp_path / "labels.tif", labels)
    done = run_with_small_disk(
        """
        import sys, numpy as np
        from napari_sam2.io.label_stack import write_label_tiff
        noise = np.random.default_rng(0).integers(0, 60000, (9, 512, 512)).astype(np.uint16)
        try:
            write_label_tiff(sys.argv[1] + "/labels.tif", noise, overwrite=True)
        except OSError as error:
            sys.exit(str(error))
        """,
        tmp_path,
    )
    assert "no space to write" in done.stderr
    assert np.array_equal(tifffile.imread(tmp_path / "labels.tif"), labels)
    assert list(tmp_path.glob("*.part")) == []
