"""``napari-sam2 train``: a network of one's own, from movies that were annotated or corrected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.cli.console import say, telling_training, watching_training

if TYPE_CHECKING:
    from napari_sam2.training.finetune import FineTuning, Outcome
    from napari_sam2.training.finetune_data import Lessons
    from napari_sam2.training.finetune_options import FineTuneOptions
    from napari_sam2.training.finetune_result import Report

__all__ = ["train"]

_INTERRUPTED = 130


def train(
    config: Annotated[
        Path | None, typer.Argument(help="TOML file of data and options; see --example.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a commented file and end.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; CONFIG_run beside CONFIG if not given.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check data and options, and train nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older run and network of this name.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell progress as a line of JSON a step, for programs.")
    ] = False,
) -> None:
    """Fine-tune a network on annotated movies; it appears in `napari-sam2 models list`."""
    from napari_sam2.training.finetune_data import read_lessons
    from napari_sam2.training.finetune_options import example_config, read_config
    from napari_sam2.training.finetune_result import refuse_taken

    if example:
        typer.echo(example_config(), nl=False)
        return
    if config is None:
        raise ValueError("no CONFIG is given: `napari-sam2 train --example > cells.toml` makes one")
    found = read_config(config)
    refuse_taken(found.options.name, overwrite=overwrite or resume)
    folder = out or config.with_name(f"{config.stem}_run")
    lessons = read_lessons(found.data, found.base, found.options.validation)
    for line in lessons.describe():
        say(line)
    run = _prepare(found.options, lessons, folder, resume=resume, overwrite=overwrite or check)
    if check:
        say("everything is fine; nothing was trained")
        return
    watching = telling_training() if as_json else watching_training(found.options.name)
    with watching as watch:
        run.watch = watch
        outcome = run.train()
    if not outcome.is_complete:
        say(f"stopped and saved in {folder}: go on with --resume")
        raise typer.Exit(_INTERRUPTED)
    report = _report(run, outcome)
    _publish(found.options, lessons, outcome, report)


def _prepare(
    options: FineTuneOptions, lessons: Lessons, folder: Path, *, resume: bool, overwrite: bool
) -> FineTuning:
    """Load the network, and make or find the run."""
    from napari_sam2.training.finetune import FineTuning

    run = FineTuning(options, lessons, folder)
    say(
        f"{run.learner.count() / 1e6:.2f} million numbers of {options.start} learn "
        f"({options.learn}) on {run.runtime.describe()}"
    )
    if resume:
        run.resume()
        say(f"going on at step {run.standing.step}, {run.standing.elapsed / 60:.1f} minutes")
    elif run.has_checkpoint and not overwrite:
        raise FileExistsError(
            f"{folder} holds a run: --resume goes on with it, --overwrite starts again"
        )
    return run


def _report(run: FineTuning, outcome: Outcome) -> Report:
    """Measure the network that was started from and the result, on what was kept back."""
    from napari_sam2.model.checkpoint import load_model
    from napari_sam2.predictor.runtime import Runtime
    from napari_sam2.training.finetune_measure import Sample, measure
    from napari_sam2.training.finetune_result import Report

    kept = run.lessons.validation
    if not kept:
        return Report(None, None)
    runtime, sample = Runtime(run.runtime.device), Sample(objects=48, followed=16, frames=20)
    models = (load_model(run.options.start), outcome.model)
    before, after = (measure(m.to(runtime.device), kept, runtime, sample) for m in models)
    return Report(before, after)


def _publish(options: FineTuneOptions, lessons: Lessons, outcome: Outcome, report: Report) -> None:
    """Write the network and say what came out."""
    from napari_sam2.training.finetune_result import publish

    path = publish(options, lessons, outcome, report, overwrite=True)
    say(report.table())
    if outcome.standing.before is not None and outcome.standing.best_weights is None:
        say("no validation on the way was better than the start, so this is the start again")
    say(f"network  {path}")
    say(f"card     {path.with_suffix('.md')}")
    say(f"use it   napari-sam2 track MOVIE --model {options.name} ...")
