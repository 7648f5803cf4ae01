"""A small network that says how good the masks are that a click is answered with.

The mask decoder predicts the IoU of its masks from their tokens alone, before it draws them. This
network sees what was drawn: how sure each pixel is, what the picture looks like inside, on the rim
and outside of it, and how the masks differ from each other. It reads features of the bundled
network, and goes with no other one.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TRAITS", "MaskJudge", "load_mask_judge", "traits_of"]

_MASKS = 3
_TOKEN, _STRIDE4 = 128, 16
_SHAPE = 6 + 4 * _MASKS
TRAITS = _SHAPE + _TOKEN + 4 * _STRIDE4
"""Numbers that describe one mask."""

_HEADS = 4  # that learn the same from other starts; their mean is worth more than any of them
_WIDTH = 64
_FARTHEST = 4.0  # standard deviations; what is farther out was hardly ever seen
_RIM = 3  # cells around a mask that are compared with what is in it
_SHIPPED = Path(__file__).parent / "weights" / "judge.safetensors"


class MaskJudge(nn.Module):
    """Heads that read the traits of each mask by itself.

    Attributes
    ----------
    mean, scale : Tensor, (TRAITS,)
        Of the traits that it learned from.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(TRAITS))
        self.register_buffer("scale", torch.ones(TRAITS))
        self.heads = nn.ModuleList(_head() for _ in range(_HEADS))

    def forward(self, traits: Tensor) -> Tensor:
        """Judge masks.

        Parameters
        ----------
        traits : Tensor, (..., TRAITS)

        Returns
        -------
        Tensor, (_HEADS, ...)
            Logits of the IoU with what is meant, as each head sees it.
        """
        seen = ((traits - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST)
        return torch.stack([head(seen)[..., 0] for head in self.heads])

    def ious(self, traits: Tensor) -> Tensor:
        """Return the expected IoU, 0 to 1, of masks (..., TRAITS)."""
        return self(traits).mean(0).sigmoid()


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(TRAITS, _WIDTH),
        nn.GELU(),
        nn.Dropout(0.3),
        nn.Linear(_WIDTH, _WIDTH // 2),
        nn.GELU(),
        nn.Linear(_WIDTH // 2, 1),
    )


def traits_of(logits: Tensor, ious: Tensor, tokens: Tensor, stride4: Tensor) -> Tensor:
    """Describe the three masks that B clicks are answered with.

    Parameters
    ----------
    logits : Tensor, (B, 3, h, w)
    ious : Tensor, (B, 3)
        As the decoder predicts them.
    tokens : Tensor, (B, 3, C)
    stride4 : Tensor, (B, C/8, h, w)
        Features of the picture.

    Returns
    -------
    Tensor, (B, 3, TRAITS)
        Finite, also of empty masks.
    """
    logits, ious, tokens, stride4 = (x.float() for x in (logits, ious, tokens, stride4))
    masks = (logits > 0).float()
    inner = 1 - _grown(1 - masks, 1)
    outer = _grown(masks, 1)
    inside = _mean_in(stride4, inner)
    rim = _mean_in(stride4, masks - inner)
    outside = _mean_in(stride4, _grown(masks, _RIM) - masks)
    return torch.cat(
        [
            _shapes(logits, masks, inner, outer, ious),
            tokens,
            inside - outside,
            rim - outside,
            inside,
            outside,
        ],
        dim=-1,
    )


def _shapes(logits: Tensor, masks: Tensor, inner: Tensor, outer: Tensor, ious: Tensor) -> Tensor:
    """Return size, sureness and agreement of masks, and what the other masks are like."""
    size = masks.sum((2, 3))
    area = masks.mean((2, 3))
    border = outer - inner
    sure = 2 * (logits.sigmoid() - 0.5).abs()
    edge = (border * sure).sum((2, 3)) / border.sum((2, 3)).clamp(min=1)
    wide, narrow = (logits > -1).float().sum((2, 3)), (logits > 1).float().sum((2, 3))
    rim = (masks - inner).sum((2, 3)).clamp(min=1)
    own = [ious, area, area.log1p(), narrow / wide.clamp(min=1), edge, size / rim**2]
    shared = torch.einsum("bmhw,bnhw->bmn", masks, masks)
    overlap = shared / (size[:, :, None] + size[:, None] - shared).clamp(min=1)
    pairs = torch.stack([overlap[:, 0, 1], overlap[:, 0, 2], overlap[:, 1, 2]], dim=1)
    which = torch.eye(_MASKS, device=ious.device).expand(len(ious), -1, -1)
    every = [one[:, None].expand(-1, _MASKS, -1) for one in (ious, area, pairs)]
    return torch.cat([torch.stack(own, dim=-1), *every, which], dim=-1)


def _grown(masks: Tensor, cells: int) -> Tensor:
    return functional.max_pool2d(masks, 2 * cells + 1, 1, cells)


def _mean_in(features: Tensor, masks: Tensor) -> Tensor:
    """Return the mean features (B, M, C) in each mask; 0 where it is empty."""
    sums = torch.einsum("bchw,bmhw->bmc", features, masks)
    return sums / masks.sum((2, 3)).clamp(min=1)[..., None]


def load_mask_judge(path: Path = _SHIPPED) -> MaskJudge:
    """Return the judge with its weights, in evaluation mode.

    Parameters
    ----------
    path : Path
        Safetensors; by default the file that ships in the package.
    """
    judge = MaskJudge()
    judge.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return judge.eval()
