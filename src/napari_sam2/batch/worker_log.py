"""What happened to the workers of a Dask cluster while a batch ran, as the scheduler noted it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

__all__ = ["noting_task", "what_happened"]

_TASKS = "napari-sam2-tasks"
_REASONS = {
    "handle-worker-cleanup": "its connection ended: it died, or was killed",
    "check-worker-ttl": "it had been silent for too long",
    "nanny-close": "its process ended",
    "worker-send-comm-fail": "it could not be reached",
    "send-all-comm-fail": "it could not be reached",
}
"""How Dask names why it gives a worker up, and what that means."""


@contextmanager
def noting_task(worker: Any) -> Iterator[None]:
    """Note on the scheduler what a worker has in work.

    Parameters
    ----------
    worker : distributed.Worker
        The one that this is called on, in a task.
    """
    task = str(worker.get_current_task())
    note = {"worker": worker.address, "task": task, "pid": os.getpid()}
    worker.log_event(_TASKS, {**note, "is_begun": True})
    try:
        yield
    finally:
        worker.log_event(_TASKS, {**note, "is_begun": False})


def what_happened(client: Any) -> list[str]:
    """Say which workers went away and why, in the middle of what, and which came after that.

    Parameters
    ----------
    client : distributed.Client

    Returns
    -------
    list of str
        In order of time. Workers that leave as they were asked to are not among it.
    """
    tasks = [note for _, note in client.get_events(_TASKS)]
    told: list[str] = []
    for stamp, event in client.get_events("all"):
        action, when = event.get("action"), datetime.fromtimestamp(stamp).astimezone()
        if action == "remove-worker" and not event.get("expected"):
            told.append(f"{when:%H:%M:%S} {_gone(event, tasks)}")
        elif action == "add-worker" and told:
            told.append(f"{when:%H:%M:%S} worker {event['worker']} came")
    return told


def _gone(event: dict[str, Any], tasks: list[dict[str, Any]]) -> str:
    """Say of a worker that went away what it leaves."""
    own = [note for note in tasks if note["worker"] == event["worker"]]
    last = {note["task"]: note["is_begun"] for note in own}
    given = sorted(map(str, event.get("processing-tasks", ())))
    begun = [task for task in given if last.get(task)]
    waiting = [task for task in given if not last.get(task)]
    parts = []
    if begun:
        parts.append(f"it worked on {', '.join(begun)}: gone on with from the last frame on disk")
    if waiting:
        parts.append(f"next were {', '.join(waiting)}: others take that")
    left = "; ".join(parts) or "it had nothing to do"
    process = f" (process {own[-1]['pid']})" if own else ""
    cause = str(event.get("stimulus_id", "")).rsplit("-", 1)[0]
    reason = _REASONS.get(cause, cause or "Dask does not say why")
    return f"worker {event['worker']}{process} went away, {reason}; {left}"
