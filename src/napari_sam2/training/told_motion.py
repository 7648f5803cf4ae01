"""What a clip's network is told of motion: where each object should be, as the predictor finds it.

The predictor lays the picture of an object over the next frame and sums up what it has moved. It is
a little wrong each time, and where two places are alike it knows only how the stage has moved. In
training the way is that of the true centres, made wrong in the same ways.
"""

from __future__ import annotations

import torch

from napari_sam2.predictor.motion import TRUST

__all__ = ["expected_centers"]

_ERROR = 0.03
"""Standard deviation of what is wrong with one step, in diameters."""

_UNSEEN = 0.2
"""Share of the steps on which an object is not found, and moves with the stage."""


def expected_centers(
    truth: torch.Tensor, clips: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return where objects should be on every frame of their clips.

    Parameters
    ----------
    truth : Tensor, (B, T, H, W) bool
        Objects that are there on the first frame.
    clips : Tensor, (B,) int64
        Which clip each object is in: objects of one clip share a stage.
    generator : torch.Generator
        Of what is wrong; on the device of `truth`.

    Returns
    -------
    Tensor, (B, T, 2) float32
        Rows and columns, in pixels. What has gone moves on with the stage.
    """
    areas = truth.flatten(2).sum(2)  # (B, T)
    seen = _centroids(truth, areas)  # (B, T, 2)
    is_there = areas > 0
    diameters = areas[:, 0].float().sqrt()
    expected = [seen[:, 0]]
    for frame in range(1, truth.shape[1]):
        steps = seen[:, frame] - seen[:, frame - 1]
        is_known = is_there[:, frame] & is_there[:, frame - 1]
        stage = _stage_steps(steps, is_known, clips)
        chance = torch.rand(len(clips), generator=generator, device=truth.device)
        is_found = is_known & (chance >= _UNSEEN)
        moved = torch.where(is_found[:, None], steps, stage)
        error = torch.randn(moved.shape, generator=generator, device=truth.device)
        before = expected[-1]
        # As in use, a mask draws the centre to its own; here it is the true one.
        pull = TRUST * (seen[:, frame - 1] - before) * is_there[:, frame - 1, None]
        expected.append(before + pull + moved + _ERROR * diameters[:, None] * error)
    return torch.stack(expected, dim=1)


def _centroids(masks: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """Return the centroids of masks, (B, T, 2); (0, 0) of empty ones."""
    height, width = masks.shape[-2:]
    y = torch.arange(height, device=masks.device, dtype=torch.float32)
    x = torch.arange(width, device=masks.device, dtype=torch.float32)
    sums = torch.stack([masks.sum(3).float() @ y, masks.sum(2).float() @ x], dim=-1)
    return sums / areas.clamp(min=1)[..., None]


def _stage_steps(steps: torch.Tensor, is_known: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
    """Return what most objects of a clip do, (B, 2); nothing where there are fewer than two."""
    stage = torch.zeros_like(steps)
    for clip in clips.unique():
        members = clips == clip
        known = steps[members & is_known]
        if len(known) > 1:
            stage[members] = known.median(dim=0).values
    return stage
