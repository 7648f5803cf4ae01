"""Movies of every kind, written by other libraries and opened here."""

from __future__ import annotations

import gc

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2.io.read import read_movie


@pytest.fixture
def movie():
    return np.random.default_rng(0).integers(0, 60_000, (6, 24, 32), dtype=np.uint16)


def same(opened, expected):
    assert opened.shape == expected.shape
    assert opened.dtype == expected.dtype
    for frame in range(expected.shape[0]):
        assert np.array_equal(np.asarray(opened[frame]), expected[frame])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "lzw"},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"metadata": None},
        {"bigtiff": True},
        {"tile": (16, 16)},
    ],
)
def test_tiff(tmp_path, movie, options):
    tifffile.imwrite(tmp_path / "movie.tif", movie, **options)
    same(read_movie(tmp_path / "movie.tif"), movie)


def test_a_tiff_written_page_by_page(tmp_path, movie):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        for frame in movie:
            writer.write(frame, contiguous=False, metadata=None)
    same(read_movie(tmp_path / "movie.tif"), movie)


def test_a_tiff_of_one_picture_is_a_movie_of_one_frame(tmp_path, movie):
    tifffile.imwrite(tmp_path / "one.tif", movie[0])
    same(read_movie(tmp_path / "one.tif"), movie[:1])


def test_the_file_closes_when_the_array_goes(tmp_path, movie):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, movie)
    opened = read_movie(path)
    assert np.array_equal(opened[0], movie[0])
    del opened
    gc.collect()  # an open file would now be a ResourceWarning, which is an error here


def test_axes_of_ome_tiff_are_used(tmp_path, movie):
    channels = np.stack([movie, movie // 2], axis=1)
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, channels, metadata={"axes": "TCYX"})
    opened = read_movie(path)
    same(opened, np.moveaxis(channels, 1, -1))
    assert isinstance(opened, da.Array)


def test_a_coloured_tiff_has_channels_last(tmp_path):
    colour = np.random.default_rng(1).integers(0, 255, (4, 20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb")
    same(read_movie(tmp_path / "rgb.tif"), colour)


def test_axes_given_by_the_caller_win(tmp_path, movie):
    path = tmp_path / "movie.npy"
    np.save(path, np.moveaxis(movie, 0, -1))
    same(read_movie(path, axes="YXT"), movie)


def test_time_and_depth_at_once_is_refused_with_the_remedy(tmp_path, movie):
    path = tmp_path / "tz.ome.tif"
    tifffile.imwrite(path, movie.reshape(2, 3, 24, 32), metadata={"axes": "TZYX"})
    with pytest.raises(ValueError, match=r"axis T .* length 2.* one plane"):
        read_movie(path)


@pytest.mark.parametrize("axes", ["TY", "TTX", "TYXC", "ABC"])
def test_axes_that_make_no_sense_are_refused(tmp_path, movie, axes):
    np.save(tmp_path / "movie.npy", movie)
    with pytest.raises(ValueError, match=axes):
        read_movie(tmp_path / "movie.npy", axes=axes)


def test_an_array_of_four_axes_has_to_say_which_is_which(tmp_path):
    np.save(tmp_path / "movie.npy", np.zeros((3, 2, 24, 32)))
    with pytest.raises(ValueError, match="--axes"):
        read_movie(tmp_path / "movie.npy")


def test_npy_is_mapped_not_read(tmp_path, movie):
    np.save(tmp_path / "movie.npy", movie)
    opened = read_movie(tmp_path / "movie.npy")
    assert isinstance(opened, np.memmap)
    same(opened, movie)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_array(tmp_path, movie, version):
    path = tmp_path / "movie.zarr"
    array = zarr.create_array(
        path, shape=movie.shape, chunks=(1, 24, 32), dtype=movie.dtype, zarr_format=version
    )
    array[:] = movie
    same(read_movie(path), movie)


@pytest.mark.parametrize("version", [2, 3])
def test_the_first_level_of_ome_zarr(tmp_path, movie, version):
    path = tmp_path / "movie.ome.zarr"
    group = zarr.create_group(path, zarr_format=version)
    data = movie[:, None, None]
    for name, level in (("0", data), ("1", data[..., ::2, ::2])):
        array = group.create_array(
            name, shape=level.shape, chunks=(1, *level.shape[1:]), dtype="u2"
        )
        array[:] = level
    multiscales = [
        {
            "axes": [{"name": name} for name in "tczyx"],
            "datasets": [{"path": "0"}, {"path": "1"}],
        }
    ]
    content = {"multiscales": multiscales}
    group.attrs.update({"ome": content} if version == 3 else content)
    opened = read_movie(path)
    assert opened.shape == (6, 24, 32, 1)
    assert np.array_equal(np.asarray(opened[4])[..., 0], movie[4])


def test_dimension_names_of_zarr_are_used(tmp_path, movie):
    path = tmp_path / "movie.zarr"
    array = zarr.create_array(
        path, shape=(24, 32, 6), dtype="u2", dimension_names=("y", "x", "time"), chunks=(24, 32, 1)
    )
    array[:] = np.moveaxis(movie, 0, -1)
    same(read_movie(path), movie)


def test_a_group_of_several_arrays_asks_for_one(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr")
    for name in ("left", "right"):
        group.create_array(name, shape=(2, 4, 4), dtype="u1")
    with pytest.raises(ValueError, match="left, right"):
        read_movie(tmp_path / "g.zarr")


def test_a_zarr_folder_without_metadata_is_refused(tmp_path):
    (tmp_path / "movie.zarr").mkdir()
    with pytest.raises(ValueError, match="no zarr array"):
        read_movie(tmp_path / "movie.zarr")


def write_pictures(folder, movie, suffix="png"):
    folder.mkdir()
    for index, frame in enumerate(movie):
        Image.fromarray(frame).save(folder / f"frame{index + 7}.{suffix}")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_folder_of_pictures_in_the_order_of_their_numbers(tmp_path, movie, suffix):
    write_pictures(tmp_path / "frames", movie, suffix)
    same(read_movie(tmp_path / "frames"), movie)


def test_a_pattern_of_pictures(tmp_path, movie):
    write_pictures(tmp_path / "frames", movie)
    (tmp_path / "frames" / "notes.txt").write_text("not a picture")
    same(read_movie(tmp_path / "frames" / "frame1*.png"), movie[3:])


def test_coloured_pictures(tmp_path):
    colour = np.random.default_rng(2).integers(0, 255, (3, 20, 30, 3), dtype=np.uint8)
    write_pictures(tmp_path / "frames", colour)
    same(read_movie(tmp_path / "frames"), colour)


def test_pictures_of_two_sizes_are_refused(tmp_path, movie):
    write_pictures(tmp_path / "frames", movie)
    Image.fromarray(movie[0, :10]).save(tmp_path / "frames" / "frame99.png")
    with pytest.raises(ValueError, match=r"frame99.png has shape \(10, 32\)"):
        read_movie(tmp_path / "frames")


@pytest.mark.parametrize("content", [b"", b"not a picture at all"])
def test_a_picture_that_is_none_is_named(tmp_path, movie, content):
    write_pictures(tmp_path / "frames", movie)
    (tmp_path / "frames" / "frame8.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"frame8\.png"):
        read_movie(tmp_path / "frames")


def test_a_truncated_picture_is_named_when_its_frame_is_read(tmp_path, movie):
    write_pictures(tmp_path / "frames", movie)
    cut = tmp_path / "frames" / "frame9.png"
    cut.write_bytes(cut.read_bytes()[:600])
    opened = read_movie(tmp_path / "frames")
    assert np.array_equal(np.asarray(opened[1]), movie[1])
    with pytest.raises(ValueError, match=r"frame9\.png"):
        np.asarray(opened[2])


@pytest.mark.parametrize("part", [0.95, 0.5, 0.1, 0.002])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"imagej": True},
        {"metadata": None},
        {"metadata": {"axes": "TYX"}, "ome": True},
        {"metadata": {"axes": "TYX"}, "ome": True, "compression": "lzw"},
        {"bigtiff": True, "compression": "zlib"},
    ],
)
def test_a_truncated_tiff_is_refused(tmp_path, movie, options, part):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, movie, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(4, int(len(whole) * part))])
    with pytest.raises(ValueError, match=r"cut\.tif is (truncated|no TIFF)"):
        read_movie(path)


