"""``napari-sam2 models``."""

from __future__ import annotations

import pytest

from napari_sam2 import __version__


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of downloaded weights."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_list_names_every_network_and_where_it_is(command, folder):
    done = command("models", "list")
    assert done.status == 0
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:10]] == [
        "bundled",
        *(f"sam2.1-{size}" for size in ("tiny", "small", "base-plus", "large")),
        *(f"sam2-{size}" for size in ("tiny", "small", "base-plus", "large")),
    ]
    assert str(folder) in lines[-1]
    large = next(line for line in lines if line.startswith("sam2.1-large"))
    assert large.split()[1:] == ["898", "Apache-2.0", "no"]


def test_check_names_a_file_that_is_not_there(command, folder):
    done = command("models", "check", "sam2.1-tiny")
    assert done.status == 2
    assert "sam2.1" in done.err
    assert "Traceback" not in done.err


def test_check_refuses_a_truncated_file(command, folder):
    folder.mkdir()
    (folder / "sam2.1_hiera_tiny.pt").write_bytes(b"not all of it")
    done = command("models", "check", "sam2.1-tiny")
    assert done.status == 2
    assert "sam2.1_hiera_tiny.pt" in done.err


def test_an_unknown_network_is_answered_with_the_known_ones(command, folder):
    for verb in ("fetch", "check"):
        done = command("models", verb, "sam9")
        assert done.status == 2
        assert "sam9" in done.err
        assert "sam2.1-large" in done.err


def test_the_version(command):
    assert command("--version").out.strip() == f"napari-sam2 {__version__}"


def test_without_a_command_there_is_help(command):
    done = command()
    assert all(name in done.out + done.err for name in ("track", "models", "demo"))
