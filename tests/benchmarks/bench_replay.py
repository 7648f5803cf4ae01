"""Twenty cells through thirty frames by a replayed user: the actions, and the time computed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from rich.table import Table
from tests.benchmarks.effort_elsewhere import Work, table
from tests.benchmarks.replayed_user import ReplayedUser
from tests.benchmarks.report import progress, seconds

from napari_sam2.evaluation.ground_truth import AnnotatedMovie, read_movie

DATA = Path(os.environ.get("NAPARI_SAM2_DATA", "../shared/data"))
MOVIE = "ctc_N2DL-HeLa_01"
FIRST, FRAMES, CELLS = 16, 30, 20
"""The movie shows twenty cells for the first time on frame 16."""

RIGHT = 0.5
"""IoU below which the user corrects."""

PATIENCE = 5
"""Frames of one cell that are corrected before the user gives the cell up."""

SMALLEST = 50
"""Pixels: what is smaller on the first frame is a sliver at its edge."""

PHASES = ("click the cells", "run", "correct", "divide", "end what is gone")


@dataclass
class Tally:
    """What was done and how long it took.

    Attributes
    ----------
    objects : dict of int to int
        Cells of the truth to objects.
    given_up : set of (int, int)
        Cells and frames that could not be made right.
    corrected : Counter of int
        Frames on which a cell was corrected.
    """

    objects: dict[int, int] = field(default_factory=dict)
    given_up: set[tuple[int, int]] = field(default_factory=set)
    corrected: Counter[int] = field(default_factory=Counter)
    divisions: int = 0
    proposed: int = 0
    most_for_a_division: int = 0
    clock: Counter[str] = field(default_factory=Counter)
    processor: Counter[str] = field(default_factory=Counter)


def run() -> tuple[Table, Table]:
    """Replay the user; return the effort here, and elsewhere."""
    movie = read_movie(DATA / MOVIE)
    user = ReplayedUser(movie.images[FIRST : FIRST + FRAMES], RIGHT)
    tally = Tally()
    with _timed(user, tally, "click the cells"):
        for cell in movie.objects_on(FIRST, SMALLEST)[:CELLS]:
            truth = movie.mask(cell, FIRST)
            tally.objects[cell] = user.begin(0, truth)
            progress(f"cell {cell}: {user.agreement(tally.objects[cell], 0, truth):.2f}")
    with _timed(user, tally, "run"):
        user.run()
    while _mend_first(user, movie, tally):
        pass
    shown = _table(user, movie, tally)
    user.close()
    return shown, table(Work(CELLS, FRAMES, tally.divisions, tally.corrected.total()))


@contextmanager
def _timed(user: ReplayedUser, tally: Tally, phase: str) -> Iterator[None]:
    user.phase = phase
    clock, processor = perf_counter(), process_time()
    yield
    tally.clock[phase] += perf_counter() - clock
    tally.processor[phase] += process_time() - processor


def _frames(movie: AnnotatedMovie) -> list[int]:
    """Frames with truth, by their number in the movie."""
    return [frame for frame in movie.annotated if FIRST <= frame < FIRST + FRAMES]


def _mend_first(user: ReplayedUser, movie: AnnotatedMovie, tally: Tally) -> bool:
    """Go to the first frame on which something is wrong, and mend it; False if all is right."""
    for frame in _frames(movie):
        for cell, number in list(tally.objects.items()):
            if (cell, frame) in tally.given_up:
                continue
            if _is_divided(movie, cell, frame):
                if _divide(user, movie, tally, cell, frame):
                    return True
            elif movie.record(cell, frame).visible:
                truth = movie.mask(cell, frame)
                is_hopeless = tally.corrected[cell] >= PATIENCE
                if not is_hopeless and user.agreement(number, frame - FIRST, truth) < RIGHT:
                    _correct(user, tally, cell, frame, truth)
                    return True
            elif not movie.lives_until(cell, frame) and user.mask(number, frame - FIRST).any():
                with _timed(user, tally, "end what is gone"):
                    user.cut(number, frame - FIRST)
                return True
    return False


def _is_divided(movie: AnnotatedMovie, cell: int, frame: int) -> bool:
    return cell in movie.mothers.values() and not movie.lives_until(cell, frame)


def _correct(user: ReplayedUser, tally: Tally, cell: int, frame: int, truth: np.ndarray) -> None:
    before = user.actions["correct"]
    with _timed(user, tally, "correct"):
        is_right = user.correct(tally.objects[cell], frame - FIRST, truth)
    tally.corrected[cell] += 1
    actions = user.actions["correct"] - before
    progress(f"cell {cell}, frame {frame}: {'right' if is_right else 'not right'} after {actions}")
    if not is_right:
        tally.given_up.add((cell, frame))


def _divide(user: ReplayedUser, movie: AnnotatedMovie, tally: Tally, cell: int, frame: int) -> bool:
    """Divide a cell on the first frame on which both daughters are known."""
    daughters = sorted(d for d, mother in movie.mothers.items() if mother == cell)
    is_seen = len(daughters) == 2 and all(movie.record(d, frame).visible for d in daughters)
    if daughters[0] in tally.objects or not is_seen:
        return False
    before = user.actions["divide"]
    with _timed(user, tally, "divide"):
        one, other = (movie.mask(d, frame) for d in daughters)
        born = movie.lifetimes[daughters[0]][0]
        found, is_proposed = user.divide(
            tally.objects[cell], born - FIRST, frame - FIRST, (one, other)
        )
    if len(found) != 2:
        tally.given_up.add((cell, frame))
        return True
    tally.objects.update(zip(daughters, found, strict=True))
    actions = user.actions["divide"] - before
    tally.divisions += 1
    tally.proposed += is_proposed
    tally.most_for_a_division = max(tally.most_for_a_division, actions)
    progress(f"cell {cell} divided on frame {frame}: {actions} actions")
    return True


def _table(user: ReplayedUser, movie: AnnotatedMovie, tally: Tally) -> Table:
    scores = [
        user.agreement(number, frame - FIRST, movie.mask(cell, frame))
        for cell, number in tally.objects.items()
        for frame in _frames(movie)
        if movie.record(cell, frame).visible
    ]
    wrong = sum(score < RIGHT for score in scores)
    title = (
        f"{MOVIE}, {CELLS} cells and their daughters, frames {FIRST} to {FIRST + FRAMES - 1}: "
        f"mean J {np.mean(scores):.3f}, {wrong} of {len(scores)} masks below {RIGHT}"
    )
    shown = Table(title=title)
    for column in ("what", "how many", "actions", "time", "processor"):
        shown.add_column(column, justify="left" if column == "what" else "right")
    hopeless = sum(count >= PATIENCE for count in tally.corrected.values())
    counts = {
        "click the cells": f"{CELLS}",
        "run": "1",
        "correct": f"{tally.corrected.total()}, {hopeless} given up after {PATIENCE}",
        "divide": f"{tally.divisions}, {tally.proposed} proposed, "
        f"at most {tally.most_for_a_division} actions each",
    }
    for phase in PHASES:
        times = (tally.clock[phase], tally.processor[phase])
        shown.add_row(phase, counts.get(phase, ""), str(user.actions[phase]), *map(seconds, times))
    totals = (sum(tally.clock.values()), sum(tally.processor.values()))
    shown.add_row("all", "", str(user.actions.total()), *map(seconds, totals))
    return shown
