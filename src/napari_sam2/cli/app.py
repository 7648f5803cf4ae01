"""The application: its commands, its version, and what becomes of errors."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from napari_sam2 import __version__
from napari_sam2.cli.batch import batch
from napari_sam2.cli.console import say_error
from napari_sam2.cli.demo import demo
from napari_sam2.cli.evaluate import evaluate
from napari_sam2.cli.export import export, import_objects
from napari_sam2.cli.models import models
from napari_sam2.cli.run import run
from napari_sam2.cli.synth import synth
from napari_sam2.cli.track import track
from napari_sam2.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(track)
app.command()(run)
app.command()(batch)
app.command()(export)
app.command("import")(import_objects)
app.command()(demo)
app.command()(synth)
app.command()(train)
app.command()(evaluate)
app.add_typer(models, name="models")


def main() -> None:
    """Run the command; what the user can mend is one line on stderr and exit status 2."""
    # tifffile logs what is wrong with a damaged file; the error says it already.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        app()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("NAPARI_SAM2_TRACEBACK"):
            raise
        say_error(error)
        sys.exit(2)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"napari-sam2 {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Click a cell, track it through the movie: SAM 2 for microscopy."""
