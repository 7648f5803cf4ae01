"""The report of a batch: a page with a strip of pictures a movie, and one table."""

from __future__ import annotations

import csv
import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from napari_sam2 import __version__
from napari_sam2.batch.movie_report import MovieReport
from napari_sam2.io.writing import writing_text
from napari_sam2.planes import PlaneGrid

__all__ = ["REPORT", "TABLE", "report_problem", "write_report"]

REPORT = "batch_report.html"
TABLE = "batch_report.csv"
_COLUMNS = (
    "title", "outcome", "frames", "objects", "confidence", "doubtful", "lost", "found",
    "seconds", "peak_mb", "starts", "blocks", "worker", "error", "folder",
)  # fmt: skip
_MARK = '<meta name="generator" content="napari-sam2 batch">'
_SHOWN_STOPS = 12

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1260px;padding:0 1rem;color:#222}
h1{font-size:1.4rem;margin:0} h2{font-size:1.1rem;margin:0} p{margin:.3rem 0}
table{border-collapse:collapse;margin:1rem 0;width:100%} td,th{padding:.2rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left} tr{border-bottom:1px solid #ddd}
section{border-top:2px solid #ccc;padding:1rem 0} img{max-width:100%;margin:.5rem 0}
.failed,.stopped{color:#b00020;font-weight:600} .done{color:#17643a} .quiet{color:#666}
code{font-size:.9em}
"""


def report_problem(folder: Path) -> str | None:
    """Say why a report cannot be written to a folder, None if it can."""
    page = folder / REPORT
    if folder.exists() and not folder.is_dir():
        return f"{folder} is a file: choose a folder for the results"
    if page.is_file() and _MARK not in page.read_text(encoding="utf-8", errors="replace"):
        return f"{page} was not written by a batch and stays as it is: choose another folder"
    return None


def write_report(folder: Path, reports: Sequence[MovieReport], events: Sequence[str] = ()) -> Path:
    """Write ``batch_report.html`` and ``batch_report.csv``.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    reports : sequence of MovieReport
        In the order of the jobs.
    events : sequence of str
        What happened beside the movies, such as workers that died.

    Returns
    -------
    Path
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with writing_text(folder / TABLE, overwrite=True, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows([_cell(getattr(one, name)) for name in _COLUMNS] for one in reports)
    page = folder / REPORT
    with writing_text(page, overwrite=True) as file:
        file.write(_page(folder, reports, events))
    return page


def _cell(value: object) -> object:
    return "" if value is None else value


def _page(folder: Path, reports: Sequence[MovieReport], events: Sequence[str]) -> str:
    count = len(reports)
    good = sum(one.outcome in ("done", "was done") for one in reports)
    hours = sum(one.seconds for one in reports) / 3600
    rows = "".join(map(_row, reports))
    noted = "".join(f"<li>{html.escape(event)}</li>" for event in events)
    return "\n".join(
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">{_MARK}',
            f"<title>{good} of {count} movies</title><style>{_STYLE}</style></head><body>",
            f"<h1>{good} of {count} movies are done</h1>",
            f'<p class="quiet">napari-sam2 {__version__}, {hours:.2f} hours of tracking</p>',
            f"<ul>{noted}</ul>" if noted else "",
            "<table><tr><th>movie</th><th>outcome</th><th>frames</th><th>objects</th>"
            "<th>confidence</th><th>doubtful</th><th>lost</th><th>found</th><th>time</th>"
            f"<th>memory</th><th>starts</th></tr>{rows}</table>",
            *(_section(folder, one) for one in reports),
            "</body></html>\n",
        )
    )


def _row(one: MovieReport) -> str:
    sure = "" if one.confidence is None else f"{one.confidence:.2f}"
    values = (
        str(one.frames or ""), str(one.objects), sure, str(one.doubtful), str(one.lost),
        str(one.found), f"{one.seconds:.0f} s", f"{one.peak_mb:.0f} MiB", str(one.starts),
    )  # fmt: skip
    cells = "".join(f"<td>{value}</td>" for value in values)
    title = html.escape(one.title)
    return f'<tr><td><a href="#{title}">{title}</a></td><td>{_outcome(one)}</td>{cells}</tr>'


def _outcome(one: MovieReport) -> str:
    kind = "done" if one.outcome == "was done" else one.outcome
    return f'<span class="{kind}">{one.outcome}</span>'


def _section(folder: Path, one: MovieReport) -> str:
    title = html.escape(one.title)
    parts = [f'<section id="{title}"><h2>{title} · {_outcome(one)}</h2>']
    if one.error:
        parts.append(f'<p class="failed">{html.escape(one.error)}</p>')
    strip = Path(one.folder) / "strip.png"
    if one.folder and strip.is_file():
        parts.append(f'<img src="{_link(folder, strip)}" alt="frames of {title}">')
    grid = PlaneGrid(max(one.frames // one.slices, 1), one.slices)
    if one.stops:
        places = "; ".join(
            f"{grid.name(frame)}, object {object_id}: {html.escape(reason)}"
            for frame, object_id, reason in one.stops[:_SHOWN_STOPS]
        )
        more = len(one.stops) - _SHOWN_STOPS
        rest = f"; and {more} more" if more > 0 else ""
        parts.append(f"<p>Look at: {places}{rest}</p>")
    parts += [f'<p class="quiet">{html.escape(note)}</p>' for note in one.notes]
    if one.starts > 1:
        parts.append(f"<p>Interrupted and gone on with: begun {one.starts} times.</p>")
    if one.blocks > 1:
        parts.append(f"<p>Tracked in {one.blocks} blocks, one task each.</p>")
    if one.folder:
        where = html.escape(one.folder)
        parts.append(f'<p class="quiet"><code>{where}</code> {html.escape(one.worker)}</p>')
    return "".join((*parts, "</section>"))


def _link(folder: Path, path: Path) -> str:
    """Return a link that holds when the folder is copied elsewhere, where that is possible."""
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:  # another drive
        return path.as_uri()
