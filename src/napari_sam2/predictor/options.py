"""Choices a user can make, declared once: fields become forms, command lines and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["forward", "backward", "both"]
ViewMode = Literal["auto", "whole", "follow"]
Overlap = Literal["best", "keep"]


def _about(title: str, text: str, **bounds: float) -> dict[str, Any]:
    return {"title": title, "help": text, **bounds}


@dataclass(frozen=True, slots=True)
class PropagateOptions:
    """What one run through the movie covers."""

    objects: tuple[int, ...] | None = field(
        default=None,
        metadata=_about(
            "Objects", "Ids of the objects to propagate; all that have prompts if not given."
        ),
    )
    direction: Direction = field(
        default="both",
        metadata=_about(
            "Direction",
            "Forward and backward run from each object's own prompts; both does both.",
        ),
    )
    start: int | None = field(
        default=None, metadata=_about("First frame", "First frame of the range.", ge=0)
    )
    stop: int | None = field(
        default=None, metadata=_about("Last frame", "Last frame of the range, included.", ge=0)
    )
    resume: bool = field(
        default=False,
        metadata=_about(
            "Go on",
            "Skip frames whose masks still agree with the prompts, and go on where a run stopped.",
        ),
    )


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """How the engine looks at frames and what it keeps."""

    view: ViewMode = field(
        default="auto",
        metadata=_about(
            "View",
            "Whole frame, or a window that follows each object. Auto follows where the network is "
            "meant for it, as the bundled one is.",
        ),
    )
    view_extent: float = field(
        default=4.0,
        metadata=_about(
            "View size",
            "Side of a following view, in diameters of the object.",
            ge=1.5,
            le=20.0,
        ),
    )
    view_margin: float = field(
        default=0.1,
        metadata=_about(
            "View margin",
            "Free border that an object keeps in its view, as a part of the view's side.",
            ge=0.0,
            le=0.4,
        ),
    )
    overlap: Overlap = field(
        default="best",
        metadata=_about(
            "Overlaps",
            "Best gives a pixel that several objects claim to the most certain one; keep lets "
            "masks overlap.",
        ),
    )
    max_prompted: int | None = field(
        default=None,
        metadata=_about(
            "Prompted memories",
            "Most prompted frames that a frame attends to, the nearest ones; all if not given.",
            ge=1,
        ),
    )
    keep_memories: bool = field(
        default=False,
        metadata=_about(
            "Keep memories",
            "Keep every frame's memory, so that a correction sees exactly what the run saw. Costs "
            "memory with every frame.",
        ),
    )
    rows: int | None = field(
        default=None,
        metadata=_about(
            "Objects at once",
            "Objects in one batch; 4 on a CPU and 32 elsewhere if not given.",
            ge=1,
        ),
    )
