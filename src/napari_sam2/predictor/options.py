"""Choices a user can make, declared once: fields become forms, command lines and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["forward", "backward", "both"]
ViewMode = Literal["auto", "whole", "follow"]
Overlap = Literal["best", "keep"]


def _option(default: Any, title: str, text: str, **bounds: float) -> Any:
    return field(default=default, metadata={"title": title, "help": text, **bounds})


@dataclass(frozen=True, slots=True)
class PropagateOptions:
    """What one run through the movie covers."""

    objects: tuple[int, ...] | None = _option(
        None, "Objects", "Ids of the objects to propagate; all that have prompts if not given."
    )
    direction: Direction = _option(
        "both",
        "Direction",
        "Forward and backward run from each object's own prompts; both does one after the other.",
    )
    start: int | None = _option(None, "First frame", "First frame of the range.", ge=0)
    stop: int | None = _option(None, "Last frame", "Last frame of the range, included.", ge=0)
    resume: bool = _option(
        False,
        "Go on",
        "Skip frames whose masks still agree with the prompts, and go on where a run stopped.",
    )


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """How the engine looks at frames and what it keeps."""

    view: ViewMode = _option(
        "auto",
        "View",
        "Whole frame, or a window that follows each object. Auto follows where the network is "
        "the bundled one and the frame is larger than its input.",
    )
    view_extent: float = _option(
        4.0,
        "View size",
        "Side of a following view, in diameters of the object.",
        ge=1.5,
        le=20.0,
    )
    view_margin: float = _option(
        0.1,
        "View margin",
        "Free border that an object keeps to the edge of its view, as a part of the view's side.",
        ge=0.0,
        le=0.4,
    )
    overlap: Overlap = _option(
        "best",
        "Overlaps",
        "Best gives a pixel that several objects claim to the most certain one; keep lets masks "
        "overlap.",
    )
    max_prompted: int | None = _option(
        None,
        "Prompted memories",
        "Most prompted frames that a frame attends to, the nearest ones; all if not given.",
        ge=1,
    )
    keep_memories: bool = _option(
        False,
        "Keep memories",
        "Keep every frame's memory, so that a correction sees exactly what the run saw. Costs "
        "memory with every frame.",
    )
    feature_cache_bytes: int = _option(
        512 * 2**20,
        "Feature cache",
        "Most bytes of encoded frames that are kept for going back.",
        ge=0,
    )
    rows: int | None = _option(
        None,
        "Objects at once",
        "Objects in one batch; 4 on a CPU and 32 elsewhere if not given.",
        ge=1,
    )
