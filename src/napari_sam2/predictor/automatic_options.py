"""How objects are found without a click, and which of them are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["AutomaticOptions", "FindOptions", "help_of", "parse_options"]


def _about(title: str, text: str, **bounds: float) -> dict[str, Any]:
    return {"title": title, "help": text, **bounds}


@dataclass(frozen=True, slots=True)
class FindOptions:
    """What counts as an object on one frame."""

    diameter: float | None = field(
        default=None,
        metadata=_about(
            "Diameter",
            "Typical diameter of the objects in pixels; estimated from the frame if not given.",
            ge=3.0,
        ),
    )
    spacing: float = field(
        default=0.5,
        metadata=_about("Spacing", "Distance of grid points, in diameters.", ge=0.1, le=2.0),
    )
    first_iou: float = field(
        default=0.55,
        metadata=_about(
            "First IoU",
            "Least overlap that the network expects of what it finds at a point, before it looks "
            "once more with the box of that.",
            ge=0.0,
            le=1.0,
        ),
    )
    least_stability: float = field(
        default=0.6,
        metadata=_about(
            "Least stability",
            "Least overlap of the masks found at a point, cut at logits of 0.5 and -0.5.",
            ge=0.0,
            le=1.0,
        ),
    )
    least_iou: float = field(
        default=0.72,
        metadata=_about(
            "Least IoU",
            "Least overlap that the network expects in the end; lower finds more, and more that "
            "is wrong.",
            ge=0.0,
            le=1.0,
        ),
    )
    most_overlap: float = field(
        default=0.3,
        metadata=_about(
            "Most overlap",
            "Part of the smaller of two masks that they may share and still be two objects.",
            ge=0.0,
            le=1.0,
        ),
    )
    smallest: float = field(
        default=0.35,
        metadata=_about("Smallest", "Least diameter, as a part of the typical one.", ge=0.0),
    )
    largest: float = field(
        default=2.5,
        metadata=_about("Largest", "Largest diameter, as a part of the typical one.", ge=1.0),
    )

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class AutomaticOptions:
    """Which frames are searched for new objects, and which masklets are kept."""

    every: int = field(
        default=5,
        metadata=_about("Every", "Frames from one search for new objects to the next.", ge=1),
    )
    start: int | None = field(
        default=None, metadata=_about("First frame", "First frame of the range.", ge=0)
    )
    stop: int | None = field(
        default=None, metadata=_about("Last frame", "Last frame of the range, included.", ge=0)
    )
    least_frames: int = field(
        default=3,
        metadata=_about("Least frames", "Shorter masklets are dropped.", ge=1),
    )
    least_confidence: float = field(
        default=0.5,
        metadata=_about(
            "Least confidence",
            "Masklets whose mean expected IoU times presence is lower are dropped.",
            ge=0.0,
            le=1.0,
        ),
    )

    def __post_init__(self) -> None:
        _check(self)


def help_of(name: str) -> str:
    """Return the help of an option of either kind."""
    found = {one.name: one for kind in (FindOptions, AutomaticOptions) for one in fields(kind)}
    return str(found[name].metadata["help"])


def parse_options(values: Mapping[str, str]) -> tuple[FindOptions, AutomaticOptions]:
    """Read options of both kinds from text.

    Parameters
    ----------
    values : mapping of str to str
        By the names of the fields; those that are not given keep their defaults.

    Raises
    ------
    ValueError
        If there is no such option, or a value is no number or outside its bounds.
    """
    kinds = (FindOptions, AutomaticOptions)
    names = [one.name for kind in kinds for one in fields(kind)]
    strange = [name for name in values if name not in names]
    if strange:
        raise ValueError(f"there is no option {strange[0]!r}: choose of {', '.join(names)}")
    read: dict[str, Any] = {name: _number(name, text) for name, text in values.items()}
    find, follow = (
        {one.name: read[one.name] for one in fields(kind) if one.name in read} for kind in kinds
    )
    return FindOptions(**find), AutomaticOptions(**follow)


def _number(name: str, text: str) -> float | int:
    is_whole = name in ("every", "start", "stop", "least_frames")
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        what = "a whole number" if is_whole else "a number"
        raise ValueError(f"{name} is {text!r}: give {what}") from None


def _check(options: FindOptions | AutomaticOptions) -> None:
    """Refuse a value outside its bounds."""
    for one in fields(options):
        value = getattr(options, one.name)
        low, high = one.metadata.get("ge", -math.inf), one.metadata.get("le", math.inf)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{one.name} is {value}; give a number from {low} to {high}")
