"""Files that are there whole or not at all."""

from __future__ import annotations

import errno

import pytest

from napari_sam2.io.writing import writing_whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "result.txt"
    with writing_whole(path, overwrite=False) as unfinished:
        unfinished.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("problem", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_older_file_stays_when_writing_fails(tmp_path, problem):
    path = tmp_path / "result.txt"
    path.write_text("older")

    def fail():
        with writing_whole(path, overwrite=True) as unfinished:
            unfinished.write_text("ha")
            raise problem

    with pytest.raises(type(problem)):
        fail()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_explained_and_other_errors_are_not_touched(tmp_path):
    def fail(number):
        with writing_whole(tmp_path / "result.txt", overwrite=False):
            raise OSError(number, "bare")

    with pytest.raises(OSError, match=r"no space to write .*result\.txt .* MiB free") as full:
        fail(errno.ENOSPC)
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="bare"):
        fail(errno.EIO)
