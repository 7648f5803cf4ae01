"""`python -m napari_sam2.training`: train a network, or export what a run has learned."""

from __future__ import annotations

import os
import signal
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer

from napari_sam2.model.checkpoint import load_model, weights_hash
from napari_sam2.model.config import PRESETS
from napari_sam2.model.division import load_division_net
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training.checkpointing import OPTIONS, Mix, export_average, read_options
from napari_sam2.training.choosing import RULES, Choice, compare, kept_back_movies
from napari_sam2.training.clip_sources import StoredMovies, SyntheticMovies
from napari_sam2.training.clips import SHARES, default_sources
from napari_sam2.training.datasets import read_dsb2018
from napari_sam2.training.division_data import (
    FIRST_SEED,
    KEPT_BACK_SEED,
    NUCLEI_SEED,
    DivisionSamples,
    samples_of_movies,
)
from napari_sam2.training.divisions import DivisionOptions, export_division_net, train_divisions
from napari_sam2.training.held_back import held_back
from napari_sam2.training.judging import (
    export_judge,
    measure_judge,
    samples_of,
    train_judge,
)
from napari_sam2.training.options import TrainOptions, second_stage
from napari_sam2.training.trainer import TrainData, Trainer, fast_attention
from napari_sam2.training.validation import summary, validate

app = typer.Typer(help="Train the bundled network.", no_args_is_help=True)


def _say(line: str) -> None:
    typer.echo(f"{datetime.now(UTC):%H:%M:%S} {line}")


_KEPT_CLICKS = 400
_DATA = Path(os.environ.get("NAPARI_SAM2_DATA", "../shared/data"))


@app.command()
def train(  # noqa: PLR0913 - each argument is an option that the user sees
    out: Annotated[Path, typer.Option(help="Folder of the run")],
    data: Annotated[Path, typer.Option(help="Folder of the annotated sets")] = _DATA,
    minutes: Annotated[float | None, typer.Option(help="Training time in all")] = None,
    preset: Annotated[str, typer.Option(help="Network to train")] = "bundled",
    movies: Annotated[int, typer.Option(help="Different synthetic movies")] = 600,
    shares: Annotated[
        str, typer.Option(help="Of stills, synthetic movies, electron microscopy and embryo")
    ] = ",".join(str(share) for share in SHARES),
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint")] = False,
    start: Annotated[
        Path | None, typer.Option("--from", help="Weights to start from: the second stage")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1")] = "cpu",
    validated: Annotated[
        bool, typer.Option("--validate/--no-validate", help="Measure on the clips kept back")
    ] = True,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any other option, as name=value")
    ] = None,
) -> None:
    """Train from scratch, from the weights of another run, or go on with a run.

    Going on takes the options of the run, but for those that are given anew; the data may be
    others than before. Synthetic movies are kept beside the folder of the run; OMP_NUM_THREADS
    sets the threads.
    """
    # Gradients that fade out pass through the slow range of the processor's numbers.
    torch.set_flush_denormal(True)
    options = TrainOptions() if start is None else second_stage()
    if resume and (out / OPTIONS).is_file():
        options = read_options(out)
    options = _changed(options, minutes, set_ or [])
    cache = out.parent / "synthetic"
    sources, weights = default_sources(data, cache, movies=movies, shares=_floats(shares))
    if validated:
        _say("reading validation clips")
    run = TrainData(sources, weights, held_back(data, cache) if validated else None)
    place = Runtime.auto(device, "float32").device
    trainer = Trainer(PRESETS[preset], options, run, out, _say, place)
    if not (resume and trainer.resume()) and start is not None:
        trainer.start_from(start)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: trainer.stop())
    trainer.train()


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder of the run")],
    target: Annotated[Path, typer.Option(help="Safetensors file to write")],
    preset: Annotated[str, typer.Option(help="Network that the run trains")] = "bundled",
    presence: Annotated[float, typer.Option(help="Added to the score of presence")] = 0.0,
    others: Annotated[
        Path | None, typer.Option("--mixed-with", help="Safetensors that the run started from")
    ] = None,
    share: Annotated[float, typer.Option(help="Of the run in the mixture")] = 0.5,
) -> None:
    """Write the averaged weights of a run in half precision, alone or mixed with others."""
    mix = None if others is None else Mix(others, share)
    path = export_average(out, target, preset, PRESETS[preset].version, presence, mix)
    _say(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")


@app.command()
def measure(
    weights: Annotated[Path, typer.Argument(help="Safetensors file, or a name of the list")],
    data: Annotated[Path, typer.Option(help="Folder of the annotated sets")] = _DATA,
    cache: Annotated[Path, typer.Option(help="Folder of synthetic movies")] = Path(
        "runs/synthetic"
    ),
) -> None:
    """Measure weights on the validation clips, as a run does."""
    model = load_model(str(weights)).eval()
    with fast_attention():
        figures = validate(model, held_back(data, cache))
    for name, measures in figures.items():
        _say(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in measures.items()))
    _say(summary(figures))


