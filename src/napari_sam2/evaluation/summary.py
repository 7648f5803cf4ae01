"""Averages over objects: the cells of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_sam2.evaluation.contest import SetResult
from napari_sam2.evaluation.interactive import InteractiveScore
from napari_sam2.evaluation.metrics import mean_and_error
from napari_sam2.evaluation.protocol import ObjectScore

ALL_SYNTHETIC = "synthetic, all kinds"
"""Title of what is averaged over the kinds of synthetic movies."""


@dataclass(frozen=True)
class Summary:
    """One cell of a table: a method under a protocol on a set.

    Attributes
    ----------
    dataset, protocol, method : str
        Which cell.
    count : int
        Objects scored.
    iou, iou_error : float
        Mean J over objects and its standard error.
    boundary : float
        Mean F.
    both, both_error : float
        Mean of (J + F) / 2 and its standard error.
    lost : float or None
        Share of masklets that lost their object.
    seconds : float
        Mean time of an answer, or for each frame of each object.
    """

    dataset: str
    protocol: str
    method: str
    count: int
    iou: float
    iou_error: float
    boundary: float
    both: float
    both_error: float
    lost: float | None
    seconds: float


@dataclass(frozen=True)
class Curve:
    """J&F against the frames that a person interacted with.

    Attributes
    ----------
    dataset, protocol, method : str
    count : int
        Objects.
    both, errors : tuple of float
        Mean of (J + F) / 2 after 1, 2, ... frames, and its standard error.
    iou : tuple of float
        Mean J.
    frames : float
        Frames that were interacted with, on average.
    """

    dataset: str
    protocol: str
    method: str
    count: int
    both: tuple[float, ...]
    errors: tuple[float, ...]
    iou: tuple[float, ...]
    frames: float


def summarise(results: Iterable[SetResult]) -> list[Summary]:
    """Average the scores of every set by protocol and method, in the order they came."""
    cells: dict[tuple[str, str, str], list[ObjectScore]] = {}
    for result in results:
        for score in result.scores:
            cells.setdefault((result.title, score.protocol, score.method), []).append(score)
    return [_cell(key, found) for key, found in cells.items()]


def curves(results: Iterable[SetResult]) -> list[Curve]:
    """Average the interactive scores by protocol and method, over a set or all synthetic ones.

    Of a synthetic kind only two objects are corrected: too few for a curve of its own.
    """
    groups: dict[tuple[str, str, str], list[InteractiveScore]] = {}
    for result in results:
        title = ALL_SYNTHETIC if result.kind == "synthetic" else result.title
        for score in result.interactive:
            groups.setdefault((title, score.protocol, score.method), []).append(score)
    return [_curve(key, found) for key, found in groups.items()]


def iou_over_time(
    results: Iterable[SetResult], protocol: str
) -> dict[str, list[tuple[int, float]]]:
    """Return mean J of each method against the frames since the prompt, over all sets."""
    found: dict[str, dict[int, list[float]]] = {}
    for result in results:
        for score in result.scores:
            if score.protocol == protocol:
                by_age = found.setdefault(score.method, {})
                for frame, value in score.per_frame.items():
                    by_age.setdefault(frame - score.frame, []).append(value)
    return {
        method: [(age, float(np.mean(values))) for age, values in sorted(by_age.items())]
        for method, by_age in found.items()
    }


def _cell(key: tuple[str, str, str], scores: Sequence[ObjectScore]) -> Summary:
    """Average one cell."""
    mean, error = mean_and_error([score.iou for score in scores])
    both, both_error = mean_and_error([(score.iou + score.boundary) / 2 for score in scores])
    verdicts = [score.lost for score in scores if score.lost is not None]
    return Summary(
        *key,
        count=len(scores),
        iou=mean,
        iou_error=error,
        boundary=mean_and_error([score.boundary for score in scores])[0],
        both=both,
        both_error=both_error,
        lost=sum(verdicts) / len(verdicts) if verdicts else None,
        seconds=mean_and_error([score.seconds for score in scores])[0],
    )


def _curve(key: tuple[str, str, str], scores: Sequence[InteractiveScore]) -> Curve:
    """Average one group."""
    j = np.array([score.j for score in scores])
    both = (j + np.array([score.f for score in scores])) / 2  # (objects, frames)
    pairs = [mean_and_error(column.tolist()) for column in both.T]
    return Curve(
        *key,
        count=len(scores),
        both=tuple(mean for mean, _ in pairs),
        errors=tuple(error for _, error in pairs),
        iou=tuple(j.mean(axis=0).tolist()),
        frames=float(np.mean([score.frames for score in scores])),
    )
