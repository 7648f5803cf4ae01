"""Twelve movies, killed twice in the middle and gone on with; then on Dask with a worker killed.

``python -m tests.benchmarks.bench_batch`` prints whether masks and tables are the same bytes as
those of an undisturbed run. ``--frames`` and ``--workers`` make it smaller or larger.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from tests.benchmarks.report import progress

from napari_sam2.training.synthetic.movie import random_movie

DATA = Path(os.environ.get("NAPARI_SAM2_DATA", "../shared/data"))
REAL = ("ctc_N2DH-SIM_01", "ctc_N2DH-GOWT1_01", "ctc_N2DL-HeLa_01", "drosophila_embryo_h2b_1")
SIDE = 160
OBJECTS = 3
NOTES = {"events.jsonl", "result.json", "job.json"}


def make_movies(folder: Path, frames: int) -> None:
    """Write four real movies and eight synthetic ones, cut small, with labels of one frame."""
    folder.mkdir(parents=True)
    made = 0
    for name in REAL:
        place = DATA / name
        if not place.is_dir():
            continue
        images = tifffile.imread(next(place.glob("*_images.tif")), key=range(frames))
        labels = tifffile.imread(next(place.glob("*_labels.tif")), key=0)
        made += _write(folder, name, images, labels)
    for seed in range(12 - made):
        movie = random_movie(seed, frames, (SIDE, SIDE), "nuclei", 12)
        _write(folder, f"synthetic_{seed:02d}", movie.images, movie.labels[0])


def _write(folder: Path, name: str, images: np.ndarray, labels: np.ndarray) -> int:
    """Cut the window around the middle object of the first frame; write movie and seeds."""
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    ys, xs = np.nonzero(labels == ids[np.argsort(counts)[len(ids) // 2]])
    y, x = (
        int(np.clip(c.mean() - SIDE / 2, 0, n - SIDE))
        for c, n in zip((ys, xs), labels.shape, strict=True)
    )
    window = slice(y, y + SIDE), slice(x, x + SIDE)
    seeds = labels[window].copy()
    kept = np.unique(seeds[seeds > 0])[:OBJECTS]
    seeds[~np.isin(seeds, kept)] = 0
    tifffile.imwrite(folder / f"{name}.tif", images[(slice(None), *window)])
    tifffile.imwrite(folder / f"{name}.labels.tif", seeds.astype(np.uint16))
    return 1


def digests(out: Path) -> dict[str, str]:
    """Return the digests of masks and tables of all movies."""
    found = {}
    for path in sorted(out.rglob("*")):
        is_result = path.parent != out and ".locks" not in path.parts
        if path.is_file() and is_result and path.name not in NOTES:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(out))] = content
    return found


def command(movies: Path, out: Path, *options: str) -> list[str]:
    """Return the command line of a batch."""
    line = [sys.executable, "-m", "napari_sam2", "batch", str(movies), "--out", str(out)]
    return [*line, "--outputs", "tiff csv", *options]


def run_killed(movies: Path, out: Path, after: int) -> None:
    """Run a batch and kill it when so many movies are done and the next one is in work."""
    process = subprocess.Popen(command(movies, out), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        done = len(list(out.glob("*/result.json")))
        if done >= after and list(out.glob("*.part/memories/index.json")):
            process.send_signal(signal.SIGKILL)
            process.wait()
            progress(f"killed after {done} movies")
            return
        time.sleep(0.05)
    raise RuntimeError(f"the batch ended before {after} movies were done")


def run_with_a_death(movies: Path, out: Path, workers: int) -> None:
    """Run a batch on workers and kill the first one that is in the middle of a movie."""
    process = subprocess.Popen(
        command(movies, out, "--workers", str(workers)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    is_killed = False
    while process.poll() is None:
        for index in [] if is_killed else out.glob("*.part/memories/index.json"):
            events = index.parent.parent / "events.jsonl"
            os.kill(json.loads(events.read_text().splitlines()[-1])["pid"], signal.SIGKILL)
            progress(f"killed the worker of {index.parent.parent.name}")
            is_killed = True
            break
        time.sleep(0.05)
    if not is_killed or process.returncode:
        raise RuntimeError(f"the batch ended with {process.returncode}, killed: {is_killed}")


def main() -> None:
    """Print what is the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_movies(root / "movies", options.frames)
        started = time.perf_counter()
        subprocess.run(command(root / "movies", root / "whole"), check=True)
        expected = digests(root / "whole")
        print(f"undisturbed: {len(expected)} files, {time.perf_counter() - started:.0f} s")
        run_killed(root / "movies", root / "killed", 3)
        run_killed(root / "movies", root / "killed", 7)
        subprocess.run(command(root / "movies", root / "killed"), check=True)
        print(f"killed twice: same bytes: {digests(root / 'killed') == expected}")
        run_with_a_death(root / "movies", root / "dask", options.workers)
        same = digests(root / "dask") == expected
        events = [path.read_text() for path in (root / "dask").glob("*/events.jsonl")]
        twice = sum(text.count('"finished"') > 1 for text in events)
        begun = sum(text.count('"started"') - 1 for text in events)
        print(f"{options.workers} workers, one killed: same bytes: {same}, ", end="")
        print(f"begun again: {begun}, run twice to completion: {twice}")


if __name__ == "__main__":
    main()