def test_a_truncated_npy_is_refused(tmp_path, movie):
    path = tmp_path / "cut.npy"
    np.save(path, movie)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cut\.npy"):
        read_movie(path)


@pytest.mark.parametrize("name", ["movie.tif", "movie.npy", "movie.png"])
def test_text_is_no_movie_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_text("I am no picture, though my name says so.")
    with pytest.raises(ValueError, match=name):
        read_movie(tmp_path / name)


@pytest.mark.parametrize("name", ["movie.tif", "movie.npy", "movie.png", "movie.mp4"])
def test_an_empty_file_is_called_empty(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"{name} is empty"):
        read_movie(tmp_path / name)


def test_another_kind_of_file_is_refused_with_the_kinds_that_work(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="give TIFF, OME-TIFF, zarr"):
        read_movie(tmp_path / "film.mp4")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.tif does not exist"):
        read_movie(tmp_path / "nothing.tif")
    with pytest.raises(FileNotFoundError, match=r"\*\.png"):
        read_movie(tmp_path / "*.png")


def test_an_empty_folder_and_an_empty_array_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="neither"):
        read_movie(tmp_path / "empty")
    np.save(tmp_path / "none.npy", np.zeros((0, 10, 10)))
    with pytest.raises(ValueError, match=r"\(0, 10, 10\)"):
        read_movie(tmp_path / "none.npy")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "frames"), [("mitocheck_movie", 30), ("ctc_N2DH-SIM_01", 65), ("c_elegans_em", 21)]
)
def test_real_movies_open_as_tifffile_reads_them(data_folder, name, frames):
    path = data_folder / name / f"{name}_images.tif"
    opened, expected = read_movie(path), tifffile.imread(path)
    assert opened.shape[0] == frames
    assert np.array_equal(np.asarray(opened[frames // 2]), expected[frames // 2])
