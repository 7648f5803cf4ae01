"""The protocols: what is asked of every method, and how its answers are scored."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from napari_sam2.evaluation.clicks import box_of, corrective_click, innermost_point
from napari_sam2.evaluation.ground_truth import MaskletTask, Still
from napari_sam2.evaluation.methods import (
    MaskletMethod,
    StillMethod,
    StillPrompts,
    StillProtocol,
)
from napari_sam2.evaluation.metrics import BoolMask, iou, is_lost


@dataclass(frozen=True)
class ObjectScore:
    """What one method scored on one object.

    Attributes
    ----------
    method, protocol : str
        Names, as in the tables.
    movie : str
        Movie or still.
    object_id, frame : int
        The object, and the frame of its prompt.
    iou : float
        On the still; or mean over the scored frames.
    per_frame : dict of int to float
        IoU on every scored frame of a masklet; empty for stills.
    lost : bool or None
        Whether a masklet lost its object; None for stills and for objects that have gone.
    seconds : float
        Time for the answer; for a masklet, its share of the time of the run.
    """

    method: str
    protocol: str
    movie: str
    object_id: int
    frame: int
    iou: float
    seconds: float
    per_frame: dict[int, float] = field(default_factory=dict)
    lost: bool | None = None


def score_stills(method: StillMethod, stills: Iterable[Still]) -> list[ObjectScore]:
    """Prompt every object by itself, by every protocol that the method takes part in.

    The first click lies at the innermost point of the true mask; each further one at the
    innermost point of the largest error region. The box is the tight one.

    Returns
    -------
    list of ObjectScore
        One an object and protocol; "3 clicks" is the IoU after the last of three clicks.
    """
    scores = []
    for still in stills:
        truth = still.movie.mask(still.object_id, still.frame)
        for protocol, value, seconds in _answers(method, still, truth):
            scores.append(
                ObjectScore(
                    method.name,
                    protocol,
                    still.movie.name,
                    still.object_id,
                    still.frame,
                    value,
                    seconds,
                )
            )
    return scores


def score_masklets(method: MaskletMethod, tasks: Iterable[MaskletTask]) -> list[ObjectScore]:
    """Let a method follow every task's objects, and score them on the annotated frames."""
    scores = []
    for task in tasks:
        began = time.perf_counter()
        per_frame: dict[int, dict[int, float]] = {key: {} for key in task.object_ids}
        for frame, masks in method.track(task):
            if frame in task.scored:
                _score_frame(task, frame, masks, per_frame)
        seconds = (time.perf_counter() - began) / len(task.object_ids)
        scores += [_masklet_score(method.name, task, key, per_frame[key], seconds)
                   for key in task.object_ids]  # fmt: skip
    return scores


def _answers(
    method: StillMethod, still: Still, truth: BoolMask
) -> list[tuple[StillProtocol, float, float]]:
    """Return protocol, IoU and seconds of each protocol on one object."""
    answers: list[tuple[StillProtocol, float, float]] = []
    protocols = method.protocols
    clicks = [(innermost_point(truth), True)]
    count = 3 if "3 clicks" in protocols else 1 if "1 click" in protocols else 0
    for number in range(1, count + 1):
        mask, seconds = _timed(method, still, StillPrompts(tuple(clicks)))
        if number == 1 and "1 click" in protocols:
            answers.append(("1 click", iou(mask, truth), seconds))
        if number == 3:
            answers.append(("3 clicks", iou(mask, truth), seconds))
        correction = corrective_click(mask, truth)
        if correction is not None:
            clicks.append(correction)
    if "box" in protocols:
        mask, seconds = _timed(method, still, StillPrompts(box=box_of(truth)))
        answers.append(("box", iou(mask, truth), seconds))
    return answers


def _timed(method: StillMethod, still: Still, prompts: StillPrompts) -> tuple[BoolMask, float]:
    """Ask for one answer and time it."""
    began = time.perf_counter()
    mask = method.answer(still.movie, still.frame, prompts)
    return mask, time.perf_counter() - began


def _score_frame(
    task: MaskletTask,
    frame: int,
    masks: dict[int, BoolMask],
    per_frame: dict[int, dict[int, float]],
) -> None:
    """Score all objects on one annotated frame, but those that its annotation leaves out."""
    for object_id in task.object_ids:
        if task.movie.is_scored(object_id, frame):
            truth = task.movie.mask(object_id, frame)
            per_frame[object_id][frame] = iou(masks[object_id], truth)


def _masklet_score(
    name: str, task: MaskletTask, object_id: int, ious: dict[int, float], seconds: float
) -> ObjectScore:
    """Sum up one masklet."""
    values = [ious[frame] for frame in sorted(ious)]
    # An object that is meant to go cannot be lost.
    stays = task.movie.lives_until(object_id, task.scored[-1])
    return ObjectScore(
        method=name,
        protocol=task.protocol,
        movie=task.movie.name,
        object_id=object_id,
        frame=task.first,
        iou=sum(values) / len(values),
        seconds=seconds,
        per_frame=ious,
        lost=is_lost(values) if stays else None,
    )
