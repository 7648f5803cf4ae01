"""``python -m napari_sam2.evaluation``: measure a network beside its rivals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from napari_sam2.evaluation.ground_truth import Truth
from napari_sam2.evaluation.report import circumstances, describe, markdown, summarise, write_json
from napari_sam2.evaluation.run import DEFAULT_SETS, Contest, Sampling, open_set
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime, keep_heap


def evaluate(  # noqa: PLR0913, each argument is an option that the user sees
    data: Annotated[
        Path, typer.Option(help="Folder that holds the annotated sets.", envvar="NAPARI_SAM2_DATA")
    ] = Path("../shared/data"),
    sets: Annotated[str, typer.Option(help="Names of sets, with commas.")] = ",".join(DEFAULT_SETS),
    objects_per_set: Annotated[int, typer.Option(help="Objects on stills.", min=1)] = 60,
    masklets_per_set: Annotated[int, typer.Option(help="Masklets; 0 for none.", min=0)] = 24,
    frames: Annotated[int, typer.Option(help="Frames to follow each masklet.", min=1)] = 20,
    departures_per_set: Annotated[int, typer.Option(help="Objects that go; 0 for none.")] = 12,
    seed: Annotated[int, typer.Option(help="Which objects are picked.")] = 0,
    truth: Annotated[str, typer.Option(help="labels, or gold: drawn by people.")] = "labels",
    model: Annotated[str, typer.Option(help="Name of a network, or a checkpoint.")] = "bundled",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    view_extent: Annotated[
        float, typer.Option(help="Side of a following view in diameters of the object.")
    ] = PredictorOptions().view_extent,
    out: Annotated[Path | None, typer.Option(help="JSON with every object's score.")] = None,
) -> None:
    """Measure a network on annotated sets, beside its rivals, and print the tables."""
    keep_heap()
    if truth not in ("labels", "gold"):
        raise typer.BadParameter(f"{truth!r} is no truth; choose labels or gold")
    kind: Truth = "gold" if truth == "gold" else "labels"
    try:
        movies = {name: open_set(data / name, kind) for name in sets.split(",")}
        runtime, network = Runtime.auto(device, dtype), load_model(model)
    except (ValueError, RuntimeError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    contest = Contest.of(network, runtime, PredictorOptions(view_extent=view_extent))
    sampling = Sampling(objects_per_set, masklets_per_set, frames, departures_per_set, seed)
    scores = {}
    for name, annotated in movies.items():
        typer.echo(f"measuring {name} ...", err=True)
        scores[name] = contest.score(annotated, sampling)
    facts = circumstances(network, model, runtime)
    facts |= {"seed": seed, "truth": truth, "view_extent": view_extent}
    summaries = summarise(scores)
    typer.echo(markdown(summaries))
    typer.echo("\n" + describe(facts))
    if out is not None:
        write_json(out, facts, summaries, scores)
        typer.echo(f"every object's score: {out}")


if __name__ == "__main__":
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    typer.run(evaluate)
