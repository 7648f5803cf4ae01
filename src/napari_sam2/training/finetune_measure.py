"""How good a network is on annotated movies, asked through the predictor as a user asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.clicks import corrective_click, innermost_point
from napari_sam2.evaluation.metrics import iou
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.training.datasets import LabelledMovie

__all__ = ["Figures", "Sample", "measure"]

_SMALLEST_AREA = 24
BoolMask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sample:
    """How much is asked.

    Attributes
    ----------
    objects : int
        Objects that are clicked, at most.
    followed : int
        Objects that are followed at once, at most.
    starts : int
        Frames of each movie from which they are followed, at most.
    frames : int
        Frames that they are followed, at most.
    """

    objects: int = 24
    followed: int = 8
    starts: int = 1
    frames: int = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """Mean IoU; NaN where there was nothing to ask.

    Attributes
    ----------
    one_click, three_clicks : float
        After the first click in the middle of an object, and after two corrections.
    tracking : float
        On the frames after a mask was given.
    tracking_click : float
        On the frames after one click was given.
    """

    one_click: float
    three_clicks: float
    tracking: float
    tracking_click: float

    def score(self) -> float:
        """Return one number to choose by: the mean of what could be measured."""
        values = [value for value in asdict(self).values() if np.isfinite(value)]
        return float(np.mean(values)) if values else float("nan")

    def describe(self) -> dict[str, float]:
        """Return the figures by what they are called in reports, without what was not asked."""
        names = {
            "one click": self.one_click,
            "three clicks": self.three_clicks,
            "tracking from a mask": self.tracking,
            "tracking from one click": self.tracking_click,
        }
        return {name: value for name, value in names.items() if np.isfinite(value)}


def measure(
    model: SAM2,
    movies: Sequence[LabelledMovie],
    runtime: Runtime,
    sample: Sample | None = None,
    options: PredictorOptions | None = None,
) -> Figures:
    """Ask a network about objects of annotated movies.

    Parameters
    ----------
    model : SAM2
        Without adapters, or with.
    movies : sequence of LabelledMovie
    runtime : Runtime
    sample : Sample, optional
    options : PredictorOptions, optional
        Views follow the objects if not given.

    Returns
    -------
    Figures
        The same objects, clicks and frames in every call.
    """
    sample = sample or Sample()
    predictor = VideoPredictor(model, runtime, options or PredictorOptions(view="follow"))
    one, three = [], []
    for movie, frame, number in _choose_objects(movies, sample.objects):
        first, last = _click(predictor, movie, frame, number)
        one.append(first)
        three.append(last)
    followed = {
        kind: [value for movie in movies for value in _follow(predictor, movie, sample, kind)]
        for kind in ("mask", "click")
    }
    return Figures(_mean(one), _mean(three), _mean(followed["mask"]), _mean(followed["click"]))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _choose_objects(
    movies: Sequence[LabelledMovie], count: int
) -> Iterable[tuple[LabelledMovie, int, int]]:
    """Choose objects evenly from all that are annotated, frame by frame."""
    every = [
        (movie, t, number)
        for movie in movies
        for t in range(movie.lead, len(movie))
        for number in _ids(movie, t)
    ]
    places = np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int)
    return [every[place] for place in places]


def _ids(movie: LabelledMovie, frame: int) -> list[int]:
    table = movie.objects(frame)
    return [int(number) for number in table.ids[table.areas >= _SMALLEST_AREA]]


def _mask(movie: LabelledMovie, frame: int, number: int) -> BoolMask:
    return np.asarray(movie.labels[frame] == number)


def _click(
    predictor: VideoPredictor, movie: LabelledMovie, frame: int, number: int
) -> tuple[float, float]:
    """Return the IoU after one click and after two corrective ones."""
    truth = _mask(movie, frame, number)
    session = VideoSession.open(movie.images)
    point, positive = innermost_point(truth), True
    values: list[float] = []
    for _ in range(3):
        result = predictor.predict_frame(session, PointPrompt(1, frame, point, positive))
        mask = result.objects[0].record.mask(truth.shape)
        values.append(iou(mask, truth))
        correction = corrective_click(mask, truth)
        if correction is None:
            break
        point, positive = correction
    return values[0], values[-1]


def _follow(
    predictor: VideoPredictor, movie: LabelledMovie, sample: Sample, kind: str
) -> list[float]:
    """Return the IoU of every followed object on every frame where it is known."""
    annotated = [t for t in range(len(movie)) if movie.is_annotated(t)]
    possible = [t for t in annotated[:-1] if _ids(movie, t)]
    places = np.linspace(0, len(possible) - 1, sample.starts + 1).round().astype(int)[:-1]
    values: list[float] = []
    for start in sorted({possible[place] for place in places}) if possible else ():
        values += _follow_from(predictor, movie, start, sample, kind)
    return values


def _follow_from(
    predictor: VideoPredictor, movie: LabelledMovie, start: int, sample: Sample, kind: str
) -> list[float]:
    ids = _ids(movie, start)
    ids = [ids[i] for i in np.linspace(0, len(ids) - 1, min(sample.followed, len(ids))).astype(int)]
    last = max(t for t in range(len(movie)) if movie.is_annotated(t))
    session = VideoSession.open(movie.images)
    for number in ids:
        truth = _mask(movie, start, number)
        if kind == "mask":
            session.add(MaskPrompt(number, start, truth))
        else:
            session.add(PointPrompt(number, start, innermost_point(truth)))
    options = PropagateOptions(
        direction="forward", start=start, stop=min(last, start + sample.frames)
    )
    values: list[float] = []
    for result in predictor.propagate(session, options):
        t = result.frame
        if t > start:
            values += [
                iou(session.masklets.mask(n, t), _mask(movie, t, n))
                for n in ids
                if movie.is_known(n, t)
            ]
    return values
