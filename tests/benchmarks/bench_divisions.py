"""Count which cells of synthetic movies a run ends: mothers as they divide, and cells that live.

    python -m tests.benchmarks.bench_divisions --movies 136 --jobs 2

No network was trained on these movies; `dividing_cells`, which the plugin offers as sample data, is
counted by itself. Each cell is followed by itself from its true mask: a mother
from five frames before her track ends to four frames after, others for a dozen frames. Counted are
mothers that are followed to their last frame, and other cells as long as J is 0.5. It takes half a
minute a movie and core.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from tests.benchmarks.report import circumstances

from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.training.division_data import KINDS
from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells, random_movie

FIRST_SEED = 790_000_000
CALM, CALM_MOVIES, CALM_FRAMES = "dividing_cells", 12, 16
FRAMES, BEFORE, AFTER, LIVING = 14, 5, 4, 12
MOST_MOTHERS, MOST_LIVING = 6, 8
SMALLEST = 50
FOLLOWED = 0.5
OUTCOMES = ("at once", "later", "never", "early", "not ended", "ended alive")


@dataclass(frozen=True)
class Cell:
    """One cell to follow; `end` is the last frame of a mother."""

    label: int
    start: int
    stop: int
    end: int | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, default=136)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        seeds = [*range(CALM_MOVIES), *range(FIRST_SEED, FIRST_SEED + args.movies)]
        for kind, found in pool.map(outcomes_in, seeds):
            by_kind[kind].update(found)
    print(circumstances())
    print("| kind |", " | ".join(OUTCOMES), "|")
    print("|" + " --- |" * (1 + len(OUTCOMES)))
    calm = by_kind.pop(CALM)
    total = sum(by_kind.values(), Counter[str]())
    for kind, found in [(CALM, calm), *sorted(by_kind.items()), ("all but the first", total)]:
        print(f"| {kind} |", " | ".join(str(found[name]) for name in OUTCOMES), "|")


def outcomes_in(seed: int) -> tuple[str, Counter[str]]:
    torch.set_num_threads(1)
    kind, movie = movie_of(seed)
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))
    seen = VideoSession.open(movie.images)
    seen.model = predictor.model
    found: Counter[str] = Counter()
    for cell in cells_of(movie, np.random.default_rng(seed)):
        session = VideoSession.open(movie.images, seen.mapping)
        session.features, session.model = seen.features, seen.model
        session.add(MaskPrompt(1, cell.start, movie.labels[cell.start] == cell.label))
        options = PropagateOptions(direction="forward", start=cell.start, stop=cell.stop)
        for _ in predictor.propagate(session, options):
            pass
        found.update([name] if (name := outcome(session, movie, cell)) else [])
    return kind, found


def movie_of(seed: int) -> tuple[str, SyntheticMovie]:
    if seed < CALM_MOVIES:
        return CALM, dividing_cells(frames=CALM_FRAMES, seed=seed)
    kind = KINDS[seed % len(KINDS)]
    return kind, random_movie(seed, FRAMES, kind=kind)


def cells_of(movie: SyntheticMovie, rng: np.random.Generator) -> list[Cell]:
    last = len(movie.labels) - 1
    mothers, others = [], []
    for label, frames in lives(movie).items():
        if label not in movie.lineage.values():
            if len(frames) >= 8:
                others.append(Cell(label, frames[0], min(frames[0] + LIVING, frames[-1])))
        elif frames[-1] + 1 < last and len(frames) >= 3:
            start, end = max(frames[0], frames[-1] - BEFORE), frames[-1]
            mothers.append(Cell(label, start, min(end + AFTER, last), end))
    rng.shuffle(mothers)
    rng.shuffle(others)
    return mothers[:MOST_MOTHERS] + others[:MOST_LIVING]


def lives(movie: SyntheticMovie) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for frame, labels in enumerate(movie.labels):
        areas = np.bincount(labels.ravel())
        for label in np.flatnonzero(areas >= SMALLEST):
            if label:
                found[int(label)].append(frame)
    return found


def outcome(session: VideoSession, movie: SyntheticMovie, cell: Cell) -> str | None:
    """Say what became of a cell; None if she was lost before it mattered."""
    ended = next(ends_of(session, cell), None)
    if cell.end is None:
        frames = range(cell.start, cell.stop + 1)
        lost = next((t for t in frames if j(session, movie, cell, t) < FOLLOWED), None)
        return "ended alive" if ended is not None and ended == lost else "not ended"
    if ended is not None and ended <= cell.end:
        return "early"
    if j(session, movie, cell, cell.end) < FOLLOWED:
        return None
    if ended is None:
        return "never"
    return "at once" if ended == cell.end + 1 else "later"


def ends_of(session: VideoSession, cell: Cell) -> Iterator[int]:
    for frame in range(cell.start, cell.stop + 1):
        record = session.masklets.record(1, frame)
        if record is not None and record.has_ended:
            yield frame


def j(session: VideoSession, movie: SyntheticMovie, cell: Cell, frame: int) -> float:
    truth = movie.labels[frame] == cell.label
    record = session.masklets.record(1, frame)
    if record is None or not record.visible:
        return 0.0
    mask = record.mask(truth.shape)
    return float((mask & truth).sum() / (mask | truth).sum())


if __name__ == "__main__":
    main()
