"""The windows that a fine-tuning learns from, encoded once where the encoder does not learn."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training.clips import fit_to
from napari_sam2.training.finetune_data import SparseClips
from napari_sam2.training.finetune_learner import Learner
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.schedule import step_random
from napari_sam2.training.trainer import fast_attention
from napari_sam2.training.unroll import Unroller

__all__ = ["PROMPTS", "Seen", "Windows", "quick_attention"]

#: Frames of a clip, and how often. The more of them, the more of a step is memory.
_LENGTHS, _SHARES = (2, 4, 8), (0.5, 0.3, 0.2)
#: Batches of windows that are kept encoded, and how often each is asked about.
_KEPT, _TIMES_ASKED = 6, 8
#: Purposes that chance serves, each with numbers of its own.
_CUTS, PROMPTS, _ORDER = 0, 1, 2
_SMALL_INPUT = 512


@dataclass(frozen=True, slots=True)
class Seen:
    """Windows of one step.

    Attributes
    ----------
    images : Tensor, (b, T, 3, H, W)
    masks : Tensor, (b, T, N, H, W) bool
    annotated : Tensor, (b, T) bool
    maps : tuple of Tensor, or None
        What the encoder's trunk says of all frames, where it says the same in every step.
    """

    images: torch.Tensor
    masks: torch.Tensor
    annotated: torch.Tensor
    maps: tuple[torch.Tensor, ...] | None = None


@dataclass
class Windows:
    """Cuts windows for a learner; the same ones for the same step, also after a stop.

    Parameters
    ----------
    clips : SparseClips
    options : FineTuneOptions
    learner : Learner
    runtime : Runtime
    """

    clips: SparseClips
    options: FineTuneOptions
    learner: Learner
    runtime: Runtime
    _encoded: dict[int, Seen] = field(default_factory=dict)

    def of_step(self, step: int) -> Seen:
        """Return the windows of a step, encoded already where the encoder does not learn.

        Then each is asked about several times, in steps that seldom follow one another: cutting and
        encoding windows takes longer than answers do.
        """
        if self.learner.encoder_learns:
            return self._cut(step)
        turn, place = divmod(step, _KEPT * _TIMES_ASKED)
        order = step_random(self.options.seed, turn, _ORDER).permutation(_KEPT * _TIMES_ASKED)
        first = turn * _KEPT
        number = first + int(order[place]) % _KEPT
        if number not in self._encoded:
            self._encoded = {n: seen for n, seen in self._encoded.items() if n >= first}
            self._encoded[number] = self._encode(self._cut(number))
        return self._encoded[number]

    def _cut(self, number: int) -> Seen:
        """Cut the windows of a number."""
        options = self.options
        rng = step_random(options.seed, number, _CUTS)
        num_frames = 1
        if rng.random() >= options.still_share:
            num_frames = int(rng.choice(_LENGTHS, p=_SHARES))
        windows = max(1, options.frames_a_step // num_frames)
        windows = options.stills_a_step if num_frames == 1 else windows
        batch = self.clips.batch(rng, windows, num_frames, options.objects_a_window)
        images, masks = fit_to(batch, self.learner.model.config.input_size)
        device = self.runtime.device
        return Seen(images.to(device), masks.to(device), batch.annotated.to(device))

    def _encode(self, seen: Seen) -> Seen:
        """Return windows with what the trunk of the image encoder says of them.

        What follows the trunk learns with the decoder: its projections of the finer maps decide
        where outlines run.
        """
        model, device = self.learner.model, self.runtime.device
        unroller = Unroller(model, torch.Generator(device))
        with torch.no_grad(), quick_attention(model, device), self.runtime.autocast():
            maps = unroller.encode(seen.images)
        # Pointwise products are all that follows, and they are of this precision.
        return replace(seen, maps=tuple(one.to(self.runtime.dtype) for one in maps))


def quick_attention(model: SAM2, device: torch.device) -> AbstractContextManager[None]:
    """Attend in the way that is quick where all pairs of tokens fit into memory at once."""
    is_small = model.config.input_size <= _SMALL_INPUT
    return fast_attention(device) if is_small else nullcontext()
