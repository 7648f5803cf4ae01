"""Choices a user can make, declared once: fields become forms, command lines and JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from napari_sam2.model.config import SAM2Config

Direction = Literal["forward", "backward", "both"]
Along = Literal["both", "time", "z"]
ViewMode = Literal["auto", "whole", "follow"]
Overlap = Literal["best", "keep"]
Pieces = Literal["auto", "all", "clicked"]
Divided = Literal["auto", "end", "daughters", "follow"]
Motion = Literal["auto", "on", "off"]
Twice = Literal["auto", "on", "off"]

FOLLOWED_PROMPTED = 4
"""Prompted frames that a frame attends to where views follow objects: the bundled network learned
from clips with one or two. Of 2, 3, 4, 6 and all the best on synthetic movies that no network was
trained on, by little more than the standard error."""


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
            "Forward and backward run from each object's own prompts; both does both, each frame "
            "from the prompt that is nearest.",
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
    along: Along = field(
        default="both",
        metadata=_about(
            "Along",
            "In movies of stacks: along time in the slices that have prompts, along z at the times "
            "that have prompts, or both: through z at each time, and from the middle slice to the "
            "next time. Frames of the range are then times or, along z, slices.",
        ),
    )
    at: int | None = field(
        default=None,
        metadata=_about(
            "Only here",
            "In movies of stacks: the one slice of a run along time, or the one time of a run "
            "along z. An object without a prompt there starts from the mask that it has.",
            ge=0,
        ),
    )
    patience: int | None = field(
        default=None,
        metadata=_about(
            "Patience",
            "Frames in a row without an object after which it is no longer looked for; never given "
            "up if not given. Movies of stacks: 3 along z.",
            ge=1,
        ),
    )

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class CorrectOptions:
    """How far the consequences of a correction are followed."""

    objects: tuple[int, ...] | None = field(
        default=None,
        metadata=_about("Objects", "Ids of the objects to correct; all that wait if not given."),
    )
    agreement: float = field(
        default=0.9,
        metadata=_about(
            "Agreement",
            "IoU with the mask that was there from which on a frame counts as unchanged.",
            ge=0.0,
            le=1.0,
        ),
    )
    settled_frames: int = field(
        default=3,
        metadata=_about(
            "Unchanged frames",
            "Frames in a row that have to stay the same before a direction is left.",
            ge=1,
        ),
    )

    def __post_init__(self) -> None:
        _check(self)


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
        default=3.5,
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
    pieces: Pieces = field(
        default="auto",
        metadata=_about(
            "Pieces",
            "Clicked keeps only the pieces of a mask that a click lies in, or the largest; all "
            "keeps every piece. Auto is clicked where views follow objects.",
        ),
    )
    max_hole: int = field(
        default=8,
        metadata=_about(
            "Fill holes",
            "Holes of a mask of at most this many cells, of 4 x 4 input pixels, are filled, except "
            "on frames with a negative click on the object. 0 leaves every hole.",
            ge=0,
        ),
    )
    solid: Twice = field(
        default="auto",
        metadata=_about(
            "Stay solid",
            "On fills every hole in the masks of objects that have none where they were prompted, "
            "before they are remembered; off leaves what is larger than the holes above. Auto is "
            "on where views follow objects.",
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
    hold: Twice = field(
        default="auto",
        metadata=_about(
            "Hold places",
            "On gives a pixel that several objects claim to the one that is expected there, and "
            "takes an object for absent that others leave less than half of what it claims; off "
            "goes by certainty alone, as the reference does. Auto is on where views follow "
            "objects. It needs motion, and overlaps at best.",
        ),
    )
    max_prompted: int | None = field(
        default=None,
        metadata=_about(
            "Prompted memories",
            "Most prompted frames that a frame attends to, the nearest ones; as many as the movie "
            "has frames for all. If not given, 4 where views follow objects, all otherwise, as in "
            "the reference.",
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
    spare_newborns: bool = field(
        default=True,
        metadata=_about(
            "Spare newborns",
            "Daughters of a division that a person entered have gone only when they are not seen "
            "on two frames in a row, for as long as object pointers reach back to their birth.",
        ),
    )
    doubt: Twice = field(
        default="auto",
        metadata=_about(
            "Doubt absence",
            "On keeps the mask of an object whose score of presence falls just below zero, and "
            "empties one that leaps and that the network thinks little of; off goes by the score "
            "alone, as the reference does. Auto is on where views follow objects.",
        ),
    )
    second_opinion: Twice = field(
        default="auto",
        metadata=_about(
            "Second opinion",
            "On answers clicks and boxes on a new object from its view and from the mirror image "
            "of it, for twice the time; off from its view alone, as the reference does. Auto is on "
            "where views follow objects.",
        ),
    )
    judge: Twice = field(
        default="auto",
        metadata=_about(
            "Judge masks",
            "On chooses among the masks that a first click is answered with, and says how good "
            "each one is, by looking at what was drawn; off goes by the IoU that the decoder "
            "predicts, as the reference does. Auto is on where views follow objects with the "
            "bundled network, or one that was fine-tuned from it.",
        ),
    )
    second_question: Twice = field(
        default="auto",
        metadata=_about(
            "Second question",
            "On answers the clicks on a new object, and then the same clicks with the box and the "
            "centre of that answer, and takes the mean of both; off takes the first answer, as the "
            "reference does. Auto is on where views follow objects.",
        ),
    )
    heed: Twice = field(
        default="auto",
        metadata=_about(
            "Heed clicks",
            "On holds an answer to the clicks that correct it: what they say of their pixels, and "
            "the rest of the mask as it was. That takes tenths of a second on a CPU where the "
            "network itself would not heed them. Off takes its answer as it is, as the reference "
            "does. Auto is on where views follow objects.",
        ),
    )
    brighten: Twice = field(
        default="auto",
        metadata=_about(
            "Brighten dim objects",
            "On looks at objects whose pixels, as the contrast shows them, lie below a seventh of "
            "the range at a gamma of a half, and smooths their noise; off looks at all as the "
            "contrast shows them. Auto is on where views follow objects.",
        ),
    )
    divided: Divided = field(
        default="auto",
        metadata=_about(
            "Divided cells",
            "End stops an object, going forward in time, before the frame that shows its "
            "daughters, if no prompt lies ahead; daughters does that and takes both on, as objects "
            "of their own; follow goes on with whatever the network sees. Auto ends where views "
            "follow objects.",
        ),
    )
    motion: Motion = field(
        default="auto",
        metadata=_about(
            "Motion",
            "On finds out how far each object has moved since the frame before and looks for what "
            "is remembered of it there; off looks where it was, as the reference does. Auto is on "
            "where views follow objects.",
        ),
    )
    rows: int | None = field(
        default=None,
        metadata=_about(
            "Objects at once",
            "Objects in one batch; 8 or, with large inputs, 4 on a CPU and 32 elsewhere if not "
            "given.",
            ge=1,
        ),
    )

    def __post_init__(self) -> None:
        _check(self)

    def follows(self, config: SAM2Config) -> bool:
        """Whether views follow objects with this network."""
        return self.view == "follow" or (self.view == "auto" and config.follows_by_default)

    def prompted_limit(self, config: SAM2Config) -> int | None:
        """Most prompted frames that a frame attends to with this network; None for all."""
        if self.max_prompted is None and self.follows(config):
            return FOLLOWED_PROMPTED
        return self.max_prompted

    def asks_twice(self, config: SAM2Config) -> bool:
        """Whether new objects are looked at in a mirror too with this network."""
        return self.second_opinion == "on" or (
            self.second_opinion == "auto" and self.follows(config)
        )

    def judges(self, config: SAM2Config) -> bool:
        """Whether the masks that first clicks are answered with are judged with this network."""
        is_on = self.judge == "on" or (self.judge == "auto" and self.follows(config))
        return is_on and config.has_judge

    def asks_again(self, config: SAM2Config) -> bool:
        """Whether clicks on new objects are asked again with the box of their answer."""
        return self.second_question == "on" or (
            self.second_question == "auto" and self.follows(config)
        )

    def heeds_clicks(self, config: SAM2Config) -> bool:
        """Whether answers are held to the clicks that correct them with this network."""
        return self.heed == "on" or (self.heed == "auto" and self.follows(config))

    def doubts(self, config: SAM2Config) -> bool:
        """Whether verdicts of absence just below zero are doubted with this network."""
        return self.doubt == "on" or (self.doubt == "auto" and self.follows(config))

    def holds(self, config: SAM2Config) -> bool:
        """Whether objects hold the places where they are expected with this network."""
        is_on = self.hold == "on" or (self.hold == "auto" and self.follows(config))
        return is_on and self.overlap == "best"

    def stays_solid(self, config: SAM2Config) -> bool:
        """Whether objects without holes stay without with this network."""
        return self.solid == "on" or (self.solid == "auto" and self.follows(config))

    def brightens(self, config: SAM2Config) -> bool:
        """Whether dim objects are looked at brighter with this network."""
        return self.brighten == "on" or (self.brighten == "auto" and self.follows(config))

    def ends_divided(self, config: SAM2Config) -> bool:
        """Whether objects that have divided end with this network."""
        is_asked = self.divided in ("end", "daughters")
        return is_asked or (self.divided == "auto" and self.follows(config))

    def follows_motion(self, config: SAM2Config) -> bool:
        """Whether memories move with their objects with this network."""
        return self.motion == "on" or (self.motion == "auto" and self.follows(config))

    def keeps_clicked_pieces(self, config: SAM2Config) -> bool:
        """Whether pieces of a mask without a click are dropped with this network."""
        return self.pieces == "clicked" or (self.pieces == "auto" and self.follows(config))


def _check(options: PropagateOptions | CorrectOptions | PredictorOptions) -> None:
    """Refuse a value that is none of its choices, or outside its bounds."""
    kinds = get_type_hints(type(options))
    for one in fields(options):
        value, kind = getattr(options, one.name), kinds[one.name]
        if get_origin(kind) is Literal and value not in get_args(kind):
            choices = ", ".join(map(repr, get_args(kind)))
            raise ValueError(f"{one.name} is {value!r}; choose one of {choices}")
        low, high = one.metadata.get("ge", -math.inf), one.metadata.get("le", math.inf)
        if isinstance(value, int | float) and not low <= value <= high:
            raise ValueError(f"{one.name} is {value}; give a number from {low} to {high}")
