"""Choosing among the masks that a first click is answered with, by looking at what was drawn.

Where several of them are expected to be good they mean the same object, and where they differ
nobody knows its outline. So what is drawn is their mean, each by what is expected of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from napari_sam2.model.judge import MaskJudge, load_mask_judge, traits_of
from napari_sam2.model.outputs import ImageFeatures, MaskPrediction
from napari_sam2.predictor.second_opinion import CERTAIN

__all__ = ["judged", "mean_of_judged"]

_SHARPNESS, _LEAST = 8, 0.02
"""Power of its expected IoU by which a mask counts, and the least that one is expected to have."""


def judged(features: ImageFeatures, prediction: MaskPrediction) -> MaskPrediction:
    """Let the judge say how good each of several masks is.

    Parameters
    ----------
    features : ImageFeatures
        Of the view, by a network whose features the judge reads.
    prediction : MaskPrediction
        One row; where there is only one candidate it stays as it is.

    Returns
    -------
    MaskPrediction
        With the IoU that the judge expects of each candidate; which of them is the answer stays.
    """
    if prediction.candidates.shape[1] == 1:
        return prediction
    traits = traits_of(
        prediction.candidates, prediction.ious, prediction.tokens, features.stride4[:1]
    )
    return replace(prediction, ious=_shipped(traits.device).ious(traits))


@cache
def _shipped(device: torch.device) -> MaskJudge:
    return load_mask_judge().to(device)


def mean_of_judged(prediction: MaskPrediction) -> MaskPrediction:
    """Draw the mean of all candidates in place of the best one.

    Parameters
    ----------
    prediction : MaskPrediction
        One row, judged, with the best candidate taken.

    Returns
    -------
    MaskPrediction
        With other logits for its best candidate, where there are several.
    """
    candidates = prediction.candidates.clone()
    if candidates.shape[1] == 1:
        return prediction
    shares = prediction.ious[0].float().clamp(min=_LEAST) ** _SHARPNESS
    weights = (shares / shares.sum())[:, None, None]
    probability: Tensor = (weights * candidates[0].float().sigmoid()).sum(0)
    best = prediction.best[0]
    candidates[0, best] = torch.logit(probability, CERTAIN).to(candidates.dtype)
    return replace(prediction, logits=candidates[:, best][:, None], candidates=candidates)
