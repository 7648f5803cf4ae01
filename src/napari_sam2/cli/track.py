"""``napari-sam2 track``: a movie and prompts in, labels and tracks out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_sam2.cli.arguments import collect_prompts, parse_frames
from napari_sam2.cli.job_run import run_and_report
from napari_sam2.cli.opening import load_predictor, open_session
from napari_sam2.cli.options import Device, Model, Out, Overwrite, Precision
from napari_sam2.cli.searching import Auto, Diameter, Every, Settings, search_options

__all__ = ["track"]

Movie = Annotated[
    str, typer.Argument(help="TIFF, zarr or npy; or a folder or 'pattern' of pictures.")
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        help="T,Y,X or T,Y,X,OBJECT; T,Y,X,OBJECT,- for not this; stacks T,Z,Y,X. Repeatable."
    ),
]
Boxes = Annotated[list[str] | None, typer.Option(help="T,Y0,X0,Y1,X1 or with ,OBJECT. Repeatable.")]
PromptsFile = Annotated[
    Path | None, typer.Option(help="Prompts as JSON or CSV, or a label image or stack.")
]
Direction = Annotated[
    Literal["forward", "backward", "both"], typer.Option(help="Way from the prompts.")
]
Frames = Annotated[
    str | None, typer.Option(help="First and last frame, A:B; either may be left out.")
]
Along = Annotated[
    Literal["both", "time", "z"],
    typer.Option(help="In movies of stacks: through time, depth, or both with one id."),
]
ViewOf = Annotated[
    Literal["auto", "whole", "follow"],
    typer.Option(help="Whole frames, or windows that follow the objects."),
]
Divided = Annotated[
    Literal["auto", "end", "daughters", "follow"],
    typer.Option(help="Cells that have divided: end them, take daughters on, or follow them on."),
]
Motion = Annotated[
    Literal["auto", "on", "off"],
    typer.Option(help="Look for objects where they have moved to, or where they were."),
]
Axes = Annotated[
    str | None, typer.Option(help="Order of the axes, such as TCYX, if the file is wrong.")
]
Channels = Annotated[
    str | None, typer.Option(help="One channel, or three for red, green, blue: 0 or 2,1,0.")
]
Low = Annotated[float | None, typer.Option(help="Raw value shown as black.")]
High = Annotated[float | None, typer.Option(help="Raw value shown as white.")]


def track(
    movie: Movie,
    out: Out,
    point: Points = None,
    box: Boxes = None,
    prompts: PromptsFile = None,
    auto: Auto = False,
    diameter: Diameter = None,
    every: Every = None,
    settings: Settings = None,
    model: Model = "bundled",
    device: Device = None,
    dtype: Precision = None,
    direction: Direction = "both",
    frames: Frames = None,
    along: Along = "both",
    view: ViewOf = "auto",
    divided: Divided = "auto",
    motion: Motion = "auto",
    axes: Axes = None,
    channels: Channels = None,
    low: Low = None,
    high: High = None,
    overwrite: Overwrite = False,
) -> None:
    """Track objects from points, boxes or masks, or without any; write labels and tracks.

    Points and boxes without an object are objects of their own. Coordinates are pixels of the
    frame, T and pixel centres count from 0. A movie with time and depth is tracked as one of
    stacks: Z follows T in points and boxes, and frames of prompts from a file are T * slices + Z.
    """
    from napari_sam2.batch.job import Job, ResultFolder
    from napari_sam2.io.prompts_file import read_prompts
    from napari_sam2.io.read import read_stacks
    from napari_sam2.predictor.automatic_masklets import AutomaticMasklets
    from napari_sam2.predictor.composed_frames import grid_of
    from napari_sam2.predictor.options import PredictorOptions, PropagateOptions

    others = read_prompts(prompts) if prompts else []
    if auto and divided == "daughters":
        raise ValueError("--auto finds daughters by itself: leave --divided out")
    start, stop = parse_frames(frames)
    search = search_options(auto, diameter, every, settings or [], (start, stop))
    array, letters = read_stacks(movie, axes)
    session = open_session(array, channels, low, high, letters)
    grid = grid_of(session.frames)
    given = collect_prompts(point or [], box or [], others, grid, may_be_none=auto)
    for prompt in given:
        session.add(prompt)
    results = ResultFolder(out)
    results.prepare(overwrite=overwrite)
    looks = PredictorOptions(view=view, divided=divided, motion=motion)
    predictor, about = load_predictor(model, device, dtype, looks)
    options = PropagateOptions(direction=direction, start=start, stop=stop, along=along)
    about = {"movie": str(Path(movie).absolute()), **about}
    job = Job(session, predictor, results, options, overwrite, about)
    if search is not None:
        job = replace(job, search=AutomaticMasklets(predictor, session, *search))
    run_and_report(job)
