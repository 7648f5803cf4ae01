"""Resident size while 8 objects are tracked through a long movie, beside a short one.

``python -m tests.benchmarks.bench_long_movie --frames 5000`` draws a movie of 1024 x 1024 pixels
while it is read (dask), tracks it as a batch does, with masks streamed to zarr and read back, and
prints the resident size at the end beside that of 100 frames. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import dask.array as da
import numpy as np
import psutil

SIDE = 1024
OBJECTS = 8


def draw(block_info: dict) -> np.ndarray:
    """Draw eight disks that circle over noise, (1, S, S)."""
    t = block_info[None]["array-location"][0][0]
    frame = np.random.default_rng(t).integers(0, 60, (SIDE, SIDE), dtype=np.uint16)
    for y, x in centres(t):
        ys, xs = np.ogrid[:SIDE, :SIDE]
        frame[(ys - y) ** 2 + (xs - x) ** 2 < 22**2] += 150
    return frame[None]


def centres(t: int) -> list[tuple[float, float]]:
    """Where the disks are."""
    angle = t / 60
    places = [(256 + 512 * (i % 2), 128 + 256 * (i // 2), angle + i) for i in range(OBJECTS)]
    return [(y + 60 * np.sin(a), x + 60 * np.cos(a)) for y, x, a in places]


def track(frames: int) -> None:
    """Track one movie in this process and print its resident size."""
    from napari_sam2.batch import movie_run
    from napari_sam2.batch.job_spec import JobSpec
    from napari_sam2.batch.plan import PlannedJob
    from napari_sam2.io.prompts_file import write_prompts
    from napari_sam2.io.session_file import read_session
    from napari_sam2.prompts import PointPrompt

    movie = da.map_blocks(
        draw, chunks=((1,) * frames, SIDE, SIDE), dtype=np.uint16, meta=np.empty((0, 0, 0), "u2")
    )
    # The one thing that is not as users have it: the movie is drawn, no file is read.
    movie_run.read_movie = lambda *_: movie
    process, started = psutil.Process(), perf_counter()
    sizes: dict[int, int] = {}

    def watch(title: str, done: int, total: int) -> None:
        if done in (min(99, total), total):
            sizes[done] = process.memory_info().rss

    with tempfile.TemporaryDirectory() as place:
        prompts = Path(place) / "prompts.json"
        write_prompts(prompts, [PointPrompt(i + 1, 0, yx) for i, yx in enumerate(centres(0))])
        job = JobSpec(
            movie="drawn", prompts=str(prompts), out=place, outputs=(), direction="forward"
        )
        report = movie_run.run_movie(PlannedJob(job, "new", frames), watch)
        end = sizes[max(sizes)]
        whole = process.memory_info().rss
        last = read_session(Path(report.folder) / "drawn.sam2").document.masklets
        seen = sum(frames - 1 in masklet.visible_frames for masklet in last)
    found = {"warm": sizes[min(sizes)], "end": end, "whole": whole, "seen": seen}
    found["seconds"] = perf_counter() - started
    print(json.dumps(found))


def main() -> None:
    """Measure a short and a long movie."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        track(options.one)
        return
    ends = []
    for frames in (100, options.frames):
        line = [sys.executable, "-m", "tests.benchmarks.bench_long_movie", "--one", str(frames)]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        ends.append(found["end"])
        print(
            f"{frames} frames: {found['end'] / 2**20:.1f} MiB at the end of tracking, "
            f"{found['warm'] / 2**20:.1f} after the first 100 frames, {found['whole'] / 2**20:.1f} "
            f"after measuring; {found['seen']} objects seen, {found['seconds']:.0f} s"
        )
    print(f"ratio {ends[1] / ends[0]:.3f}")


if __name__ == "__main__":
    main()
