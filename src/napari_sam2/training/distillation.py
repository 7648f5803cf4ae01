"""What a network said before it was fine-tuned, as the lesson where it shall go on saying so.

After "Learning without forgetting" (Li and Hoiem, ECCV 2016): the answers of the network that a
fine-tuning starts from are targets like any other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from napari_sam2.training.losses import Answer, balanced_loss, near_weights

__all__ = ["kept_loss"]


def kept_loss(answer: Answer, before: Answer) -> torch.Tensor:
    """Return how far answers have moved from what they were, a mean over rows and masks.

    Parameters
    ----------
    answer, before : Answer
        Of the same B rows; `before` without gradients.

    Returns
    -------
    Tensor, ()
        Cross-entropy and Dice overlap of all masks with the earlier probabilities, the difference
        of the predicted IoU, and the cross-entropy of presence. Nothing pulls at equal answers.
    """
    logits, then = answer.logits.float().flatten(0, 1), before.logits.float().flatten(0, 1)
    target = then.sigmoid()
    weights = near_weights((then > 0).float())
    masks = balanced_loss(logits, target, weights).mean() + _overlap_loss(logits, target).mean()
    ious = (answer.ious.float() - before.ious.float()).abs().mean()
    presence = F.binary_cross_entropy_with_logits(
        answer.object_score.float(), before.object_score.float().sigmoid()
    )
    return masks + ious + presence


def _overlap_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return one minus the Dice overlap with squares below, (M, h, w) to (M,).

    As in V-Net (Milletari et al., 3DV 2016): unlike the one with sums below, it is least where
    both sides are equal, also where they are not sure.
    """
    probability = logits.sigmoid()
    both = (probability * target).sum((-2, -1))
    total = (probability * probability).sum((-2, -1)) + (target * target).sum((-2, -1))
    return 1.0 - (2.0 * both + 1.0) / (total + 1.0)
