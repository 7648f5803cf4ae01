"""``napari-sam2 evaluate``: how accurate a network is, beside simple rivals in the same run."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.cli.console import say
from napari_sam2.cli.opening import load_predictor
from napari_sam2.cli.options import Device, Model, Precision

if TYPE_CHECKING:
    from napari_sam2.evaluation.contest import SetResult
    from napari_sam2.evaluation.run import Evaluation, Open
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
            "Cell Tracking Challenge sequences, label stacks, stills, results of track. All that "
            "are known if not given."
        ),
    ] = None,
    protocols: Annotated[
        str, typer.Option(help="Of prompts,masklets,events,interactive,movie,automatic.")
    ] = "prompts,masklets,events,interactive,movie",
    model: Model = "bundled",
    device: Device = None,
    dtype: Precision = None,
    quick: Annotated[bool, typer.Option("--quick", help="A fifth of everything.")] = False,
    limit: Annotated[int | None, typer.Option(help="Most objects of a protocol.", min=1)] = None,
    movies: Annotated[
        int | None,
        typer.Option(help="Synthetic movies of each kind; 4 if not given, 1 with --quick.", min=1),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which objects are picked.")] = 0,
    truth: Annotated[str, typer.Option(help="labels, or gold: drawn by people.")] = "labels",
    jobs: Annotated[
        int, typer.Option(help="Sets that are measured at once, each on one thread.", min=1)
    ] = 1,
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
        order = _Order(
            out=out,
            where=(data, sets, truth),
            sampling=_sampling(seed, quick=quick, limit=limit),
            protocols=_protocols(protocols),
            network=(model, device, dtype),
            movies=movies or (1 if quick else 4),
        )
        facts, found = _measure(order, jobs)
    say((out / "report.md").read_text())
    if write_docs is not None:
        _write_docs(write_docs, out, facts, found)
    say(f"results: {out / 'evaluation.json'}; tables: {out / 'report.md'}; {out / 'plots'}")


@dataclass(frozen=True)
class _Order:
    """All that was asked for, in a form that another process can be told."""

    out: Path
    where: tuple[Path, str | None, str]
    sampling: Sampling
    protocols: tuple[Protocols, ...]
    network: tuple[str, str | None, str | None]
    movies: int

    def sets(self) -> dict[str, Open]:
        """Find all sets; nothing is read yet."""
        from napari_sam2.cli.evaluation_sets import find_sets

        return find_sets(*self.where, self.movies)

    def prepare(self) -> Evaluation:
        """Load the network."""
        name, device, dtype = self.network
        predictor, _ = load_predictor(name, device, dtype)
        from napari_sam2.evaluation.contest import Contest
        from napari_sam2.evaluation.report import circumstances
        from napari_sam2.evaluation.run import Evaluation

        contest = Contest.of(predictor.model, predictor.runtime, predictor.options)
        facts = circumstances(predictor.model, name, predictor.runtime)
        facts |= {"truth": self.where[2], "movies": self.movies}
        return Evaluation(contest, self.sampling, self.protocols, facts, self.out)


def _measure(order: _Order, jobs: int) -> tuple[dict[str, Any], list[SetResult]]:
    """Find all sets and the network before anything is measured; then measure."""
    sets = order.sets()
    if jobs > 1:
        _use_one_thread()
    run = order.prepare()
    if jobs > 1:
        _measure_beside_one_another(order, list(sets), jobs)
    found = run.run(sets, say)
    return run.all_facts(), found


def _use_one_thread() -> None:
    """Compute on one thread, here and in the processes to come: two sets make use of two cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def _measure_beside_one_another(order: _Order, names: list[str], jobs: int) -> None:
    """Let processes of one thread each measure sets; they leave a file for each."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with ProcessPoolExecutor(jobs, get_context("spawn"), _end_with_parent) as pool:
        pending = [pool.submit(_measure_one, order, name) for name in names]
        try:
            for done in as_completed(pending):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """End this process when the command is killed: nobody would take what it goes on with."""
    from multiprocessing import parent_process
    from threading import Thread

    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _measure_one(order: _Order, name: str) -> None:
    """Measure one set in a process of its own."""
    order.prepare().finish(name, order.sets()[name], say)


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