@app.command()
def choose(  # noqa: PLR0913 - each argument is an option that the user sees
    weights: Annotated[Path, typer.Argument(help="Safetensors file, or a name of the list")],
    extents: Annotated[str, typer.Option(help="Sides of views in diameters")] = "3,3.5,4.2,5",
    presence: Annotated[str, typer.Option(help="Added to the score of presence")] = "0",
    without: Annotated[
        str, typer.Option(help=f"What is left out, one after the other: {', '.join(RULES)}")
    ] = "",
    others: Annotated[
        Path | None, typer.Option("--mixed-with", help="Safetensors to mix the weights with")
    ] = None,
    shares: Annotated[str, typer.Option(help="Of the weights in the mixture")] = "1",
    each: Annotated[int, typer.Option("--movies", help="Synthetic movies of each kind")] = 1,
    only: Annotated[str, typer.Option(help="stills, synthetic, or both")] = "both",
    data: Annotated[Path, typer.Option(help="Folder of the annotated sets")] = _DATA,
    cache: Annotated[Path, typer.Option(help="Folder of synthetic movies")] = Path(
        "runs/synthetic"
    ),
) -> None:
    """Compare mixtures, biases of presence, views and rules, as users see them, on data kept back.

    The mean of what was asked stands last.
    """
    left_out = [rule for rule in without.split(",") if rule]
    if unknown := [rule for rule in left_out if rule not in RULES]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(RULES)}")
    model = load_model(str(weights)).eval()
    if others is None and _floats(shares) != [1.0]:
        raise typer.BadParameter("--shares needs --mixed-with: the weights to mix with")
    movies = kept_back_movies(data, cache, each)
    movies = {name: some for name, some in movies.items() if only in (name, "both")}
    choices = [
        Choice(extent, added, rule, share)
        for share in _floats(shares)
        for extent in _floats(extents)
        for added in _floats(presence)
        for rule in (None, *left_out)
    ]
    with fast_attention():
        for choice, name, figures in compare(model, movies, choices, others):
            told = ", ".join(f"{key} {value:.4f}" for key, value in figures.describe().items())
            _say(f"{choice}, {name}: {told}, mean {figures.score():.4f}")


@app.command()
def divisions(  # noqa: PLR0913 - each argument is an option that the user sees
    out: Annotated[Path, typer.Option(help="Folder of the run")],
    target: Annotated[Path, typer.Option(help="Safetensors file to write")],
    movies: Annotated[int, typer.Option(help="Different synthetic movies")] = 4800,
    nuclei: Annotated[int, typer.Option(help="Movies of nuclei beside them")] = 0,
    epochs: Annotated[int, typer.Option(help="Times that each sample is seen")] = 10,
    rate: Annotated[float, typer.Option(help="Learning rate")] = 3e-3,
    start: Annotated[
        Path | None, typer.Option("--from", help="Weights to start from: the second stage")
    ] = None,
) -> None:
    """Train the division network on synthetic movies; a run that was stopped goes on."""
    torch.set_flush_denormal(True)
    cache = out.parent / "synthetic"
    first = load_division_net(start) if start else None
    _say("drawing samples")
    kept_back = samples_of_movies(KEPT_BACK_SEED, max(movies // 10, 1), cache)
    samples = DivisionSamples.joined(
        [
            samples_of_movies(FIRST_SEED, movies, cache),
            *([samples_of_movies(NUCLEI_SEED, nuclei, cache, "nuclei")] if nuclei else []),
        ]
    )
    counts = int(samples.divided.sum()), len(samples)
    _say(f"{counts[0]} divisions among {counts[1]} samples")
    options = DivisionOptions(epochs, learning_rate=rate)
    net = train_divisions(samples, kept_back, options, out, _say, first)
    _say(f"wrote {export_division_net(net, target)}")


@app.command("judge")
def judge_masks(
    out: Annotated[Path, typer.Option(help="Folder of the run")],
    target: Annotated[Path, typer.Option(help="Safetensors file to write")],
    weights: Annotated[
        str,
        typer.Option("--of", help="Network to judge: a safetensors file, or a name of the list"),
    ] = "bundled",
    clicks: Annotated[int, typer.Option(help="Clicks to learn from")] = 6000,
    movies: Annotated[int, typer.Option(help="Different synthetic movies")] = 600,
    data: Annotated[Path, typer.Option(help="Folder of the annotated sets")] = _DATA,
) -> None:
    """Click with the bundled network, and teach the judge of its masks what the answers are worth.

    A run that was stopped goes on.
    """
    _say("clicking")
    cache = out.parent / "synthetic"
    stills, made = StoredMovies(read_dsb2018(data, "train")), SyntheticMovies(cache, movies)
    # Answers are of one network: with another one's, the judge would be taught wrong.
    model, mark = load_model(weights), weights_hash(weights)[:12]
    taught = samples_of(model, stills, made, out, f"taught_{mark}", clicks)
    others = {name: StoredMovies(some) for name, some in kept_back_movies(data, cache).items()}
    kept = samples_of(
        model, others["stills"], others["synthetic"], out, f"kept_{mark}", _KEPT_CLICKS
    )
    judge = train_judge(taught)
    _say(f"on {len(kept)} clicks kept back: {measure_judge(judge, kept)}")
    _say(f"wrote {export_judge(judge, target)}")


def _floats(text: str) -> list[float]:
    """Return the numbers of an option that takes several."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers, such as 0.5,1") from None


def _changed(options: TrainOptions, minutes: float | None, texts: list[str]) -> TrainOptions:
    """Return options changed by the command line's name=value texts."""
    kinds: dict[str, type] = {f.name: type(f.default) for f in fields(TrainOptions)}
    values: dict[str, float | int | bool] = {} if minutes is None else {"minutes": minutes}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in kinds:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(sorted(kinds))}")
        is_flag = kinds[name] is bool
        values[name] = value.lower() in ("1", "true", "yes") if is_flag else kinds[name](value)
    return replace(options, **values)  # type: ignore[arg-type]


if __name__ == "__main__":
    app()
