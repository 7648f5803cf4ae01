"""What a network of this package has to reach on movies that it was never trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from napari_sam2.evaluation.contest import SetResult
from napari_sam2.evaluation.methods import NETWORK
from napari_sam2.evaluation.sets import CHALLENGE_SETS, STILLS, TITLES
from napari_sam2.evaluation.summary import Summary

GONE = "up to 10 frames after it has gone: left empty"


@dataclass(frozen=True)
class Target:
    """One bar: what is asked, and of which set.

    Attributes
    ----------
    measure : str
        In words.
    dataset : str
        Title of the set.
    bar : float
        The value to reach.
    value : float
        What the network has; NaN where it was not measured.
    error : float
        Its standard error; NaN where there is none.
    rival, rival_name : float, str
        The best rival.
    is_least : bool
        Whether lower is better.
    """

    measure: str
    dataset: str
    bar: float
    value: float
    error: float
    rival: float
    rival_name: str
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the network reaches the bar."""
        return self.value <= self.bar if self.is_least else self.value >= self.bar


_MOVIES = tuple(TITLES[name] for name in CHALLENGE_SETS)
_ALL = (*_MOVIES, TITLES[STILLS])
_FIRST = "20 frames from a mask"
_J_BARS = {
    "1 click": dict(zip(_ALL, (0.80, 0.85, 0.82, 0.80), strict=True)),
    "3 clicks": dict(zip(_ALL, (0.85, 0.88, 0.86, 0.85), strict=True)),
    _FIRST: dict(zip(_MOVIES, (0.82, 0.85, 0.80), strict=True)),
    GONE: dict.fromkeys(_MOVIES, 0.90),
}
_LOST_BARS = dict(zip(_MOVIES, (0.03, 0.03, 0.05), strict=True))
_CHALLENGE_BARS = {
    "seg": dict(zip(_MOVIES, (0.75, 0.80, 0.72), strict=True)),
    "tra": dict(zip(_MOVIES, (0.92, 0.95, 0.90), strict=True)),
}


def targets(results: Sequence[SetResult], summaries: Sequence[Summary]) -> list[Target]:
    """Compare what was measured with the bars; sets that were not measured are left out."""
    return [*_of_objects(summaries), *_of_lost(summaries), *_of_movies(results)]


def _of_objects(summaries: Sequence[Summary]) -> Iterator[Target]:
    for protocol, bars in _J_BARS.items():
        measure = protocol if ":" in protocol else f"{protocol}: J"
        for title, bar in bars.items():
            cells = [c for c in summaries if (c.dataset, c.protocol) == (title, protocol)]
            values = {cell.method: cell.iou for cell in cells}
            errors = {cell.method: cell.iou_error for cell in cells}
            yield from _target(measure, title, bar, values, errors.get(NETWORK))


def _of_lost(summaries: Sequence[Summary]) -> Iterator[Target]:
    for title, bar in _LOST_BARS.items():
        cells = [c for c in summaries if (c.dataset, c.protocol) == (title, _FIRST)]
        values = {cell.method: cell.lost for cell in cells if cell.lost is not None}
        yield from _target(f"{_FIRST}: lost", title, bar, values, None, is_least=True)


def _of_movies(results: Iterable[SetResult]) -> Iterator[Target]:
    found = list(results)
    for measure, bars in _CHALLENGE_BARS.items():
        for title, bar in bars.items():
            values = {
                score.method: float(getattr(score, measure))
                for result in found
                if result.title == title
                for score in result.challenge
            }
            name = f"one click a cell, whole movie: {measure.upper()}"
            yield from _target(name, title, bar, values, None)


def _target(
    measure: str,
    title: str,
    bar: float,
    values: dict[str, float],
    error: float | None,
    *,
    is_least: bool = False,
) -> Iterator[Target]:
    if NETWORK not in values:
        return
    others = {name: value for name, value in values.items() if not name.startswith(NETWORK)}
    best = min if is_least else max
    name = best(others, key=lambda key: others[key]) if others else ""
    yield Target(
        measure=measure,
        dataset=title,
        bar=bar,
        value=values[NETWORK],
        error=float("nan") if error is None else error,
        rival=others.get(name, float("nan")),
        rival_name=name,
        is_least=is_least,
    )
