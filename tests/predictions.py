"""What the network would answer with masks that are given."""

from __future__ import annotations

import numpy as np
import torch

from napari_sam2.model.outputs import MaskPrediction

__all__ = ["prediction"]


def prediction(*masks: np.ndarray) -> MaskPrediction:
    """Return one row for each mask, at half its resolution, certain of itself."""
    low = torch.from_numpy(np.stack(masks)[:, ::2, ::2]).float()[:, None] * 8 - 4
    rows = len(masks)
    return MaskPrediction(
        logits=low,
        candidates=low,
        ious=torch.ones(rows, 1),
        best=torch.zeros(rows, dtype=torch.int64),
        object_score=torch.ones(rows, 1),
        pointer=torch.zeros(rows, 8),
        tokens=torch.zeros(rows, 1, 8),
    )
