"""The reference's results as they are kept in the repository, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path(__file__).parent / "recorded"

_LARGEST = 4096
"""Values kept of one tensor; 4096 are all the logits of a mask."""


def sample(values: Tensor) -> Tensor:
    """Keep a tensor whole where it is small, else every n-th value of it."""
    flat = values.detach().float().flatten()
    if flat.numel() <= _LARGEST:
        return values.detach().float().clone()
    # An odd step visits all rows and columns, whatever powers of two they come in.
    step = -(-flat.numel() // _LARGEST) | 1
    return flat[::step].clone()


def save(name: str, tensors: Mapping[str, Tensor]) -> Path:
    """Write a sampled set of tensors; returns the file."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.safetensors"
    save_file({key: sample(value).contiguous() for key, value in tensors.items()}, path)
    return path


def load(name: str) -> dict[str, Tensor]:
    """Read what ``save`` wrote."""
    return load_file(FOLDER / f"{name}.safetensors")


def sampled(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sample tensors as the recorded ones were."""
    with torch.inference_mode():
        return {key: sample(value) for key, value in tensors.items()}
