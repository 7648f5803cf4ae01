"""Everything that a training run can be told, declared once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _option(default: Any, title: str, text: str, low: float, high: float) -> Any:
    """Dataclass field with the metadata that forms and the command line read."""
    return field(default=default, metadata={"title": title, "help": text, "bounds": (low, high)})


@dataclass(frozen=True)
class TrainOptions:
    """Options of one training run.

    Raises
    ------
    ValueError
        When a number is outside its bounds, or neither `minutes` nor `max_steps` is set.
    """

    minutes: float = _option(
        95.0, "Minutes", "Training time that the schedule is fitted into; 0 to count steps", 0, 1e6
    )
    max_steps: int = _option(
        0, "Steps", "Length of the schedule in steps when minutes is 0", 0, 100_000_000
    )
    seed: int = _option(0, "Seed", "Seed of data, prompts and initial weights", 0, 2**31 - 1)
    learning_rate: float = _option(5e-4, "Learning rate", "Peak of the cosine", 0, 1)
    final_rate: float = _option(0.02, "Final rate", "End of the cosine over its peak", 0, 1)
    warmup: float = _option(0.004, "Warm-up", "Share of the run with a rising rate", 0, 0.5)
    weight_decay: float = _option(0.05, "Weight decay", "Of matrices, not of biases", 0, 1)
    muon: bool = field(
        default=True,
        metadata={"title": "Muon", "help": "Move matrices by Muon instead of AdamW"},
    )
    gradient_norm: float = _option(1.0, "Gradient norm", "Clipped at this", 1e-6, 1e6)
    ema_decay: float = _option(0.996, "EMA decay", "Of the averaged weights", 0, 1)
    still_share: float = _option(0.45, "Stills", "Share of the run on stills only", 0, 1)
    pair_share: float = _option(0.15, "Pairs", "Share of the run on two-frame clips", 0, 1)
    still_mix: float = _option(0.5, "Stills kept", "Share of stills in clip phases", 0, 1)
    layer_decay: float = _option(
        1.0, "Layer decay", "Rate of each block of the encoder over that of the next", 0.1, 1
    )
    reset_presence: bool = field(
        default=False,
        metadata={"title": "Forget presence", "help": "Start the presence head anew"},
    )
    memory_only: bool = field(
        default=False,
        metadata={
            "title": "Memory only",
            "help": "Teach memory and the verdict on presence; answers to prompts stay",
        },
    )
    blob_steps: int = _option(
        150, "Ellipses first", "Steps on ellipses in place of true masks at the start", 0, 1e6
    )
    still_batch: int = _option(6, "Stills a step", "Images in one step", 1, 4096)
    still_objects: int = _option(3, "Objects a still", "Objects in one image", 1, 256)
    clip_frames: int = _option(16, "Frames a step", "Frames in one step of clips", 2, 4096)
    clip_objects: int = _option(3, "Objects a clip", "Objects in one clip", 1, 256)
    encoder_rest: float = _option(
        0.5, "Encoder at rest", "Share of the steps on clips that do not train the encoder", 0, 1
    )
    long_frames: int = _option(8, "Longest clip", "Frames of the longest clips", 4, 64)
    still_clicks: int = _option(
        2, "Corrective clicks", "At most, after the first prompt of a still", 0, 16
    )
    long_corrections: float = _option(
        0.06, "Long corrections", "Chance of up to seven corrective clicks on a still", 0, 1
    )
    correction: float = _option(
        0.4, "Second prompt", "Chance that a later frame of a clip is corrected", 0, 1
    )
    presence: float = _option(
        2.0, "Presence", "Weight of the loss of presence on clips; stills have a tenth", 0, 1e3
    )
    absent: float = _option(
        1.5, "Absent objects", "Weight of an absent object over that of a present one", 0, 1e3
    )
    presence_told: float = _option(
        0.2, "Presence told", "Share of the steps whose memory follows the true presence", 0, 1
    )
    motion_told: float = _option(
        0.0, "Motion told", "Share of the steps on clips whose memories move with objects", 0, 1
    )
    asked_again: float = _option(
        0.0, "Asked again", "Share of first clicks that the box of their answer follows", 0, 1
    )
    ranking: float = _option(2.0, "Predicted IoU", "Weight of its error", 0, 1e3)
    affinity: float = _option(
        1.0, "Affinity", "Weight of the lesson on pairs of cells, fading to the end", 0, 1e3
    )
    balanced_until: float = _option(
        0.6, "Balanced loss until", "Share of the run before focal loss takes over", 0, 1
    )
    fine_from: float = _option(
        0.35, "Fine contours from", "Share of the run after which masks count at 128 pixels", 0, 1
    )
    bf16: bool = field(
        default=True,
        metadata={"title": "bfloat16", "help": "Autocast to bfloat16 where the device has it"},
    )
    data_workers: int = _option(1, "Data workers", "Processes that make clips", 0, 64)
    checkpoint_seconds: float = _option(180.0, "Save every", "Seconds", 1, 1e6)
    validate_seconds: float = _option(480.0, "Validate every", "Seconds", 1, 1e6)
    log_steps: int = _option(20, "Log every", "Steps averaged in one row of the log", 1, 1e6)

    def __post_init__(self) -> None:
        """Check every number against its declared bounds."""
        for entry in fields(self):
            bounds = entry.metadata.get("bounds")
            value = getattr(self, entry.name)
            if bounds is not None and not bounds[0] <= value <= bounds[1]:
                msg = f"{entry.name}={value} is outside {bounds[0]} to {bounds[1]}"
                raise ValueError(msg)
        if self.minutes == 0 and self.max_steps == 0:
            msg = "minutes and max_steps are both 0: set one of them to a positive number"
            raise ValueError(msg)


def second_stage() -> TrainOptions:
    """Return the options of a run that starts from learned weights.

    No lesson on ellipses, no phase of stills or of pairs: clips of all lengths from the start,
    all losses as they are at the end of a first run, and a presence head that starts anew,
    because stills, on which the object is always there, have taught the old one to say nothing
    else.
    """
    return TrainOptions(
        learning_rate=3e-4,
        warmup=0.02,
        layer_decay=0.95,
        reset_presence=True,
        ema_decay=0.998,
        still_share=0.0,
        pair_share=0.0,
        blob_steps=0,
        affinity=0.5,
        balanced_until=0.0,
        fine_from=0.0,
    )
