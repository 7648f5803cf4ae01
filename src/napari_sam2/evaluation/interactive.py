"""Interactive segmentation of videos, offline and online, as in the SAM 2 paper.

Both begin with three clicks on the first frame and interact with up to eight frames, three clicks
on each. Offline, a person looks through the whole movie after each pass, corrects the frame whose
IoU is worst, and all frames are predicted again. Online there is one pass: it pauses on the first
frame whose IoU is below 0.75, which is corrected before it goes on. Where something is drawn of an
object that is not on the frame, the correction is to say that it is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from napari_sam2.evaluation.agreement import region_and_boundary
from napari_sam2.evaluation.clicks import corrective_click, innermost_point
from napari_sam2.evaluation.methods import InteractiveMethod, InteractiveRun
from napari_sam2.evaluation.metrics import BoolMask, mean_and_error
from napari_sam2.evaluation.tasks import MaskletTask

Pace = Literal["offline", "online"]

CLICKS = 3
"""Clicks on each frame that a person interacts with."""
MOST_FRAMES = 8
"""Frames that a person interacts with, at most."""
PAUSE_BELOW = 0.75
"""IoU below which the online pass pauses."""


@dataclass(frozen=True)
class InteractiveScore:
    """What corrections brought one object.

    Attributes
    ----------
    method : str
    protocol : {"offline", "online"}
    movie : str
    object_id, frame : int
        The object and its first frame.
    j, f : tuple of float
        Mean over all annotated frames of the stretch, prompted ones among them, after 1, 2, ...
        frames of interaction; the last value stands where nothing more was to correct.
    frames : int
        Frames that were interacted with.
    """

    method: str
    protocol: Pace
    movie: str
    object_id: int
    frame: int
    j: tuple[float, ...]
    f: tuple[float, ...]
    frames: int


@dataclass
class _Desk:
    """A person before a run: clicks, looks, and keeps the scores."""

    run: InteractiveRun
    task: MaskletTask

    def interact(self, object_id: int, frame: int, *, is_new: bool) -> None:
        """Give three clicks on one frame, each to the largest error; say where nothing is."""
        if not self.task.movie.record(object_id, frame).visible:
            self.run.mark_absent(object_id, frame)
            return
        truth = self.task.movie.mask(object_id, frame)
        mask: BoolMask
        if is_new:
            mask = self.run.click(object_id, frame, innermost_point(truth), True)
        else:
            mask = self.run.record(object_id, frame).mask(self.task.movie.frame_shape)
        for _ in range(CLICKS - is_new):
            correction = corrective_click(mask, truth)
            if correction is None:
                break
            mask = self.run.click(object_id, frame, *correction)

    def begin(self) -> None:
        """Interact with every object on its first frame."""
        for object_id, frame in self.task.starts.items():
            self.interact(object_id, frame, is_new=True)

    def agreement(self, object_id: int, frame: int) -> tuple[float, float]:
        """Return J and F as things stand."""
        movie = self.task.movie
        return region_and_boundary(
            self.run.record(object_id, frame), movie.record(object_id, frame), movie.frame_shape
        )

    def scores(self, object_id: int) -> dict[int, tuple[float, float]]:
        """Return J and F on all frames with truth, the first among them."""
        frames = (self.task.starts[object_id], *self.task.frames_of(object_id))
        return {frame: self.agreement(object_id, frame) for frame in frames}


def score_offline(
    method: InteractiveMethod, task: MaskletTask, most_frames: int = MOST_FRAMES
) -> list[InteractiveScore]:
    """Correct the worst frame of every object after each pass through the stretch."""
    desk = _Desk(method.open(task), task)
    desk.begin()
    touched = {object_id: {frame} for object_id, frame in task.starts.items()}
    curves: dict[int, list[tuple[float, float]]] = {object_id: [] for object_id in task.starts}
    for _ in range(most_frames):
        desk.run.propagate()
        worst: dict[int, int] = {}
        for object_id, curve in curves.items():
            scores = desk.scores(object_id)
            curve.append(_means(scores))
            left = {t: j for t, (j, _) in scores.items() if t not in touched[object_id] and j < 1}
            if left:
                worst[object_id] = min(left, key=lambda t: (left[t], t))
        if len(next(iter(curves.values()))) == most_frames or not worst:
            break
        for object_id, frame in worst.items():
            desk.interact(object_id, frame, is_new=False)
            touched[object_id].add(frame)
    counts = {object_id: len(frames) for object_id, frames in touched.items()}
    return _curves(method, task, "offline", (curves, counts, most_frames))


def score_online(
    method: InteractiveMethod, task: MaskletTask, most_frames: int = MOST_FRAMES
) -> list[InteractiveScore]:
    """Pause where an object's IoU falls below the threshold, and correct it there.

    The value after k frames of interaction is that of a pass in which nobody corrects more than k
    frames; passes end when nobody wants more.
    """
    curves: dict[int, list[tuple[float, float]]] = {object_id: [] for object_id in task.starts}
    counts: dict[int, int] = {}
    for budget in range(1, most_frames + 1):
        desk = _Desk(method.open(task), task)
        counts = _pass(desk, budget)
        for object_id, curve in curves.items():
            curve.append(_means(desk.scores(object_id)))
        if all(count < budget for count in counts.values()):
            break
    return _curves(method, task, "online", (curves, counts, most_frames))


def _pass(desk: _Desk, budget: int) -> dict[int, int]:
    """Go through the stretch once; return the frames of interaction of each object."""
    desk.begin()
    counts = dict.fromkeys(desk.task.starts, 1)
    scored = {object_id: set(desk.task.frames_of(object_id)) for object_id in counts}
    for frame in desk.run.advance():
        for object_id, count in counts.items():
            if count < budget and frame in scored[object_id]:
                j, _ = desk.agreement(object_id, frame)
                if j < PAUSE_BELOW:
                    desk.interact(object_id, frame, is_new=False)
                    counts[object_id] += 1
    return counts


def _means(scores: Mapping[int, tuple[float, float]]) -> tuple[float, float]:
    """Average J and F over frames."""
    return (
        mean_and_error([j for j, _ in scores.values()])[0],
        mean_and_error([f for _, f in scores.values()])[0],
    )


def _curves(
    method: InteractiveMethod,
    task: MaskletTask,
    pace: Pace,
    found: tuple[dict[int, list[tuple[float, float]]], dict[int, int], int],
) -> list[InteractiveScore]:
    """Fill up the curves: what needs no more corrections keeps its value."""
    curves, counts, length = found
    scores = []
    for object_id, curve in curves.items():
        full = [*curve, *[curve[-1]] * (length - len(curve))]
        scores.append(
            InteractiveScore(
                method=method.name,
                protocol=pace,
                movie=task.movie.name,
                object_id=object_id,
                frame=task.starts[object_id],
                j=tuple(j for j, _ in full),
                f=tuple(f for _, f in full),
                frames=counts[object_id],
            )
        )
    return scores
