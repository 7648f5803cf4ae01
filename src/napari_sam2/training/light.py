"""In which light clips are shown: in any, or in that in which the predictor shows their movie.

A network that is to know cells of all kinds sees each clip in a range of its own, inverted, dimmed,
in noise. One that is fine-tuned on a movie learns what is true of this movie only if it sees it as
it will be shown: that the contours of bright cells are drawn wide, say, and those of dim ones
tight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from napari_sam2.predictor.exposure import BRIGHTER, gamma_for
from napari_sam2.predictor.frames import ArrayFrames, IntensityMapping
from napari_sam2.training import augment
from napari_sam2.training.datasets import LabelledMovie

__all__ = ["Light", "MovieLight", "any_light"]

Light = Callable[[torch.Tensor, torch.Tensor, np.random.Generator], torch.Tensor]
"""Maps images (T, C, H, W) in any unit, of objects (T, N, H, W), to RGB (T, 3, H, W) in 0..1."""

_OWN_SHARE = 0.7
"""Share of the clips that are shown as the predictor shows the movie, or nearly so."""

_LIMITS = 0.15
"""Spread of the logarithm of the range: limits of another movie of the same kind differ."""

_GAMMA = 0.1
"""Spread of the logarithm of the gamma."""


def any_light(images: torch.Tensor, masks: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Show a clip in a range of its own, with other contrasts, noise and blur."""
    return augment.vary_intensity(augment.normalise(images, rng), rng)


@dataclass(frozen=True, slots=True)
class MovieLight:
    """Shows most clips of a movie as the predictor does.

    Attributes
    ----------
    low, high : Tensor, (C, 1, 1)
        Limits of the movie's intensity mapping.
    """

    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def of(cls, movie: LabelledMovie) -> MovieLight:
        """Find the limits of a movie."""
        mapping = IntensityMapping.from_percentiles(ArrayFrames(movie.images))
        low, high = (
            torch.tensor(limits, dtype=torch.float32).view(-1, 1, 1)
            for limits in (mapping.low, mapping.high)
        )
        return cls(low, high)

    def __call__(
        self, images: torch.Tensor, masks: torch.Tensor, rng: np.random.Generator
    ) -> torch.Tensor:
        """Show a clip."""
        if rng.random() >= _OWN_SHARE:
            return any_light(images, masks, rng)
        span = (self.high - self.low).clamp(min=1e-6) * float(np.exp(rng.normal(0, _LIMITS)))
        shown = ((images - self.low) / span).clamp(0, 1)
        shown = shown ** float(np.exp(rng.normal(0, _GAMMA)))
        inside = shown.mean(1, keepdim=True)[masks[:, :1]]
        brightness = float(inside.mean()) if len(inside) else 1.0
        # One that is neither dim nor bright was either before, and the predictor keeps it so.
        known = float(rng.choice([BRIGHTER, 1.0]))
        shown = shown ** gamma_for(brightness, lambda: float(shown.median()), known)
        return shown.expand(-1, 3, -1, -1) if shown.shape[1] == 1 else shown
