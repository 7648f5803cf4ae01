"""How good the averaged weights are on clips that training never sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sam2.training.losses import mask_iou
from napari_sam2.training.unroll import Plan, Step, Unroller, to_input_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.training.clips import ClipBatch


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """Fixed batches: stills by source, and clips that are tracked from their first mask."""

    stills: dict[str, Sequence[ClipBatch]]
    clips: dict[str, Sequence[ClipBatch]]


def validate(model: SAM2, batches: ValidationSet, *, bf16: bool = True) -> dict[str, float]:
    """Measure a model.

    Parameters
    ----------
    model : SAM2
    batches : ValidationSet
    bf16 : bool
        Autocast as in training.

    Returns
    -------
    dict of str to float
        Mean IoU at input size of one click, three clicks and a box for each set of stills; of
        every tracked frame for each set of clips, with the share of right presence verdicts.
    """
    result: dict[str, float] = {}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for name, stills in batches.stills.items():
            clicks = _answers(model, stills, Plan("click", 2))
            boxes = _answers(model, stills, Plan("box"))
            result[f"{name}_click"] = _mean_iou([steps[0] for steps in clicks])
            result[f"{name}_3clicks"] = _mean_iou([steps[2] for steps in clicks])
            result[f"{name}_best"] = _best_iou([steps[0] for steps in clicks])
            result[f"{name}_box"] = _mean_iou([steps[0] for steps in boxes])
        for name, clips in batches.clips.items():
            tracked = _answers(model, clips, Plan("mask"))
            result[f"{name}_track"] = _mean_iou([s for steps in tracked for s in steps])
            result[f"{name}_track_last"] = _mean_iou([steps[-1] for steps in tracked])
            result[f"{name}_presence"] = _presence([s for steps in tracked for s in steps])
    return result


def _answers(model: SAM2, batches: Sequence[ClipBatch], plan: Plan) -> list[list[Step]]:
    """Run all batches through the model with the same simulated prompts each time."""
    unroller = Unroller(model, torch.Generator().manual_seed(0))
    return [unroller.run(b.images, b.masks, b.annotated, plan) for b in batches]


def _rows(step: Step) -> torch.Tensor:
    """Return which rows have an object on an annotated frame, (B,) bool."""
    return step.truth.flatten(1).any(1) & step.annotated


def _mean_iou(steps: Sequence[Step]) -> float:
    """Return the mean IoU of the chosen masks at input size."""
    values = []
    for step in steps:
        logits = to_input_size(step.logits, step.truth)[:, 0]
        values.append(mask_iou(logits > 0, step.truth)[_rows(step)])
    return float(torch.cat(values).mean())


def _best_iou(steps: Sequence[Step]) -> float:
    """Return the mean IoU of the best of the three candidates at input size."""
    values = []
    for step in steps:
        logits = to_input_size(step.answer.logits[:, 1:], step.truth)
        values.append(mask_iou(logits > 0, step.truth[:, None]).amax(1)[_rows(step)])
    return float(torch.cat(values).mean())


def _presence(steps: Sequence[Step]) -> float:
    """Return the share of right verdicts on presence."""
    values = []
    for step in steps:
        says = step.answer.object_score[:, 0] > 0
        values.append((says == step.truth.flatten(1).any(1))[step.annotated].float())
    return float(torch.cat(values).mean())
