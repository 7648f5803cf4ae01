"""``napari-sam2 synth``: movies with known truth, of the kinds that the network is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_sam2.cli.console import say

__all__ = ["synth"]


def synth(
    kind: Annotated[
        str | None, typer.Option(help="Kind of movie, see --list; one by chance if left out.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="The movie, a .tif; labels and tracks are written beside it."),
    ] = Path("out/synth/movie.tif"),
    frames: Annotated[int, typer.Option(help="Number of frames (slices of a stack).")] = 30,
    shape: Annotated[str, typer.Option(help="Height,width in pixels.")] = "288,288",
    seed: Annotated[int, typer.Option(help="The same seed gives the same movie.")] = 0,
    bits: Annotated[int, typer.Option(help="Depth of the camera, 8 to 16.")] = 12,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace older files.")] = False,
    show_kinds: Annotated[bool, typer.Option("--list", help="Only list the kinds.")] = False,
) -> None:
    """Make a synthetic movie with its exact masks and lineage."""
    from napari_sam2.training.synthetic.files import MovieFiles
    from napari_sam2.training.synthetic.movie import KINDS, random_movie

    if show_kinds:
        for name, about in KINDS.items():
            say(f"{name:12} {about.title}")
        return
    files = MovieFiles(out)
    files.refuse_overwrite(overwrite=overwrite)
    made = random_movie(seed, frames, _parse_shape(shape), kind, bits)
    files.write(made, overwrite=overwrite)
    say(
        f"{made.kind}, seed {seed}: {len(made.images)} frames of "
        f"{made.images.shape[1]} x {made.images.shape[2]} pixels, {int(made.labels.max())} "
        f"objects, {len(set(made.lineage.values()))} divisions"
    )
    for name, path in (("movie", files.movie), ("labels", files.labels), ("tracks", files.tracks)):
        say(f"{name:8} {path}")


def _parse_shape(text: str) -> tuple[int, int]:
    """Read ``HEIGHT,WIDTH``."""
    try:
        height, width = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise ValueError(
            f"--shape {text!r} is not height,width: write for example 288,288"
        ) from None
    return height, width
