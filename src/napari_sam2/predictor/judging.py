"""Choosing among the masks that a first click is answered with, by looking at what was drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from napari_sam2.model.judge import MaskJudge, load_mask_judge, traits_of
from napari_sam2.model.outputs import ImageFeatures, MaskPrediction
from napari_sam2.model.sam2 import SAM2

__all__ = ["judged"]


def judged(model: SAM2, features: ImageFeatures, prediction: MaskPrediction) -> MaskPrediction:
    """Let the judge say which of several masks is meant, and how good each one is.

    Parameters
    ----------
    model : SAM2
        One whose features the judge reads.
    features : ImageFeatures
        Of the view.
    prediction : MaskPrediction
        One row; where there is only one candidate it stays as it is.

    Returns
    -------
    MaskPrediction
        With the IoU that the judge expects of each candidate, and the best by that.
    """
    if prediction.candidates.shape[1] == 1:
        return prediction
    traits = traits_of(
        prediction.candidates, prediction.ious, prediction.tokens, features.stride4[:1]
    )
    ious = _shipped(traits.device).ious(traits)
    best = int(ious[0].argmax())
    found = replace(prediction, ious=ious)
    return found if best == int(prediction.best[0]) else model.take_candidate(found, best)


@cache
def _shipped(device: torch.device) -> MaskJudge:
    return load_mask_judge().to(device)
