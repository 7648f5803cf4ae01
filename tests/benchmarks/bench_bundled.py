"""The bundled network on one device: frames a second, and how long a click takes."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from rich.table import Table
from tests.benchmarks.report import progress, seconds

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.runtime import Runtime, keep_heap
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt
from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells

_WARM = 10
"""Frames before the timed ones: by then memory banks are full."""


def run(rounds: int, device: str = "cpu") -> Table:
    """Time one and sixteen cells, in a frame of the network's size and in a larger one."""
    keep_heap()
    runtime = Runtime.auto(device)
    model = load_model("bundled")
    table = Table(title="bundled network, 256-pixel views")
    for column in ("what", "frames", "measured", "target"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for side in (256, 512):
        movie = dividing_cells(_WARM + 20, (side, side))
        for objects, target in ((1, 20), (16, 5)):
            what = f"{objects} object" + "s" * (objects > 1)
            progress(f"{what}, {side} pixels")
            best = max(_frames_per_second(model, runtime, movie, objects) for _ in range(rounds))
            table.add_row(what, f"{side} x {side}", f"{best:.1f} a second", f"{target}")
        progress(f"first click, {side} pixels")
        click = min(_first_click(model, runtime, movie) for _ in range(3 * rounds))
        table.add_row("first click", f"{side} x {side}", seconds(click), "150 ms")
    return table


def _opened(
    model: SAM2, runtime: Runtime, movie: SyntheticMovie
) -> tuple[VideoPredictor, VideoSession]:
    return VideoPredictor(model, runtime), VideoSession.open(movie.images)


def _clicks(movie: SyntheticMovie, objects: int) -> list[PointPrompt]:
    """One click a cell; cells are clicked twice, as different objects, where there are too few."""
    first = movie.labels[0]
    cells = [innermost_point(first == number) for number in np.unique(first)[1:]]
    return [PointPrompt(i + 1, 0, cells[i % len(cells)]) for i in range(objects)]


def _frames_per_second(model: SAM2, runtime: Runtime, movie: SyntheticMovie, objects: int) -> float:
    predictor, session = _opened(model, runtime, movie)
    for prompt in _clicks(movie, objects):
        predictor.predict_frame(session, prompt)
    started = 0.0
    count = 0
    for result in predictor.propagate(session, PropagateOptions(direction="forward")):
        if result.frame == _WARM:
            started = perf_counter()
        count += result.frame > _WARM
    return count / (perf_counter() - started)


def _first_click(model: SAM2, runtime: Runtime, movie: SyntheticMovie) -> float:
    predictor, session = _opened(model, runtime, movie)
    (prompt,) = _clicks(movie, 1)
    started = perf_counter()
    predictor.predict_frame(session, prompt)
    return perf_counter() - started
