"""Stills and masklets: what is asked of every method, and how its answers are scored."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from napari_sam2.evaluation.agreement import region_and_boundary
from napari_sam2.evaluation.methods import (
    MaskletMethod,
    StillMethod,
    StillPrompts,
    StillProtocol,
)
from napari_sam2.evaluation.metrics import BoolMask, is_lost
from napari_sam2.evaluation.simulated_user import clicking, prompted_mask
from napari_sam2.evaluation.tasks import MaskletTask, Still
from napari_sam2.masklets import MaskletSet, MaskRecord


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
        J on the still; or its mean over the scored frames.
    boundary : float
        F, in the same way.
    seconds : float
        Time for the answer; for a masklet, time of the run for each frame of each object.
    per_frame : dict of int to float
        J on every scored frame of a masklet; empty for stills.
    lost : bool or None
        Whether a masklet lost its object; None for stills and for objects that have gone.
    predicted_iou : float or None
        What the method expected J to be on a still, where it says.
    """

    method: str
    protocol: str
    movie: str
    object_id: int
    frame: int
    iou: float
    boundary: float
    seconds: float
    per_frame: dict[int, float] = field(default_factory=dict)
    lost: bool | None = None
    predicted_iou: float | None = None


@dataclass(frozen=True)
class Followed:
    """The masks that a method gave to the objects of a task.

    Attributes
    ----------
    method : str
        Its name.
    task : MaskletTask
    masklets : MaskletSet
        From each object's first frame on.
    seconds : float
        Time for each frame of each object, prompts included.
    """

    method: str
    task: MaskletTask
    masklets: MaskletSet
    seconds: float


def score_stills(method: StillMethod, stills: Iterable[Still]) -> list[ObjectScore]:
    """Prompt every object by itself, by every protocol that the method takes part in.

    The first click lies at the innermost point of the true mask; each further one at the
    innermost point of the largest error region. The box is the tight one.

    Returns
    -------
    list of ObjectScore
        One an object and protocol; "3 clicks" is the answer to the last of three clicks.
    """
    scores: list[ObjectScore] = []
    for still in stills:
        asked = _Asked(method, still)
        truth = still.movie.mask(still.object_id, still.frame)
        counts = {int(name.split()[0]): name for name in method.protocols if name != "box"}
        if counts:
            answers = clicking(truth, max(counts), asked.ask)
            for number, _ in enumerate(answers, start=1):
                if number in counts:
                    scores.append(asked.score(counts[number]))
        if "box" in method.protocols:
            prompted_mask(truth, "box", asked.ask)
            scores.append(asked.score("box"))
    return scores


def follow(method: MaskletMethod, task: MaskletTask) -> Followed:
    """Let a method follow a task's objects, and keep all its masks."""
    masklets = MaskletSet((len(task.movie.images), *task.movie.frame_shape))
    began = time.perf_counter()
    count = 0
    for frame, records in method.track(task):
        for object_id, record in records.items():
            masklets.write(object_id, frame, record)
        count += len(records)
    return Followed(method.name, task, masklets, (time.perf_counter() - began) / max(count, 1))


def score_followed(followed: Followed) -> list[ObjectScore]:
    """Score the masks of a task on the annotated frames after each object's prompt."""
    task = followed.task
    scores = []
    for object_id in task.object_ids:
        frames = task.frames_of(object_id)
        if not frames:
            continue
        pairs = {frame: _agreement(followed, object_id, frame) for frame in frames}
        j = {frame: pair[0] for frame, pair in pairs.items()}
        present = [v for t, v in j.items() if task.movie.record(object_id, t).visible]
        # An object that is meant to go cannot be lost; one that is lost never comes back.
        stays = task.movie.lives_until(object_id, frames[-1]) and bool(present)
        scores.append(
            ObjectScore(
                method=followed.method,
                protocol=task.protocol,
                movie=task.movie.name,
                object_id=object_id,
                frame=task.starts[object_id],
                iou=sum(j.values()) / len(j),
                boundary=sum(pair[1] for pair in pairs.values()) / len(pairs),
                seconds=followed.seconds,
                per_frame=j,
                lost=is_lost(present) if stays else None,
            )
        )
    return scores


def score_masklets(method: MaskletMethod, tasks: Iterable[MaskletTask]) -> list[ObjectScore]:
    """Let a method follow every task's objects, and score them."""
    return [score for task in tasks for score in score_followed(follow(method, task))]


def _agreement(followed: Followed, object_id: int, frame: int) -> tuple[float, float]:
    """Return J and F of one object on one frame."""
    movie = followed.task.movie
    record = followed.masklets.record(object_id, frame)
    if record is None:
        raise ValueError(f"{followed.method} gave object {object_id} no mask on frame {frame}")
    return region_and_boundary(record, movie.record(object_id, frame), movie.frame_shape)


class _Asked:
    """One object of a method on a still: remembers the last answer and its time."""

    def __init__(self, method: StillMethod, still: Still) -> None:
        self._method = method
        self._still = still
        self._record: MaskRecord | None = None
        self._seconds = 0.0

    def ask(self, prompts: StillPrompts) -> BoolMask:
        still = self._still
        began = time.perf_counter()
        self._record = self._method.answer(still.movie, still.frame, prompts)
        self._seconds = time.perf_counter() - began
        return self._record.mask(still.movie.frame_shape)

    def score(self, protocol: StillProtocol) -> ObjectScore:
        if self._record is None:
            raise RuntimeError("nothing was asked yet; ask first")
        still = self._still
        truth = still.movie.record(still.object_id, still.frame)
        j, f = region_and_boundary(self._record, truth, still.movie.frame_shape)
        return ObjectScore(
            method=self._method.name,
            protocol=protocol,
            movie=still.movie.name,
            object_id=still.object_id,
            frame=still.frame,
            iou=j,
            boundary=f,
            seconds=self._seconds,
            predicted_iou=self._record.predicted_iou,
        )
