"""What learns in a fine-tuning: the network, which part of it moves, its average, its optimiser."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training.adapters import add_adapters, merge_adapters
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.optimiser import Optimisers, move_all, set_rate
from napari_sam2.training.precision import product_dtype

__all__ = ["Learner", "choose_runtime"]

_ENCODER = "image_encoder."


def choose_runtime(options: FineTuneOptions) -> Runtime:
    """Return the device and precision of a fine-tuning.

    Raises
    ------
    RuntimeError, ValueError
        If what was asked for is not there.
    """
    device = Runtime.auto(options.device or None, "float32").device
    if options.precision != "auto":
        return Runtime.auto(str(device), options.precision)
    if device.type == "cpu":
        return Runtime(device, product_dtype(device))
    return Runtime.auto(str(device)) if device.type == "cuda" else Runtime(device, torch.float32)


@dataclass
class Learner:
    """A network that learns, and the average of what it was lately.

    Attributes
    ----------
    model, average : SAM2
        With adapters, where they learn.
    optimiser : Optimisers
    """

    model: SAM2
    average: SAM2
    optimiser: Optimisers

    @classmethod
    def of(cls, model: SAM2, options: FineTuneOptions) -> Learner:
        """Freeze what does not learn; `model` is changed in place."""
        model.requires_grad_(options.learn != "decoder")
        model.sam_prompt_encoder.requires_grad_(True)
        model.sam_mask_decoder.requires_grad_(True)
        if options.learn != "everything":
            model.image_encoder.requires_grad_(False)
        if options.learn == "adapters":
            torch.manual_seed(options.seed)
            add_adapters(model.image_encoder, options.adapter_rank)
        average = copy.deepcopy(model).requires_grad_(False).eval()
        return cls(model, average, _make_optimiser(model, options))

    @property
    def encoder_learns(self) -> bool:
        """Whether anything in the image encoder moves."""
        return any(p.requires_grad for p in self.model.image_encoder.parameters())

    @property
    def memory_learns(self) -> bool:
        """Whether anything moves that makes memories or attends to them."""
        parts = (self.model.memory_attention, self.model.memory_encoder)
        return any(p.requires_grad for part in parts for p in part.parameters())

    def learning(self) -> list[nn.Parameter]:
        """Return the parameters that move."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def count(self) -> int:
        """Return how many numbers move."""
        return sum(p.numel() for p in self.learning())

    def update(self, rate: float, options: FineTuneOptions, step: int) -> bool:
        """Clip the gradients, step and average; False, and no step, if they are not finite."""
        set_rate(self.optimiser, rate)
        norm = nn.utils.clip_grad_norm_(self.learning(), options.gradient_norm)
        is_finite = bool(torch.isfinite(norm))
        if is_finite:
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        # Early on a long average would be mostly the start.
        decay = min(options.ema_decay, (1.0 + step) / (10.0 + step))
        with torch.no_grad():
            now = [p.detach() for p in self.learning()]
            torch._foreach_lerp_(self._averaged(), now, 1.0 - decay)
        return is_finite

    def averaged(self) -> dict[str, Tensor]:
        """Return a copy of the averaged parameters that move, by name."""
        names = [n for n, p in self.model.named_parameters() if p.requires_grad]
        return {n: p.clone() for n, p in zip(names, self._averaged(), strict=True)}

    def merged(self, averaged: dict[str, Tensor]) -> SAM2:
        """Return a plain network with some averaged parameters; adapters become weights."""
        model = copy.deepcopy(self.average)
        model.load_state_dict(averaged, strict=False)
        merge_adapters(model.image_encoder)
        return model.eval()

    def _averaged(self) -> list[Tensor]:
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        return [mean for mean, p in pairs if p.requires_grad]


def _make_optimiser(model: nn.Module, options: FineTuneOptions) -> Optimisers:
    """Return what moves the part that learns; the encoder's own weights learn more slowly."""

    def share(name: str) -> float:
        is_slow = name.startswith(_ENCODER) and options.learn == "everything"
        return options.encoder_rate if is_slow else 1.0

    return move_all(model, share, options.weight_decay, use_muon=options.muon)
