"""What the same work takes in other tools, estimated by us from their own documentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Work:
    """What there was to do.

    Attributes
    ----------
    cells, frames, divisions, corrections : int
        Cells to begin with; frames of the movie; divisions on the way; frames on which a cell had
        to be set right.
    """

    cells: int
    frames: int
    divisions: int
    corrections: int


@dataclass(frozen=True, slots=True)
class Tool:
    """Another tool.

    Attributes
    ----------
    name, source : str
        Its name, and the page of its documentation.
    steps : str
        The actions that we read there: for a cell, a correction, a division.
    count : callable
        Actions for the work; the tool is taken to need as many corrections as this project did.
    waits : str
        What the documentation says of time and machine.
    """

    name: str
    source: str
    steps: str
    count: Callable[[Work], int]
    waits: str


TOOLS = (
    Tool(
        "micro-sam, Annotator Tracking",
        "github.com/computational-cell-analytics/micro-sam, doc/annotation_tools.md",
        "once: embeddings; cell: click, S, Shift+S, C; correction: slider, click, Shift+S; "
        "division: about 16 (slider, track_state, click, S, then track_id, click, Shift+S for "
        "each daughter, choosing in a list being two), one cell at a time",
        lambda work: 1 + 4 * work.cells + 3 * work.corrections + 16 * work.divisions,
        "embeddings of all frames first: by its time-benchmarking.md 1.46 s a frame on a CPU",
    ),
    Tool(
        "Cutie, interactive tool",
        "github.com/hkchengrex/Cutie, docs/INTERACTIVE.md, gui/TIPS.md",
        "once: number of objects at the start, propagate; cell: its number, click; correction: "
        "slider, number, click, commit, propagate; division: two new objects, declared before "
        "the start: slider, 2 x (number, click), commit, propagate; no lineage",
        lambda work: 2 + 2 * work.cells + 5 * work.corrections + 7 * work.divisions,
        "nothing said for a CPU",
    ),
    Tool(
        "nnInteractive, napari",
        "github.com/MIC-DKFZ/napari-nninteractive, README.md and the picture in it",
        "once: initialise; time taken for depth; cell: click, next object; correction: the "
        "object as initial label, slider, click; division: two new objects; no lineage",
        lambda work: 1 + 2 * work.cells + 3 * work.corrections + 4 * work.divisions,
        "an NVIDIA GPU, or a server with one; prohibitively slow on a CPU",
    ),
    Tool(
        "TrackMate, by hand",
        "imagej.net/plugins/trackmate/tutorials/manual-tracking",
        "auto-linking mode: slider and A for every cell on every frame; division: click on the "
        "mother, then her second daughter like a cell; circles, no masks",
        lambda work: 1 + 2 * work.cells * work.frames + work.divisions * (1 + work.frames),
        "none",
    ),
    Tool(
        "TrackMate, semi-automatic",
        "imagej.net/plugins/trackmate/tutorials/manual-tracking, manual-track-editing",
        "cell: A, twice E or Q for the radius, Shift+A; correction: slider, D, A, Shift+A; "
        "division: slider, click on the mother, slider, 2 x (A, Shift+A); circles, no masks",
        lambda work: 4 * work.cells + 4 * work.corrections + 7 * work.divisions,
        "none",
    ),
)


def table(work: Work) -> Table:
    """Return the other tools' effort for the same work, with where each number is from."""
    shown = Table(
        title=f"the same work elsewhere ({work.cells} cells, {work.frames} frames, "
        f"{work.divisions} divisions, {work.corrections} corrections): "
        "our estimate from their documentation",
        show_lines=True,
    )
    for column in ("tool", "actions", "counted as", "waiting", "documentation"):
        shown.add_column(column, justify="right" if column == "actions" else "left")
    for tool in TOOLS:
        count = f"about {tool.count(work)}"
        shown.add_row(tool.name, count, tool.steps, tool.waits, tool.source)
    return shown
