"""Count which cells of synthetic movies a run ends: mothers as they divide, and cells that live.

    python -m tests.benchmarks.bench_divisions --movies 136 --jobs 2

No network was trained on these movies; `dividing_cells`, which the plugin offers as sample data, is
counted by itself. Each cell is followed alone from its true mask: a mother from five frames before
her track ends to four frames after, others for a dozen frames. Counted are mothers that are
followed to their last frame, and other cells as long as J is 0.5. It takes half a minute a movie
and core.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from tests.benchmarks.report import circumstances

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.network import Sessions
from napari_sam2.evaluation.tasks import SMALLEST
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.training.division_data import KINDS
from napari_sam2.training.synthetic import dividing_cells, random_movie

FIRST_SEED = 790_000_000
CALM, CALM_MOVIES, CALM_FRAMES = "dividing_cells", 12, 16
FRAMES, BEFORE, AFTER, LIVING = 14, 5, 4, 12
SHORTEST, SHORTEST_OF_MOTHERS = 8, 3
MOST_MOTHERS, MOST_LIVING = 6, 8
FOLLOWED = 0.5
OUTCOMES = ("at once", "later", "never", "early", "not followed", "not ended", "ended alive")


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
    sessions = Sessions()
    found: Counter[str] = Counter()
    for cell in cells_of(movie, np.random.default_rng(seed)):
        session = sessions.open(movie, predictor.model)
        session.model = predictor.model  # the next session takes over the encoded frames
        session.add(MaskPrompt(cell.label, cell.start, movie.mask(cell.label, cell.start)))
        options = PropagateOptions(direction="forward", start=cell.start, stop=cell.stop)
        for _ in predictor.propagate(session, options):
            pass
        found[outcome(session, movie, cell)] += 1
    return kind, found


def movie_of(seed: int) -> tuple[str, AnnotatedMovie]:
    if seed < CALM_MOVIES:
        kind, made = CALM, dividing_cells(CALM_FRAMES, seed=seed)
    else:
        kind = KINDS[seed % len(KINDS)]
        made = random_movie(seed, FRAMES, kind=kind)
    return kind, AnnotatedMovie.of_stack(f"{kind} {seed}", made.images, made.labels, made.lineage)


def cells_of(movie: AnnotatedMovie, rng: np.random.Generator) -> list[Cell]:
    last = movie.annotated[-1]
    lives: defaultdict[int, list[int]] = defaultdict(list)
    for frame in movie.annotated:
        for label in movie.objects_on(frame, SMALLEST):
            lives[label].append(frame)
    mothers, others = [], []
    for label, frames in lives.items():
        start, end = frames[0], frames[-1]
        if label not in movie.mothers.values():
            if len(frames) >= SHORTEST:
                others.append(Cell(label, start, min(start + LIVING, end)))
        elif end + 1 < last and len(frames) >= SHORTEST_OF_MOTHERS:
            mothers.append(Cell(label, max(start, end - BEFORE), min(end + AFTER, last), end))
    rng.shuffle(mothers)
    rng.shuffle(others)
    return mothers[:MOST_MOTHERS] + others[:MOST_LIVING]


def outcome(session: VideoSession, movie: AnnotatedMovie, cell: Cell) -> str:
    """Say what became of a cell."""
    frames = range(cell.start, cell.stop + 1)
    records = {t: session.masklets.record(cell.label, t) for t in frames}
    ended = next((t for t, one in records.items() if one is not None and one.has_ended), None)

    def is_followed(frame: int) -> bool:
        mask = session.masklets.mask(cell.label, frame)
        return iou(mask, movie.mask(cell.label, frame)) >= FOLLOWED

    if cell.end is None:
        lost = next((t for t in frames if not is_followed(t)), None)
        return "ended alive" if ended is not None and ended == lost else "not ended"
    if ended is not None and ended <= cell.end:
        return "early"
    if not is_followed(cell.end):
        return "not followed"
    if ended is None:
        return "never"
    return "at once" if ended == cell.end + 1 else "later"


if __name__ == "__main__":
    main()
