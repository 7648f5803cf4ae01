"""What to do at a given point of a run: phase, learning rate, loss weights, stream of data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.training.unroll import Plan

if TYPE_CHECKING:
    from napari_sam2.training.options import TrainOptions
    from napari_sam2.training.prompt_simulation import PromptKind

_MOST_CLICKS = 7  # corrective clicks on one still
_STILL_PRESENCE = 0.1  # weight of presence on stills over that on clips


@dataclass(frozen=True, slots=True)
class Stream:
    """One shape of batch: `batch` clips of `num_frames` frames with `num_objects` objects each."""

    name: str
    batch: int
    num_frames: int
    num_objects: int


def streams(options: TrainOptions) -> dict[str, Stream]:
    """Return the streams of data of a run by name: stills, pairs, quads and long clips."""
    per_step, objects = options.clip_frames, options.clip_objects
    shapes = [Stream("still", options.still_batch, 1, options.still_objects)]
    for name, frames in (("pair", 2), ("quad", 4), ("long", options.long_frames)):
        shapes.append(Stream(name, max(1, per_step // frames), frames, objects))
    return {stream.name: stream for stream in shapes}


def step_random(seed: int, step: int, purpose: int) -> np.random.Generator:
    """Return a generator that depends on its arguments alone.

    A run that is resumed therefore draws what an uninterrupted one draws, with no state to save.
    """
    return np.random.default_rng((seed, step, purpose))


def progress(options: TrainOptions, step: int, elapsed: float) -> float:
    """Return how much of the run is behind us, 0 to 1, by time or, without a budget, by steps."""
    done = elapsed / (60.0 * options.minutes) if options.minutes > 0 else step / options.max_steps
    return min(1.0, max(0.0, done))


def learning_rate(options: TrainOptions, done: float) -> float:
    """Return the rate at progress `done`: a linear rise, then one cosine down to the end."""
    if done < options.warmup:
        # Not from zero: the first step should already move the weights.
        return options.learning_rate * (0.05 + 0.95 * done / options.warmup)
    along = (done - options.warmup) / max(1e-9, 1.0 - options.warmup)
    low = options.final_rate
    return options.learning_rate * (low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * along)))


def choose_stream(options: TrainOptions, done: float, rng: np.random.Generator) -> str:
    """Return the name of the stream that the next step draws from.

    Stills and their box prompts stay in the later phases, so that they are not forgotten.
    """
    if done < options.still_share or rng.random() < options.still_mix:
        return "still"
    if done < options.still_share + options.pair_share:
        return "pair"
    return str(rng.choice(["pair", "quad", "long"], p=[0.15, 0.4, 0.45]))


def choose_plan(options: TrainOptions, num_frames: int, rng: np.random.Generator) -> Plan:
    """Draw the prompts of one step.

    Stills get a click or a box (a mask would be its own answer) and corrective clicks, seldom as
    many as seven. Clips get a mask, a click or a box in the proportion 2 : 1 : 1 and, by chance,
    a second prompted frame with one to three clicks. In a part of the steps on clips the encoder
    rests: the stills teach it as well, and the memory learns twice as much in the same time.
    """
    if num_frames == 1:
        # Half of the steps go without: first prompts are the harder half of the lesson.
        clicks = int(rng.integers(options.still_clicks + 1)) if rng.random() < 0.6 else 0
        if rng.random() < options.long_corrections:
            clicks = int(rng.integers(3, _MOST_CLICKS + 1))
        first: PromptKind = "click" if rng.random() < 0.65 else "box"
        return Plan(first, clicks, asked_again=_is_asked_again(options, first, rng))
    kind: PromptKind = ("mask", "mask", "click", "box")[int(rng.integers(4))]
    plan = Plan(
        kind,
        first_clicks=0 if kind == "mask" else int(rng.random() < 0.3),
        encoder_learns=bool(rng.random() >= options.encoder_rest),
        presence_told=bool(rng.random() < options.presence_told),
        motion_told=bool(rng.random() < options.motion_told),
        asked_again=_is_asked_again(options, kind, rng),
    )
    if rng.random() >= options.correction:
        return plan
    corrected, clicks = int(rng.integers(1, num_frames)), int(rng.choice([1, 1, 2, 3]))
    return replace(plan, corrected_frame=corrected, corrections=clicks)


def _is_asked_again(options: TrainOptions, kind: PromptKind, rng: np.random.Generator) -> bool:
    """Draw whether a first click is followed by its box, without a draw where none ever is."""
    return kind == "click" and options.asked_again > 0 and rng.random() < options.asked_again


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the terms of the loss and the upsampling at which masks are compared."""

    focal: float
    balanced: float
    dice: float = 1.0
    iou: float = 1.0
    presence: float = 1.0
    absent: float = 1.0
    others: float = 0.25
    affinity: float = 0.0
    upsample: int = 1


def loss_weights(options: TrainOptions, done: float, num_frames: int) -> LossWeights:
    """Return the weights at progress `done` for a step of clips of `num_frames` frames.

    Focal loss alone drives the logits of small objects to where dice has no gradient, so a
    balanced cross-entropy starts the run and fades while focal loss comes in.

    On a still the object is always there. As long as stills are all that is seen, presence is
    left alone: it would learn a constant, and not unlearn it in the clips. Later they keep a
    small weight, so that a first prompt goes on being answered.
    """
    fade = min(1.0, max(0.0, (done - options.balanced_until) / 0.1))
    if options.balanced_until == 0:
        fade = 1.0
    if num_frames > 1:
        presence = options.presence
    else:
        presence = options.presence * _STILL_PRESENCE * float(done >= options.still_share)
    return LossWeights(
        focal=20.0 * fade,
        balanced=1.0,
        iou=options.ranking,
        presence=presence,
        absent=options.absent,
        affinity=options.affinity * (1.0 - done),
        upsample=2 if done >= options.fine_from else 1,
    )
