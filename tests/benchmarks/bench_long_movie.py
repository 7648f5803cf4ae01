"""Resident size while 8 objects are tracked through a long movie, beside a short one.

``python -m tests.benchmarks.bench_long_movie`` draws movies of 1024 x 1024 pixels while they are
read, tracks them as a batch does (masks streamed to zarr and read back, memories kept on disk), and
prints the resident size on the way. Each movie is tracked in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil
import zarr
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tests.benchmarks.report import circumstances, progress

SIDE = 1024
OBJECTS = 8
RADIUS = 18
MOMENTS = (100, 1000, 5000)


class DrawnMovie:
    """Disks that circle over noise, drawn when they are read: the movie takes no memory itself.

    Parameters
    ----------
    frames : int
        Its length.
    """

    ndim = 3
    dtype = np.dtype(np.uint16)

    def __init__(self, frames: int) -> None:
        self.shape = frames, SIDE, SIDE
        self._noise = np.random.default_rng(0).integers(0, 60, (SIDE, SIDE), dtype=np.uint16)

    def __getitem__(self, index: int | tuple[int | slice, ...]) -> NDArray[np.uint16]:
        t, *rest = index if isinstance(index, tuple) else (index,)
        assert isinstance(t, int | np.integer)
        frame = np.roll(self._noise, (7 * t, 13 * t), (0, 1))
        for y, x in centres(int(t)):
            top, left = round(y) - RADIUS, round(x) - RADIUS
            ys, xs = np.ogrid[top : top + 2 * RADIUS + 1, left : left + 2 * RADIUS + 1]
            window = frame[top : top + 2 * RADIUS + 1, left : left + 2 * RADIUS + 1]
            window[(ys - y) ** 2 + (xs - x) ** 2 < RADIUS**2] += 150
        return frame[tuple(rest)]


def centres(t: int) -> list[tuple[float, float]]:
    """Where the disks are, (y, x): a group that goes round every 80 frames, each disk a little too.

    So a movie of 100 frames shows all that happens; a longer one has more of the same.
    """
    angle = 2 * np.pi * t / 80
    y0, x0 = 460 + 12 * np.sin(angle), 460 + 12 * np.cos(angle)
    places = [(y0 + 44 * (i // 3), x0 + 44 * (i % 3), angle + i) for i in range(OBJECTS)]
    return [(y + 2 * np.sin(a), x + 2 * np.cos(a)) for y, x, a in places]


def track(frames: int) -> None:
    """Track one movie in this process and print its resident size."""
    from napari_sam2.batch import movie_run
    from napari_sam2.batch.job_spec import JobSpec
    from napari_sam2.batch.plan import PlannedJob
    from napari_sam2.io.prompts_file import write_prompts
    from napari_sam2.io.read_planes import PlaneMovie
    from napari_sam2.planes import AxisLayout
    from napari_sam2.prompts import PointPrompt

    movie = DrawnMovie(frames)
    # What is not as users have it: the movie is drawn, no file is read.
    layout = AxisLayout.of("TYX", movie.shape)
    movie_run.Sources.open = lambda sources: PlaneMovie(movie, layout)
    process, started = psutil.Process(), perf_counter()
    sizes: dict[int, int] = {}

    def watch(title: str, done: int, total: int) -> None:
        at = done + 1  # the prompted frame is done, too
        if at in MOMENTS or done == total or at % 500 == 0:
            sizes[at] = process.memory_info().rss
            progress(f"{at} frames, {sizes[at] / 2**20:.1f} MiB")

    with tempfile.TemporaryDirectory() as place:
        prompts = Path(place) / "prompts.json"
        write_prompts(prompts, [PointPrompt(i + 1, 0, yx) for i, yx in enumerate(centres(0))])
        job = JobSpec(
            movie="drawn", prompts=str(prompts), out=place, outputs=(), direction="forward"
        )
        report = movie_run.run_movie(PlannedJob(job, "new", layout.grid), watch)
        whole = process.memory_info().rss
        masks = zarr.open_group(Path(report.folder) / "drawn.sam2/masks.zarr", mode="r")
        seen = len(np.unique(masks["labels"][frames - 1])) - 1
    found = {"sizes": sizes, "whole": whole, "seen": seen}
    print(json.dumps({**found, "seconds": perf_counter() - started}))


def main() -> None:
    """Measure a short and a long movie."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 5000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        track(options.one)
        return
    table = Table(title=f"resident MiB, {OBJECTS} objects, {SIDE} x {SIDE}")
    for column in ("movie", *(f"at {t}" for t in MOMENTS), "measured", "objects", "time"):
        table.add_column(column, justify="right")
    ends = []
    for frames in options.frames:
        line = [sys.executable, "-m", "tests.benchmarks.bench_long_movie", "--one", str(frames)]
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        sizes = {int(t): size / 2**20 for t, size in found["sizes"].items()}
        ends.append(sizes[max(sizes)])
        table.add_row(
            f"{frames} frames",
            *(f"{sizes[t]:.1f}" if t in sizes else "" for t in MOMENTS),
            f"{found['whole'] / 2**20:.1f}",
            f"{found['seen']} of {OBJECTS}",
            f"{found['seconds']:.0f} s",
        )
    console = Console(width=100)
    console.print(circumstances(), table)
    console.print(f"last movie to first, at the end of tracking: {ends[-1] / ends[0]:.3f}")


if __name__ == "__main__":
    main()
