"""Twelve movies, killed twice in the middle and gone on with; then on Dask with a worker killed.

``python -m tests.benchmarks.bench_batch`` prints whether masks and tables are the same bytes as
those of an undisturbed run. ``--frames`` and ``--workers`` make it smaller or larger. Every process
has one thread: numbers are the same bytes only where they are added in the same order.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from tests.benchmarks.report import circumstances, progress

from napari_sam2.training.synthetic.movie import random_movie

DATA = Path(os.environ.get("NAPARI_SAM2_DATA", "../shared/data"))
REAL = ("ctc_N2DH-SIM_01", "ctc_N2DH-GOWT1_01", "ctc_N2DL-HeLa_01", "em_fibsem_medulla_z000-149")
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


def start(movies: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start a batch; what it says goes to a file beside its results."""
    with out.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            command(movies, out, *options),
            stdout=log,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def run(movies: Path, out: Path, *options: str) -> float:
    """Run a batch to its end and return the seconds that it took."""
    started = time.perf_counter()
    process = start(movies, out, *options)
    if process.wait():
        raise RuntimeError(f"a batch ended with {process.returncode}: {_log(out)}")
    return time.perf_counter() - started


def frames_done(place: Path) -> int:
    """Return how many frames of a movie in work are on disk."""
    try:
        index = json.loads((place / "memories/index.json").read_text())
    except FileNotFoundError:
        return 0
    return int(index["progress"]["count"])


def run_killed(movies: Path, out: Path, after: int) -> None:
    """Run a batch and kill it when so many movies are done and the next one is in work."""
    process = start(movies, out)
    while process.poll() is None:
        done = len(list(out.glob("*/result.json")))
        begun = [place for place in out.glob("*.part") if frames_done(place) > 2]
        if done >= after and begun:
            process.send_signal(signal.SIGKILL)
            process.wait()
            progress(f"killed after {done} movies, in the middle of {begun[0].name}")
            return
        time.sleep(0.05)
    raise RuntimeError(f"the batch ended before {after} movies were done: {_log(out)}")


def run_with_a_death(movies: Path, out: Path, workers: int) -> float:
    """Run a batch on workers and kill the first one that is in the middle of a movie."""
    started = time.perf_counter()
    process = start(movies, out, "--workers", str(workers))
    killed = ""
    while process.poll() is None:
        for place in [] if killed else out.glob("*.part"):
            if frames_done(place) < 3:
                continue
            killed = place.name
            events = (place / "events.jsonl").read_text().splitlines()
            os.kill(json.loads(events[-1])["pid"], signal.SIGKILL)
            progress(f"killed the worker of {killed}")
            break
        time.sleep(0.05)
    if not killed or process.returncode:
        raise RuntimeError(f"the batch ended with {process.returncode}, killed: {_log(out)}")
    return time.perf_counter() - started


def history(out: Path) -> str:
    """Say how often movies were begun again and finished, and from which frame they went on."""
    told = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(out.glob("*/events.jsonl"))
    ]
    again = [e["frames_done"] for one in told for e in one[1:] if e["event"] == "started"]
    ends = [sum(e["event"] == "finished" for e in one) for one in told]
    processes = len({one[-1]["pid"] for one in told})
    return (
        f"{len(told)} movies finished by {processes} processes, each {min(ends)} to {max(ends)} "
        f"times; begun again: {len(again)}, after {again} frames"
    )


def compare(what: str, out: Path, expected: dict[str, str], seconds: float) -> None:
    """Print whether results are the same bytes."""
    found = digests(out)
    other = sorted({name for name, _ in expected.items() ^ found.items()})
    same = "all the same bytes" if not other else f"{len(other)} differ, such as {other[0]}"
    _say(f"{what}: {len(found)} files, {same}, {seconds:.0f} s\n  {history(out)}")


def _log(out: Path) -> str:
    return out.with_suffix(".log").read_text()[-2000:]


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Print what is the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    _say(circumstances())
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        movies = root / "movies"
        make_movies(movies, options.frames)
        seconds = run(movies, root / "whole")
        expected = digests(root / "whole")
        compare("undisturbed", root / "whole", expected, seconds)
        started = time.perf_counter()
        run_killed(movies, root / "killed", 3)
        run_killed(movies, root / "killed", 7)
        run(movies, root / "killed")
        compare("killed twice", root / "killed", expected, time.perf_counter() - started)
        seconds = run_with_a_death(movies, root / "dask", options.workers)
        what = f"{options.workers} Dask workers, one killed"
        compare(what, root / "dask", expected, seconds)
        page = (root / "dask/batch_report.html").read_text()
        for said in re.findall(r"<li>(.*?)</li>|<p>(Interrupted.*?)</p>", page):
            _say(f"  the report says: {html.unescape(''.join(said))}")


if __name__ == "__main__":
    main()
