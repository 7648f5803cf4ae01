"""A movie in a file, and a way to run the command in this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tifffile

from napari_sam2.cli import main


@pytest.fixture
def movie_path(tmp_path, movie) -> Path:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, movie)
    return path


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys):
    """Run ``napari-sam2`` with arguments in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["napari-sam2", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        status = ended.value.code
        return Outcome(status if isinstance(status, int) else 0, printed.out, printed.err)

    return run
