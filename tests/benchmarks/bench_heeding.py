"""What three corrective clicks make of masks that were tracked, held to their clicks or not.

    python -m tests.benchmarks.bench_heeding --seeds 2 --jobs 2

Cells of synthetic movies that nothing was trained on are clicked and corrected on the first frame
and followed; masks further on whose IoU is 0.85 or less get three clicks, each to the largest error
that is left. It takes two minutes a seed and core for all kinds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from time import perf_counter

import numpy as np
import torch
from tests.benchmarks.report import circumstances

from napari_sam2.evaluation.clicks import corrective_click, innermost_point
from napari_sam2.evaluation.metrics import BoolMask, iou
from napari_sam2.evaluation.tasks import SMALLEST
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt
from napari_sam2.training.synthetic import random_movie
from napari_sam2.training.synthetic.movie import KINDS, SyntheticMovie

FIRST_SEED = 31_000_000
FRAMES, FIRST, EVERY, CELLS = 12, 2, 3, 6
CLICKS, GOOD = 3, 0.85
CHOICES = ("off", "on")


@dataclass(frozen=True)
class Corrected:
    """One mask that was corrected: its IoU before, and after each click; clicks that hold."""

    before: float
    after: tuple[float, ...]
    held: tuple[bool, ...]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--worst", type=float, default=0.0, help="IoU of masks, at least")
    parser.add_argument("--best", type=float, default=GOOD, help="IoU of masks, at most")
    args = parser.parse_args()
    asked = [(kind, FIRST_SEED + n) for kind in args.kinds for n in range(args.seeds)]
    both = partial(_both, worst=args.worst, best=args.best)
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        found = dict(zip(asked, pool.map(both, asked), strict=True))
    print(circumstances())
    print("| kind | masks | heed | before | 1 click | 2 clicks | 3 clicks | clicks that hold | s |")
    print("|" + " --- |" * 9)
    for kind in (*args.kinds, "all"):
        for choice in CHOICES:
            rows = [r for (k, _), both in found.items() if kind in (k, "all") for r in both[choice]]
            if rows:
                print(_line(kind, choice, rows))


def _line(kind: str, choice: str, rows: list[Corrected]) -> str:
    after = [f"{np.mean([row.after[n] for row in rows]):.3f}" for n in range(CLICKS)]
    held = np.mean([one for row in rows for one in row.held])
    seconds = np.mean([row.seconds for row in rows])
    before = np.mean([row.before for row in rows])
    cells = (kind, str(len(rows)), choice, f"{before:.3f}", *after, f"{held:.2f}", f"{seconds:.2f}")
    return f"| {' | '.join(cells)} |"


def _both(asked: tuple[str, int], worst: float, best: float) -> dict[str, list[Corrected]]:
    torch.set_num_threads(1)
    kind, seed = asked
    movie, model = random_movie(seed, FRAMES, kind=kind), load_model("bundled")
    runtime = Runtime.auto("cpu", "float32")
    return {
        choice: list(
            corrected(
                VideoPredictor(model, runtime, PredictorOptions(heed=choice)),
                movie,
                worst=worst,
                best=best,
            )
        )
        for choice in CHOICES
    }


def corrected(
    predictor: VideoPredictor,
    movie: SyntheticMovie,
    cells: int = CELLS,
    *,
    worst: float = 0.0,
    best: float = GOOD,
) -> Iterator[Corrected]:
    """Follow the largest cells of a movie, then correct their masks; each from what was tracked."""
    session, labels = VideoSession.open(movie.images), movie.labels
    areas = np.bincount(labels[0].ravel())[1:]
    ids = [int(i) for i in 1 + np.argsort(areas)[::-1][:cells] if areas[i - 1] >= SMALLEST]
    for number in ids:
        truth = labels[0] == number
        _click(predictor, session, number, 0, truth, np.zeros_like(truth))
    last = len(labels) - 1
    for _ in predictor.propagate(session, PropagateOptions(direction="forward", stop=last)):
        pass
    for number in ids:
        for frame in range(FIRST, last + 1, EVERY):
            truth, mask = labels[frame] == number, session.masklets.mask(number, frame)
            if truth.sum() >= SMALLEST and worst <= iou(mask, truth) <= best:
                yield _click(predictor, session, number, frame, truth, mask)


def _click(
    predictor: VideoPredictor,
    session: VideoSession,
    number: int,
    frame: int,
    truth: BoolMask,
    mask: BoolMask,
) -> Corrected:
    """Give an object three clicks on a frame; before the first the mask is what was tracked."""
    before, after, held, given = iou(mask, truth), [], [], []
    began = perf_counter()
    for _ in range(CLICKS):
        error = corrective_click(mask, truth) if given or mask.any() else None
        point, positive = error or (innermost_point(truth), True)
        if error is None and given:
            after.append(after[-1])
            continue
        given.append(PointPrompt(number, frame, point, positive))
        found = predictor.predict_frame(session, given[-1])
        mask = found.objects[0].record.mask(truth.shape)
        after.append(iou(mask, truth))
        held += [bool(mask[int(p.yx[0]), int(p.yx[1])]) == p.positive for p in given]
    return Corrected(before, tuple(after), tuple(held), (perf_counter() - began) / CLICKS)


if __name__ == "__main__":
    main()
