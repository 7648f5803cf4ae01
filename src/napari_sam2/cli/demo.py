"""``napari-sam2 demo``: every cell of a movie from one click each, and a picture of the result."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.cli.console import run_with_progress, say, say_report
from napari_sam2.cli.job_run import INTERRUPTED
from napari_sam2.cli.opening import load_predictor, open_session
from napari_sam2.cli.options import Device, Model, Out, Overwrite

if TYPE_CHECKING:
    from napari_sam2.demo import Accuracy, DemoMovie
    from napari_sam2.predictor.session import VideoSession

__all__ = ["demo"]


def demo(
    movie: Annotated[
        str | None, typer.Argument(help="A movie; by default dividing cells, made on the spot.")
    ] = None,
    out: Out = Path("out/demo"),
    model: Model = "bundled",
    device: Device = None,
    objects: Annotated[
        int, typer.Option(min=1, help="Most cells to track in a movie without truth.")
    ] = 25,
    viewer: Annotated[
        bool, typer.Option("--viewer/--no-viewer", help="Open napari if there is a display.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Track every cell of a movie from one click each; write labels, tracks and a picture."""
    from napari_sam2 import demo as show
    from napari_sam2.batch.job import Job, ResultFolder
    from napari_sam2.io.read import read_movie
    from napari_sam2.io.writing import refuse_overwrite
    from napari_sam2.predictor.options import PropagateOptions

    sheet = out / "contact_sheet.png"
    results = ResultFolder(out)
    results.prepare(overwrite=overwrite)
    refuse_overwrite(sheet, overwrite=overwrite)
    chosen = show.synthetic_movie(out) if movie is None else show.DemoMovie(Path(movie))
    session = open_session(read_movie(chosen.path))
    _click(session, chosen, objects)
    predictor, about = load_predictor(model, device, None)
    about = {"movie": str(chosen.path.absolute()), **about}
    options = PropagateOptions(direction="forward")
    report = run_with_progress(Job(session, predictor, results, options, overwrite, about))
    show.write_sheet(sheet, session, report, overwrite=overwrite)
    say_report(report)
    say(f"picture  {sheet}")
    if not report.is_complete:
        raise typer.Exit(INTERRUPTED)
    if chosen.truth is not None:
        _say_accuracy(show.measure(session.masklets, chosen.truth))
    if viewer:
        _open_viewer(chosen.path, out)


def _click(session: VideoSession, chosen: DemoMovie, limit: int) -> None:
    """Give each cell one click, and say where the clicks come from."""
    from napari_sam2 import demo as show

    if chosen.truth is not None:
        clicks = show.clicks_on_truth(chosen.truth)
        say(f"{len(clicks)} synthetic cells, one click each on the frame where the cell appears")
    else:
        clicks, found = show.propose_clicks(session.read(0), limit)
        say(
            f"no prompts given: thresholding the first frame proposes {found} cells, "
            f"one click on each of the {len(clicks)} largest"
        )
    for click in clicks:
        session.add(click)


def _say_accuracy(accuracy: Accuracy) -> None:
    """Say how well the masks agree with the truth."""
    say(
        f"accuracy against the truth: mean IoU {accuracy.mean_iou:.3f} over {accuracy.objects} "
        f"objects, {len(accuracy.lost)} lost{_listed(accuracy.lost)}, "
        f"{len(accuracy.outlived)} still drawn after they had gone{_listed(accuracy.outlived)}"
    )


def _listed(objects: tuple[int, ...]) -> str:
    return f" ({', '.join(map(str, objects))})" if objects else ""


def _open_viewer(movie: Path, results: Path) -> None:
    """Open napari on the results in a process of its own, if there is a display and a napari."""
    is_desktop = sys.platform in ("darwin", "win32")
    if not (is_desktop or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    if importlib.util.find_spec("napari") is None:
        say("napari is not installed here: pip install 'napari-sam2[all]' shows results in it")
        return
    # The command line never imports napari; a viewer that fails takes no result with it.
    command = [sys.executable, "-m", "napari_sam2.widgets.show_result", str(movie), str(results)]
    subprocess.Popen(command, start_new_session=True)
    say("opening napari on the result")
