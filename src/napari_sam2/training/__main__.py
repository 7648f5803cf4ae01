"""`python -m napari_sam2.training`: train a network, or export what a run has learned."""

from __future__ import annotations

import os
import signal
from dataclasses import fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import typer

from napari_sam2.model.config import PRESETS
from napari_sam2.training.checkpointing import export_average
from napari_sam2.training.clips import ClipBatch, clip_batches, default_sources
from napari_sam2.training.options import TrainOptions
from napari_sam2.training.trainer import TrainData, Trainer
from napari_sam2.training.validation import ValidationSet

app = typer.Typer(help="Train the bundled network.", no_args_is_help=True)


def _say(line: str) -> None:
    typer.echo(f"{datetime.now(UTC):%H:%M:%S} {line}")


def _held_back(data: Path, cache: Path) -> ValidationSet:
    """Return fixed validation batches of stills and of eight-frame clips."""
    sources, _ = default_sources(data, cache, "validation")
    by_name = {source.name: source for source in sources}

    def take(name: str, batch: int, frames: int, count: int) -> list[ClipBatch]:
        batches = clip_batches(
            [by_name[name]], [1.0], batch=batch, num_frames=frames, num_objects=3, seed=7
        )
        return list(islice(batches, count))

    return ValidationSet(
        stills={name: take(name, 8, 1, 6) for name in ("dsb2018", "synthetic")},
        clips={"synthetic": take("synthetic", 4, 8, 4)},
    )


_DATA = Path(os.environ.get("NAPARI_SAM2_DATA", "../shared/data"))


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder of the run")],
    data: Annotated[Path, typer.Option(help="Folder of the annotated sets")] = _DATA,
    minutes: Annotated[float, typer.Option(help="Training time")] = 95.0,
    preset: Annotated[str, typer.Option(help="Network to train")] = "bundled",
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any other option, as name=value")
    ] = None,
) -> None:
    """Train from scratch, or go on with a run.

    Synthetic movies are kept beside the folder of the run; OMP_NUM_THREADS sets the threads.
    """
    # Gradients that fade out pass through the slow range of the processor's numbers.
    torch.set_flush_denormal(True)
    options = _options(minutes, set_ or [])
    cache = out.parent / "synthetic"
    sources, weights = default_sources(data, cache)
    _say("reading validation clips")
    run = TrainData(sources, weights, _held_back(data, cache))
    trainer = Trainer(PRESETS[preset], options, run, out, _say)
    if resume:
        trainer.resume()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: trainer.stop())
    trainer.train()


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder of the run")],
    target: Annotated[Path, typer.Option(help="Safetensors file to write")],
    preset: Annotated[str, typer.Option(help="Network that the run trains")] = "bundled",
) -> None:
    """Write the averaged weights of a run in half precision."""
    path = export_average(out, target, preset, PRESETS[preset].version)
    _say(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")


def _options(minutes: float, texts: list[str]) -> TrainOptions:
    """Return options from the command line's name=value texts."""
    kinds: dict[str, type] = {f.name: type(f.default) for f in fields(TrainOptions)}
    values: dict[str, float | int | bool] = {"minutes": minutes}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in kinds:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(sorted(kinds))}")
        is_flag = kinds[name] is bool
        values[name] = value.lower() in ("1", "true", "yes") if is_flag else kinds[name](value)
    return TrainOptions(**values)  # type: ignore[arg-type]


if __name__ == "__main__":
    app()
