"""Movies at addresses, and files of microscopes where their readers are not installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import zarr

from napari_sam2.io.read import read_movie


def test_a_zarr_is_opened_from_any_address_that_fsspec_knows():
    movie = np.arange(2 * 6 * 7, dtype=np.uint16).reshape(2, 6, 7)
    address = "memory://movies/a.zarr"
    stored = zarr.create_array(
        address,
        shape=movie.shape,
        chunks=(1, 6, 7),
        dtype="uint16",
        dimension_names=("t", "y", "x"),
    )
    stored[:] = movie
    found = read_movie(address)
    assert found.shape == (2, 6, 7)
    assert np.array_equal(np.asarray(found[1]), movie[1])


def test_an_address_with_nothing_there_is_named():
    with pytest.raises((ValueError, FileNotFoundError), match=r"memory://none/b\.zarr"):
        read_movie("memory://none/b.zarr")


@pytest.mark.parametrize("ending", ["nd2", "czi", "lif"])
def test_a_file_of_a_microscope_names_the_extra(tmp_path, ending):
    assert find_spec("bioio") is None, "written for an environment without BioIO"
    path = tmp_path / f"cells.{ending}"
    path.write_bytes(b"something")
    with pytest.raises(RuntimeError, match=r"napari-sam2\[microscopes\]"):
        read_movie(path)
