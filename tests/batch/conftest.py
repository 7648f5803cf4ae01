"""Small movies with prompts beside them, and what of a result has to be the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2.io.prompts_file import write_prompts
from napari_sam2.prompts import PointPrompt


def draw(seed: int, frames: int = 8) -> np.ndarray:
    """Two bright disks that move over noise, uint16 (T, 80, 96)."""
    y, x = np.indices((80, 96))
    movie = np.random.default_rng(seed).normal(200, 10, (frames, 80, 96))
    for t in range(frames):
        for centre in ((24 + t, 24 + seed), (54, 70 - 2 * t)):
            movie[t] += 800 * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 80)
    return movie.astype(np.uint16)


@pytest.fixture
def make_movie(tmp_path):
    """Write a movie and its prompts; they lie on three frames, so passes go both ways."""

    def make(name: str, seed: int = 0, frames: int = 8) -> Path:
        folder = tmp_path / "movies"
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / f"{name}.tif", draw(seed, frames))
        prompts = [
            PointPrompt(1, 2, (26.0, 24.0 + seed)),
            PointPrompt(2, 3, (54.0, 64.0)),
            PointPrompt(1, 5, (29.0, 24.0 + seed)),
        ]
        write_prompts(folder / f"{name}.prompts.json", prompts)
        return folder / f"{name}.tif"

    return make


@pytest.fixture
def digest():
    """Return the digests of everything in a result but its notes of time and place."""

    def read(folder: Path) -> dict[str, str]:
        notes = {"events.jsonl", "result.json", "job.json"}
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in notes
        }

    return read
