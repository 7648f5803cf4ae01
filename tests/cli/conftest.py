"""A small movie, weights without training, and a way to run the command in this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import save_file

from napari_sam2.cli import main
from napari_sam2.model.config import PRESETS
from napari_sam2.model.sam2 import SAM2


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """The bundled network with random weights: what it draws is nonsense, how it runs is not."""
    generator = torch.random.fork_rng()
    with generator:
        torch.manual_seed(0)
        model = SAM2(PRESETS["bundled"])
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, path, {"config": "bundled"}
    )
    return path


@pytest.fixture(scope="session")
def movie() -> np.ndarray:
    """Five frames with two bright disks that move."""
    y, x = np.indices((64, 72))
    frames = np.random.default_rng(0).normal(200, 10, (5, 64, 72))
    for t in range(5):
        for centre in ((20 + t, 20), (45, 50 - t)):
            frames[t] += 800 * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 80)
    return frames.astype(np.uint16)


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
