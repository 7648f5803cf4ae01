"""How good the averaged weights are on clips that training never sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_sam2.training.losses import mask_iou
from napari_sam2.training.precision import autocast
from napari_sam2.training.unroll import Plan, Step, Unroller, to_input_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.training.clips import ClipBatch

#: Figures by set of data and measure.
Figures = dict[str, dict[str, float]]

_SUMMARY = ("click", "3clicks", "box", "best", "ranking", "track", "track_shape", "track_last")
_PRESENCE = "presence"


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """Fixed batches by source: stills, and clips that are tracked from their first mask."""

    stills: Mapping[str, Sequence[ClipBatch]]
    clips: Mapping[str, Sequence[ClipBatch]]


def validate(model: SAM2, batches: ValidationSet, *, bf16: bool = True) -> Figures:
    """Measure a model.

    Parameters
    ----------
    model : SAM2
    batches : ValidationSet
    bf16 : bool
        Autocast as in training.

    Returns
    -------
    dict of str to dict of str to float
        By set of stills, IoU at input size: "click" and "box" of the answer to a first prompt,
        "3clicks" after two corrections, "best" of the three candidates for a click, and
        "ranking", the correlation of predicted and actual IoU over all candidates.
        By set of clips: "track", mean IoU of all frames on which the object is, "track_last" of
        the last ones, and "track_shape", that of all whatever the verdict on presence. Under
        "presence", over all clips: "seen" and "gone", the shares of right verdicts where the
        object is there and where it is not, "balanced", their mean, and "auc", the chance that a
        frame with the object has a higher score than one without.
    """
    result: Figures = {}
    later: list[Step] = []
    device = next(model.parameters()).device
    with torch.no_grad(), autocast(device, wanted=bf16):
        for name, stills in batches.stills.items():
            result[name] = _still_figures(model, stills)
        for name, clips in batches.clips.items():
            tracked = _answers(model, clips, Plan("mask"))
            steps = [step for steps in tracked for step in steps]
            result.setdefault(name, {})["track"] = _mean_iou(steps)
            result[name]["track_last"] = _mean_iou([steps[-1] for steps in tracked])
            result[name]["track_shape"] = _shape_iou(steps)
            later += steps
    if later:
        result[_PRESENCE] = _presence(later)
    return result


def summary(figures: Figures) -> str:
    """Return the means over all sets, and presence, as one line."""
    means = []
    for measure in _SUMMARY:
        values = [one[measure] for one in figures.values() if measure in one]
        if values:
            means.append(f"{measure} {sum(values) / len(values):.3f}")
    means += [f"{name} {value:.3f}" for name, value in figures.get(_PRESENCE, {}).items()]
    return ", ".join(means)


def _still_figures(model: SAM2, stills: Sequence[ClipBatch]) -> dict[str, float]:
    clicks = _answers(model, stills, Plan("click", 2))
    boxes = _answers(model, stills, Plan("box"))
    first = [steps[0] for steps in clicks]
    return {
        "click": _mean_iou(first),
        "3clicks": _mean_iou([steps[2] for steps in clicks]),
        "box": _mean_iou([steps[0] for steps in boxes]),
        "best": _best_iou(first),
        "ranking": _ranking(first),
    }


def _answers(model: SAM2, batches: Sequence[ClipBatch], plan: Plan) -> list[list[Step]]:
    """Run all batches through the model with the same simulated prompts each time."""
    device = next(model.parameters()).device
    unroller = Unroller(model, torch.Generator(device).manual_seed(0))
    moved = (batch.to(device) for batch in batches)
    return [unroller.run(b.images, b.masks, b.annotated, plan) for b in moved]


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


def _shape_iou(steps: Sequence[Step]) -> float:
    """Return the mean IoU of the masks that would be chosen were all objects taken as there."""
    values = []
    for step in steps:
        best = step.answer.ious[:, 1:].argmax(1)
        values.append(_candidate_ious(step).gather(1, best[:, None])[:, 0][_rows(step)])
    return float(torch.cat(values).mean())


def _candidate_ious(step: Step) -> torch.Tensor:
    """Return the actual IoU of the three candidates at input size, (B, 3)."""
    logits = to_input_size(step.answer.logits[:, 1:], step.truth)
    return mask_iou(logits > 0, step.truth[:, None])


def _best_iou(steps: Sequence[Step]) -> float:
    """Return the mean IoU of the best of the three candidates."""
    return float(torch.cat([_candidate_ious(s).amax(1)[_rows(s)] for s in steps]).mean())


def _ranking(steps: Sequence[Step]) -> float:
    """Return the correlation of predicted and actual IoU."""
    actual = torch.cat([_candidate_ious(s)[_rows(s)] for s in steps]).flatten()
    predicted = torch.cat([s.answer.ious[:, 1:].float()[_rows(s)] for s in steps]).flatten()
    return float(torch.corrcoef(torch.stack([actual, predicted]))[0, 1])


def _presence(steps: Sequence[Step]) -> dict[str, float]:
    """Return how well the score tells frames with the object from those without."""
    known = torch.cat([step.annotated for step in steps])
    score = torch.cat([step.answer.object_score[:, 0].float() for step in steps])[known]
    truth = torch.cat([step.truth.flatten(1).any(1) for step in steps])[known]
    there, gone = score[truth], score[~truth]
    if not len(there) or not len(gone):
        return {}
    seen, missed = float((there > 0).float().mean()), float((gone <= 0).float().mean())
    higher = (there[:, None] > gone).float() + 0.5 * (there[:, None] == gone).float()
    return {
        "seen": seen,
        "gone": missed,
        "balanced": (seen + missed) / 2,
        "auc": float(higher.mean()),
    }
