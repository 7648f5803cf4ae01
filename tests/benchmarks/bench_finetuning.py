"""What ten minutes of fine-tuning on the first frames of a movie bring on its later frames.

    python -m tests.benchmarks.bench_finetuning --minutes 10

Run from the root of the repository, with ``OMP_NUM_THREADS=1`` for one core. Minutes are minutes
of processor time, so that whatever else the machine does counts little; with ``--by-the-clock``
they are those that a person waits for, on a machine that does nothing else. Chance decides much
where few frames teach: ``--seeds 3`` fine-tunes three times and shows each. The fine-tuned networks
are thrown away.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import torch
from tests.benchmarks.report import circumstances

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.finetune import FineTuning, Progress
from napari_sam2.training.finetune_data import Lessons, read_lessons
from napari_sam2.training.finetune_measure import Figures, Sample, measure
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.readers import DataEntry, read_entry

_ASKED = Sample(objects=160, followed=20, starts=3, frames=20)


def main() -> None:
    """Fine-tune with every seed, measure before and after, print a table."""
    given = _arguments()
    data = given.data / given.set
    lessons = read_lessons(
        [DataEntry(path=str(data), frames=given.train)], Path(), given.validation
    )
    later = read_entry(DataEntry(path=str(data), frames=given.test))
    for line in (*lessons.describe(), f"tested on frames {given.test} of {given.set}"):
        print(line)
    before = _measure(load_model(given.start), later)
    print("before", _round(before), flush=True)
    after = []
    for seed in range(given.seed, given.seed + given.seeds):
        options = FineTuneOptions(
            start=given.start,
            learn=given.learn,
            minutes=given.minutes,
            validation=given.validation,
            seed=seed,
        )
        clock = time.perf_counter if given.by_the_clock else time.process_time
        after.append(_measure(_tuned(options, lessons, clock), later))
        print("after", _round(after[-1]), flush=True)
    print(circumstances())
    print(_table(before, after))
    if given.out is not None:
        found = {"before": asdict(before), "after": [asdict(one) for one in after]}
        given.out.write_text(json.dumps(found, indent=2) + "\n")


def _tuned(options: FineTuneOptions, lessons: Lessons, clock: Callable[[], float]) -> SAM2:
    """Fine-tune once; say how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        run = FineTuning(options, lessons, Path(folder), _say, clock)
        began, spent = time.perf_counter(), time.process_time()
        outcome = run.train()
    wall, spent = time.perf_counter() - began, time.process_time() - spent
    standing = outcome.standing
    print(
        f"seed {options.seed}: {run.learner.count() / 1e6:.2f} million numbers learn "
        f"({options.learn}), {standing.step} steps in {spent / 60:.1f} minutes of processor time, "
        f"{wall / 60:.1f} by the clock, {run.runtime.describe()}",
        flush=True,
    )
    return outcome.model


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    folder = os.environ.get("NAPARI_SAM2_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(folder))
    parser.add_argument("--set", default="ctc_N2DL-HeLa_01")
    parser.add_argument("--train", default="0-9", help="frames to learn from")
    parser.add_argument("--test", default="20-91", help="frames to measure on")
    parser.add_argument("--start", default="bundled")
    parser.add_argument("--learn", default="decoder")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--by-the-clock", action="store_true")
    parser.add_argument("--validation", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _measure(model: torch.nn.Module, movies: list[LabelledMovie]) -> Figures:
    return measure(model, movies, Runtime.auto("cpu"), _ASKED)


def _say(told: Progress) -> None:
    if told.figures is not None:
        print(f"step {told.step}, {told.elapsed / 60:.1f} min", _round(told.figures), flush=True)
    if told.note:
        print(told.note, flush=True)


def _round(figures: Figures) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.describe().items()}


def _table(before: Figures, after: list[Figures]) -> str:
    """Show figures before and after, and the error after over before; of several, the mean."""
    lines = ["| mean J | before | after | error, after over before |", "| --- | --- | --- | --- |"]
    for name, value in before.describe().items():
        later = [one.describe()[name] for one in after]
        parts = [(1 - one) / (1 - value) for one in later]
        each = f" ({', '.join(f'{part:.2f}' for part in parts)})" if len(parts) > 1 else ""
        lines.append(f"| {name} | {value:.3f} | {fmean(later):.3f} | {fmean(parts):.2f}{each} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
