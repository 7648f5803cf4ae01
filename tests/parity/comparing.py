"""How far two tensors are apart, and two masks."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Largest error that counts as equal, relative to the largest magnitude of the tensor, or to one
where that is less: a presence logit of 0.01 is no more exact than its terms."""

_ABSENT = -1000.0


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over the largest magnitude; infinite where shapes or absences differ.

    Logits of absent objects are -1024 everywhere; they have to be so in both, and would hide
    every other error if they counted as magnitudes.
    """
    if ours.shape != theirs.shape:
        return float("inf")
    absent = theirs < _ABSENT
    if not torch.equal(ours < _ABSENT, absent):
        return float("inf")
    present, expected = ours[~absent].double(), theirs[~absent].double()
    if present.numel() == 0:
        return 0.0
    error = (present - expected).abs().max() / expected.abs().max().clamp(min=1.0)
    return float(error) if torch.isfinite(error) else float("inf")


def differing_pixels(ours: Tensor, theirs: Tensor) -> int:
    """Pixels whose side of zero differs, ties (within the tolerance of zero) left out."""
    present = torch.where(theirs < _ABSENT, 0.0, theirs)
    tie = theirs.abs() <= TOLERANCE * present.abs().amax().clamp(min=1.0)
    return int((((ours > 0) != (theirs > 0)) & ~tie).sum())
