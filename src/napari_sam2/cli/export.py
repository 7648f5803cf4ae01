"""``napari-sam2 export`` and ``import``: to and from the files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.cli.console import counting, say
from napari_sam2.cli.options import Overwrite

if TYPE_CHECKING:
    from napari_sam2.io.calibration import Calibration

__all__ = ["export", "import_objects"]

Axes = Annotated[
    str | None, typer.Option(help="Order of the movie's axes, such as TZYX, if the file is wrong.")
]
PixelSize = Annotated[
    str | None, typer.Option(help="Size of a pixel, or Z,Y,X, such as 0.65 or 2,0.65,0.65.")
]
Interval = Annotated[float | None, typer.Option(help="Time from one frame to the next.")]
SpaceUnit = Annotated[str, typer.Option("--unit", help="Unit of --pixel-size.")]
TimeUnit = Annotated[str, typer.Option("--time-unit", help="Unit of --interval.")]


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SESSION_OR_RESULTS",
            help="NAME.sam2, a folder that track or run wrote, or a label stack.",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="File or folder; its ending says the format.")],
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            help="ctc, geff, ome-zarr, tiff, csv, parquet, coco, trackmate or napari-tracks."
        ),
    ] = None,
    movie: Annotated[str | None, typer.Option(help="The movie, if it is not where it was.")] = None,
    axes: Axes = None,
    pixel_size: PixelSize = None,
    interval: Interval = None,
    unit: SpaceUnit = "um",
    time_unit: TimeUnit = "s",
    overwrite: Overwrite = False,
) -> None:
    """Write objects in the form that another tool reads.

    Rejected objects are left out. What a format cannot hold is said.
    """
    from dataclasses import replace

    from napari_sam2.io.export import export as write
    from napari_sam2.io.export import format_of
    from napari_sam2.io.open_tracked import open_tracked

    format_of(out, format)
    objects = open_tracked(source, movie, axes)
    known = _calibration(objects.calibration, pixel_size, interval, unit, time_unit)
    with counting("exporting") as watch:
        done = write(
            replace(objects, calibration=known), out, format=format, overwrite=overwrite,
            watch=watch,
        )  # fmt: skip
    for note in done.notes:
        say(f"note: {note}")
    say(f"{done.format:8} {done.path}")


def import_objects(
    source: Annotated[
        Path,
        typer.Argument(
            help="Cell Tracking Challenge folder, GEFF, label stack or results of track."
        ),
    ],
    movie: Annotated[str, typer.Option(help="The movie that they belong to.")],
    out: Annotated[Path, typer.Option(help="The session to make: NAME.sam2.")],
    axes: Axes = None,
    pixel_size: PixelSize = None,
    interval: Interval = None,
    unit: SpaceUnit = "um",
    time_unit: TimeUnit = "s",
) -> None:
    """Make a session from the objects of another tool, to be corrected in napari."""
    from napari_sam2.io.calibration import read_calibration
    from napari_sam2.io.import_session import import_session

    known = _calibration(read_calibration(movie), pixel_size, interval, unit, time_unit)
    done = import_session(source, movie, out, axes=axes, calibration=known)
    for note in done.notes:
        say(f"note: {note}")
    say(f"{done.num_objects} objects, {done.num_divisions} divisions")
    say(f"session  {done.path}")


def _calibration(
    found: Calibration,
    pixel_size: str | None,
    interval: float | None,
    unit: str,
    time_unit: str,
) -> Calibration:
    """Return what the movie says, with what the command line says in its place."""
    from dataclasses import replace

    from napari_sam2.io.calibration import unit_name

    if pixel_size is not None:
        try:
            sizes = [float(part) for part in pixel_size.split(",")]
            z, y, x = sizes * 3 if len(sizes) == 1 else sizes
        except ValueError:
            raise ValueError(
                f"--pixel-size {pixel_size!r} is neither one size nor three: write 0.65 or "
                "2,0.65,0.65"
            ) from None
        found = replace(found, pixel=(z, y, x), space_unit=unit_name(unit, "pixel"))
    if interval is not None:
        found = replace(found, interval=interval, time_unit=unit_name(time_unit, "frame"))
    return found
