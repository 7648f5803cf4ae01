"""One line that says what is going on, and what to do when something went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.widgets.messages import (
    Failed,
    FollowedUp,
    FollowUpEnded,
    ModelLoading,
    Predicted,
    Progress,
    RunEnded,
    Task,
)
from napari_sam2.widgets.pace import Pace

Level = Literal["info", "busy", "error"]

_FAILURES: dict[Task, str] = {
    "model": "The network could not be loaded",
    "movie": "The movie could not be opened",
    "prompt": "The prompt was refused",
    "predict": "The click could not be answered",
    "run": "The run stopped",
    "test": "The self-test failed",
}


@dataclass(frozen=True, slots=True)
class Status:
    """What to tell the user."""

    text: str
    level: Level = "info"


def loading_status(message: ModelLoading) -> Status:
    """Describe how far a network is on its way."""
    if message.total == 0:
        return Status(f"Loading {message.name}…", "busy")
    done, total = message.done / 1e6, message.total / 1e6
    return Status(f"Downloading {message.name}: {done:.0f} of {total:.0f} MB", "busy")


def answer_status(answer: Predicted, frame: str, *, is_absent: bool = False) -> Status:
    """Describe the mask that a click gave on a frame, which is called so.

    `is_absent` tells that the user has said that there is none.
    """
    where = f"Object {answer.object_id}, {frame}"
    if is_absent:
        return Status(f"{where}: not there, as you said")
    if answer.record is None:
        return Status(f"{where}: cleared")
    if not answer.record.visible:
        return Status(f"{where}: nothing found here; click its middle, or draw a box")
    return Status(
        f"{where}: {answer.record.area} pixels, expected IoU {answer.record.predicted_iou:.2f}, "
        f"{1000 * answer.seconds:.0f} ms"
    )


def run_status(end: RunEnded, found: int = 0) -> Status:
    """Describe how a run ended, or a search and how many objects are there of it."""
    if end.is_search and end.outcome != "failed":
        what = f"{found} object{'s' * (found != 1)} found in {duration(end.progress.seconds)}"
        hint = "; give their diameter, or set the contrast so that you see them" * (not found)
        return Status(f"{'Done' if end.outcome == 'finished' else 'Cancelled'}: {what}{hint}")
    did = f"{end.progress.done} frames in {end.progress.seconds:.1f} s"
    speed = f"{end.progress.frames_per_second:.1f} frames/s"
    if end.outcome == "finished":
        return Status(f"Done: {did}, {speed}")
    if end.outcome == "cancelled":
        return Status(f"Cancelled after {did}; what was done is kept")
    return Status(f"Stopped after {did}; what was done is kept", "error")


def expectation_text(
    masks: int, seconds: float | None, pace: Pace, *, is_bound: bool = False
) -> str:
    """Say how long a run will take, as far as it is known; a bound is said to be one."""
    what = f"{'at most ' if is_bound else ''}{masks} masks to track"
    if seconds is None:
        return f"{what}; how long that takes here is known after the first click"
    source = "measured here" if pace.is_measured else "guessed from clicks"
    return f"{what}: {'up to' if is_bound else 'about'} {duration(seconds)} ({source})"


def duration(seconds: float) -> str:
    """Write a time with the digits that mean something."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def following_text(message: FollowedUp, frame: str) -> str:
    """Describe how far a correction has been followed up, at a frame that is called so."""
    ids = ", ".join(str(one.object_id) for one in message.result.objects)
    done = message.progress.done
    return f"Following up object {ids}: {frame}, {done} computed"


def followed_status(message: FollowUpEnded) -> Status:
    """Describe how a follow-up ended."""
    count = message.progress.done
    did = f"{count} frame{'s' * (count != 1)} in {message.progress.seconds:.1f} s"
    if message.is_finished:
        return Status(f"Followed up: {did} computed anew")
    return Status(f"Follow-up cancelled after {did}; what was done is kept")


def run_problem(has_movie: bool, has_objects: bool, unknown: int | None) -> Status | None:
    """Say why a run cannot begin, None if it can; `unknown` is the object that it lacks."""
    if not has_movie:
        return Status("There is no movie: choose an image layer first", "error")
    if unknown is not None:
        return Status(f"Object {unknown} has no prompt: click it first", "error")
    if not has_objects:
        return Status("There is nothing to track: click a cell first", "error")
    return None


def held_status(info: ObjectInfo) -> Status:
    """Say why an object cannot be changed, and what to do first."""
    is_accepted = info.state == "accepted"
    remedy = "accepted: take it back into work" if is_accepted else "locked: unlock it"
    return Status(f"Object {info.object_id} stays as it is, it is {remedy} first", "error")


def failure_status(failure: Failed) -> Status:
    """Describe what went wrong; the engine's own messages name the value and the remedy."""
    reason = str(failure.error) or type(failure.error).__name__
    return Status(f"{_FAILURES[failure.task]}: {reason}", "error")


def progress_text(progress: Progress) -> str:
    """Return frames done, speed and time left."""
    text = f"{progress.done} of {progress.total} frames"
    if progress.done == 0:
        return text
    return (
        f"{text} · {progress.frames_per_second:.1f} frames/s · {clock(progress.seconds_left)} left"
    )


def clock(seconds: float) -> str:
    """Return a duration as people write it: 0:07, 12:40, 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{whole % 60:02d}"
