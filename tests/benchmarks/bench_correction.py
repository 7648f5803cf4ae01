"""What correcting one object of sixteen costs, beside tracking all of them anew."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
from rich.table import Table
from tests.benchmarks.report import progress, seconds

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.results import FrameResult
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

FRAMES, SIDE, OBJECTS = 100, 256, 16
WRONG = range(45, 55)
"""Frames on which the first object had gone astray."""

RADIUS = 9


def middle(number: int, frame: int) -> tuple[float, float]:
    """Where an object is: a grid that drifts."""
    row, column = divmod(number - 1, 4)
    return 30 + 55 * row + 0.2 * frame, 50 + 55 * column - 0.2 * frame


def disk(y: float, x: float) -> np.ndarray:
    """Return the mask of an object there."""
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return (rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2


def movie() -> np.ndarray:
    """Return bright disks on noise, uint16 (T, H, W)."""
    images = np.random.default_rng(0).normal(200, 15, (FRAMES, SIDE, SIDE))
    for frame in range(FRAMES):
        for number in range(1, OBJECTS + 1):
            images[frame] += 700 * disk(*middle(number, frame))
    return images.astype(np.uint16)


def timed(results: Iterable[FrameResult]) -> tuple[float, float, int]:
    """Return the seconds of a run, of the processor and on the clock, and the masks it made."""
    used, started = time.process_time(), time.perf_counter()
    made = sum(len(result.objects) for result in results)
    return time.process_time() - used, time.perf_counter() - started, made


def run(rounds: int) -> Table:
    """Time both; the best of the rounds counts."""
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto())
    session = VideoSession.open(movie())
    for number in range(1, OBJECTS + 1):
        predictor.predict_frame(session, MaskPrompt(number, 0, disk(*middle(number, 0))))
    whole, small = [], []
    for number in range(rounds):
        progress(f"correction, round {number + 1}")
        whole.append(timed(predictor.propagate(session)))
        for frame in WRONG:
            session.masklets.write(1, frame, MaskRecord.from_mask(disk(12, 240)))
        at = WRONG[len(WRONG) // 2] + number % 2  # another frame each time, or nothing is new
        predictor.predict_frame(session, MaskPrompt(1, at, disk(*middle(1, at))))
        small.append(timed(predictor.correct(session)))
        session.prompts.clear(1, at)
    full, part = min(whole), min(small)
    table = Table(title=f"One of {OBJECTS} objects, astray on {len(WRONG)} of {FRAMES} frames")
    for column in ("", "masks made", "time", "processor"):
        table.add_column(column, justify="left" if not column else "right")
    for what, (used, taken, masks) in (("all objects anew", full), ("correction", part)):
        table.add_row(what, str(masks), seconds(taken), seconds(used))
    used, taken, masks = (f"{one / all_:.1%}" for one, all_ in zip(part, full, strict=True))
    table.add_row("part; aim: a tenth", masks, taken, used)
    return table
