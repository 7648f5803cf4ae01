"""``napari-sam2 evaluate``: how accurate a network is, beside simple rivals in the same run."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.cli.console import say
from napari_sam2.cli.opening import load_predictor
from napari_sam2.cli.options import Device, Model, Precision

if TYPE_CHECKING:
    from napari_sam2.evaluation.contest import SetResult
    from napari_sam2.evaluation.sampling import Protocols, Sampling

__all__ = ["evaluate"]

_NEEDED = {
    "ctc_metrics": "py-ctcmetrics",
    "cv2": "opencv-python-headless",
    "matplotlib": "matplotlib",
}


def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out/evaluation"),
    data: Annotated[
        Path, typer.Option(help="Folder that holds the annotated sets.", envvar="NAPARI_SAM2_DATA")
    ] = Path("../shared/data"),
    sets: Annotated[
        str | None,
        typer.Option(
            help="Names with commas: folders in DATA, synthetic, synthetic-KIND, or paths of "
            "Cell Tracking Challenge sequences, label stacks and stills. All that are known if "
            "not given."
        ),
    ] = None,
    protocols: Annotated[
        str, typer.Option(help="Of prompts,masklets,events,interactive,movie.")
    ] = "prompts,masklets,events,interactive,movie",
    model: Model = "bundled",
    device: Device = None,
    dtype: Precision = None,
    quick: Annotated[bool, typer.Option("--quick", help="A fifth of everything.")] = False,
    limit: Annotated[int | None, typer.Option(help="Most objects of a protocol.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Which objects are picked.")] = 0,
    truth: Annotated[str, typer.Option(help="labels, or gold: drawn by people.")] = "labels",
    results: Annotated[
        Path | None, typer.Option(help="Measure nothing: take these results, evaluation.json.")
    ] = None,
    write_docs: Annotated[
        Path | None, typer.Option(help="A page whose tables and plots are written anew.")
    ] = None,
) -> None:
    """Measure a network on annotated movies, beside its rivals; JSON, tables, plots, pictures.

    A run that was stopped goes on where it was, if nothing else has changed.
    """
    _require_libraries()
    if results is not None:
        from napari_sam2.evaluation.plots import write_plots
        from napari_sam2.evaluation.report import read_results
        from napari_sam2.evaluation.run import write_results

        facts, found = read_results(results)
        write_results(out, facts, found)
        write_plots(out / "plots", found)
    else:
        chosen, asked = _sampling(seed, quick=quick, limit=limit), _protocols(protocols)
        facts, found = _measure(out, (data, sets, truth), (chosen, asked), (model, device, dtype))
    say((out / "report.md").read_text())
    if write_docs is not None:
        _write_docs(write_docs, out, facts, found)
    say(f"results: {out / 'evaluation.json'}; tables: {out / 'report.md'}; {out / 'plots'}")


def _measure(
    out: Path,
    where: tuple[Path, str | None, str],
    asked: tuple[Sampling, tuple[Protocols, ...]],
    network: tuple[str, str | None, str | None],
) -> tuple[dict[str, Any], list[SetResult]]:
    """Find all sets and the network before anything is measured; then measure."""
    from napari_sam2.cli.evaluation_sets import find_sets

    movies = find_sets(*where)
    name, device, dtype = network
    predictor, _ = load_predictor(name, device, dtype)
    from napari_sam2.evaluation.contest import Contest
    from napari_sam2.evaluation.report import circumstances
    from napari_sam2.evaluation.run import Evaluation

    contest = Contest.of(predictor.model, predictor.runtime, predictor.options)
    facts = circumstances(predictor.model, name, predictor.runtime) | {"truth": where[2]}
    run = Evaluation(contest, *asked, facts, out)
    found = run.run(movies, say)
    return run.all_facts(), found


def _sampling(seed: int, *, quick: bool, limit: int | None) -> Sampling:
    from napari_sam2.evaluation.sampling import Sampling

    chosen = Sampling.quick(seed) if quick else Sampling(seed=seed)
    return chosen if limit is None else chosen.limited(limit)


def _protocols(text: str) -> tuple[Protocols, ...]:
    from napari_sam2.evaluation.sampling import ALL_PROTOCOLS

    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in ALL_PROTOCOLS]
    if wrong or not names:
        raise ValueError(
            f"--protocols {text!r} has {wrong[0] if wrong else 'nothing'} in it; "
            f"choose of {','.join(ALL_PROTOCOLS)}"
        )
    return tuple(name for name in ALL_PROTOCOLS if name in names)


def _require_libraries() -> None:
    """Refuse to begin without what the measures and rivals are computed with."""
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise RuntimeError(
            f"the evaluation needs {', '.join(missing)}: pip install 'napari-sam2[evaluate]'"
        )


def _write_docs(page: Path, out: Path, facts: dict[str, Any], found: list[SetResult]) -> None:
    """Write the tables between the markers of a page, and its plots beside it."""
    from napari_sam2.evaluation.report import markdown, write_page

    write_page(page, markdown(facts, found))
    pictures = page.parent / "images" / "evaluation"
    pictures.mkdir(parents=True, exist_ok=True)
    for plot in sorted((out / "plots").glob("*.png")):
        shutil.copyfile(plot, pictures / plot.name)
    say(f"wrote {page} and {pictures}")
