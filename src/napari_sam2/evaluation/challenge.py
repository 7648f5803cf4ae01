"""SEG, DET, TRA and division measures of the Cell Tracking Challenge.

They are computed by py-ctcmetrics, which the challenge's own organisation keeps and which agrees
with its official program. Only the matching of masks, which the library reads from files at
half a second a frame, is done here, by its definition: a true mask belongs to the label that
covers more than half of it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.metrics import LabelImage, overlap_table
from napari_sam2.evaluation.protocol import Followed
from napari_sam2.masklets import MaskletSet

DIVISION_SLACK = 1
"""Annotated frames by which a division may be early or late and still be the same one."""

_MEASURES = ["DET", "SEG", "TRA", "BC"]
_ERRORS = ("NS", "FN", "FP", "ED", "EA", "EC")


@dataclass(frozen=True)
class ChallengeScore:
    """The measures of one method on one movie.

    Attributes
    ----------
    method, movie : str
    seg : float
        Mean IoU of the matched masks; on the frames that people drew where there are any, else
        on all annotated frames.
    seg_labels : float
        SEG on all annotated frames.
    det, tra : float
        Detection and tracking accuracy on the annotated frames.
    divisions : float or None
        F1 of the divisions (the challenge's BC), None where the truth has none.
    num_divisions : int
        In the truth.
    errors : dict of str to int
        Splits to make, nodes missing and too many, edges too many, missing and wrong.
    num_objects, num_masks : int
        True tracks and true masks.
    seconds : float
        For each frame of each object.
    """

    method: str
    movie: str
    seg: float
    seg_labels: float
    det: float
    tra: float
    divisions: float | None
    num_divisions: int
    errors: dict[str, int]
    num_objects: int
    num_masks: int
    seconds: float


def has_challenge_measures() -> bool:
    """Tell whether py-ctcmetrics is installed."""
    return importlib.util.find_spec("ctc_metrics") is not None


def score_challenge(followed: Followed) -> ChallengeScore:
    """Measure a whole movie on its annotated frames.

    Frames without annotation are left out of both truth and result. So is an object on a frame
    where the annotation leaves it out though its track goes on. Whose daughter a cell is, the
    person who clicks it says; the daughters must be found and followed for a division to count.
    """
    movie, masklets, task = followed.task.movie, followed.masklets, followed.task
    answers = {t: _answer(movie, masklets, t) for t in task.scored}
    answer = Answer(followed.method, movie, masklets, dict(movie.mothers), followed.seconds)
    return _score(answer, answers, task.last)


@dataclass(frozen=True)
class Answer:
    """What a method found in a movie that nobody prompted.

    Attributes
    ----------
    method : str
        Its name.
    movie : AnnotatedMovie
    masklets : MaskletSet
        With ids of its own.
    mothers : dict of int to int
        Daughter to mother, as it has found.
    seconds : float
        Time for each frame of each object.
    """

    method: str
    movie: AnnotatedMovie
    masklets: MaskletSet
    mothers: dict[int, int]
    seconds: float


def score_answer(answer: Answer, last: int) -> ChallengeScore:
    """Measure what was found without a prompt on the annotated frames up to a last one.

    A cell that the annotation leaves out counts as one too many.
    """
    frames = [t for t in answer.movie.annotated if t <= last]
    return _score(answer, {t: answer.masklets.labels(t) for t in frames}, last)


def _score(answer: Answer, answers: Mapping[int, LabelImage], last: int) -> ChallengeScore:
    """Compare label images of annotated frames with the truth."""
    movie = answer.movie
    truth = _Tracks.of({t: movie.labels[t] for t in answers}, movie.mothers)
    result = _Tracks.of(answers, answer.mothers)
    if not result.table.size:
        return _nothing_found(answer, truth)
    matching = _match(truth.images, result.images)
    gold = {t: image for t, image in movie.gold.items() if t <= last}
    painted = {t: answer.masklets.labels(t) for t in gold}
    # Judged last: the library adds to what it is given.
    seg_labels = _library()(result.table, truth.table, {}, matching, ["SEG"], True)["SEG"]
    found = _library()(
        result.table,
        truth.table,
        matching,
        _match(list(gold.values()), list(painted.values())) if gold else matching,
        list(_MEASURES),
        True,
    )
    num_divisions = int(found["gt_divisions"])
    return ChallengeScore(
        method=answer.method,
        movie=movie.name,
        seg=float(found["SEG"]),
        seg_labels=float(seg_labels),
        det=float(found["DET"]),
        tra=float(found["TRA"]),
        divisions=float(found[f"BC({DIVISION_SLACK})"]) if num_divisions else None,
        num_divisions=num_divisions,
        errors={name: int(found[f"AOGM_{name}"]) for name in _ERRORS},
        num_objects=truth.num_objects,
        num_masks=sum(map(len, matching["labels_ref"])),
        seconds=answer.seconds,
    )


@dataclass
class _Tracks:
    """Label images in which every track is without gaps, and the challenge's table of them."""

    images: list[NDArray[np.int32]]
    table: NDArray[np.int64]
    num_objects: int

    @classmethod
    def of(cls, frames: Mapping[int, LabelImage], mothers: Mapping[int, int]) -> _Tracks:
        """Give the tracks new numbers: one that comes back after a gap is its own daughter."""
        images = [np.asarray(image) for image in frames.values()]
        renamed = [np.zeros(image.shape, np.int32) for image in images]
        rows: list[list[int]] = []
        first: dict[int, int] = {}
        final: dict[int, int] = {}
        seen = _places(images)
        for value, places in seen.items():
            mother = 0
            for stretch in _without_gaps(places):
                number = len(rows) + 1
                rows.append([number, stretch[0], stretch[-1], mother])
                first.setdefault(value, number)
                for index in stretch:
                    renamed[index][images[index] == value] = number
                mother = number
            final[value] = mother
        for daughter, known in mothers.items():
            if daughter in first and known in final:
                born, end = rows[first[daughter] - 1][1], rows[final[known] - 1][2]
                rows[first[daughter] - 1][3] = final[known] if end < born else 0
        return cls(renamed, np.array(rows, dtype=np.int64).reshape(-1, 4), len(seen))


def _places(images: list[NDArray[np.integer]]) -> dict[int, list[int]]:
    """Return the images in which each label is."""
    seen: dict[int, list[int]] = {}
    for index, image in enumerate(images):
        for value in np.flatnonzero(np.bincount(image.ravel())).tolist():
            if value:
                seen.setdefault(value, []).append(index)
    return seen


def _without_gaps(places: list[int]) -> list[list[int]]:
    """Cut sorted numbers where one is left out."""
    cuts = np.flatnonzero(np.diff(places) > 1) + 1
    return [[int(place) for place in part] for part in np.split(np.asarray(places), cuts)]


def _answer(movie: AnnotatedMovie, masklets: MaskletSet, frame: int) -> LabelImage:
    """Return the label image of a frame without the objects that cannot be judged there."""
    labels = masklets.labels(frame)
    for object_id in np.unique(labels[labels > 0]):
        if not movie.is_scored(int(object_id), frame):
            labels[labels == object_id] = 0
    return labels


def _match(truth: list[Any], answers: list[Any]) -> dict[str, list[Any]]:
    """Match every true mask with the label that covers more than half of it, frame by frame."""
    names = ("labels_ref", "labels_comp", "mapped_ref", "mapped_comp", "ious")
    found: dict[str, list[Any]] = {name: [] for name in names}
    for true, answer in zip(truth, answers, strict=True):
        shared = overlap_table(answer, true)
        area, true_area = shared.sum(axis=1), shared.sum(axis=0)
        rows, columns = np.nonzero(2 * shared[1:, 1:] > true_area[1:])
        rows, columns = rows + 1, columns + 1
        common = shared[rows, columns]
        entries = (
            np.flatnonzero(true_area[1:]) + 1,
            np.flatnonzero(area[1:]) + 1,
            columns,
            rows,
            common / (area[rows] + true_area[columns] - common),
        )
        for name, values in zip(names, entries, strict=True):
            found[name].append(values.tolist())
    return found


def _library() -> Any:
    """Return the function of py-ctcmetrics that computes all measures."""
    return importlib.import_module("ctc_metrics.scripts.evaluate").calculate_metrics


def _nothing_found(answer: Answer, truth: _Tracks) -> ChallengeScore:
    """Score a method that drew nothing at all."""
    masks = sum(len(np.unique(image)) - 1 for image in truth.images)
    return ChallengeScore(
        method=answer.method,
        movie=answer.movie.name,
        seg=0.0,
        seg_labels=0.0,
        det=0.0,
        tra=0.0,
        divisions=None,
        num_divisions=0,
        errors={"FN": masks},
        num_objects=truth.num_objects,
        num_masks=masks,
        seconds=answer.seconds,
    )
