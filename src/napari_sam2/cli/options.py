"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Device", "Model", "Out", "Overwrite", "Precision"]

Model = Annotated[
    str,
    typer.Option(
        help="A name that `napari-sam2 models list` shows, or the path of a weights file."
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; the fastest there is by default.")
]
Precision = Annotated[
    str | None, typer.Option("--dtype", help="float32, bfloat16 or float16; by the device.")
]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is not there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace older results in OUT.")]
