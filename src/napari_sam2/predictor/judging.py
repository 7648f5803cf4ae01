"""Choosing among the masks that a first click is answered with, by looking at what was drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from napari_sam2.model.judge import MaskJudge, load_mask_judge, traits_of
from napari_sam2.model.outputs import ImageFeatures, MaskPrediction

__all__ = ["judged"]


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
