"""Weights made from the names of the tensors, so that two programs build the same network.

Every tensor is drawn from a generator that is seeded by a hash of its name: nothing has to be
stored or carried over, and a tensor's values depend on neither the order of the keys nor the
presence of others. The scales keep activations near one through the whole depth and attention
neither flat nor saturated, so that an error anywhere shows in the outputs.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

_TABLE = re.compile(r"(tokens?|_embed|point_embeddings\.\d)\.weight$|gaussian_matrix$")
"""Rows that are looked up instead of multiplied, and the random Fourier frequencies."""

_GAINS = {
    # Attention that looks somewhere rather than everywhere.
    ".q_proj.": 1.5,
    ".k_proj.": 1.5,
    ".qkv.": 1.4,
    # Past masks and pointers weigh as much as the frame itself: else errors in the choice and
    # the order of memories would drown.
    "neck.convs": 0.5,
    "mask_downsampler.encoder.12": 3.0,
    "memory_attention.layers.0.cross_attn_image.v_proj": 2.0,
    "cross_attn_image.out_proj": 2.0,
    "obj_ptr_proj.layers.2": 4.0,
    "obj_ptr_tpos_proj": 3.0,
    # The sign makes prompted frames score higher than the others, as in a trained network.
    "pred_obj_score_head.layers.2": -4.0,
    # Logits far enough from zero that few pixels are ties.
    "output_hypernetworks_mlps": 2.0,
}
"""Factors on the usual scale of a weight, by a part of its name; the first that fits counts."""

_PRESENCE_BIAS = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"


def seeded_weights(
    shapes: Mapping[str, torch.Size], presence_bias: float = 0.0
) -> dict[str, Tensor]:
    """Draw a full set of weights.

    Parameters
    ----------
    shapes : mapping of str to torch.Size
        Names and shapes, as the state dict of either network has them.
    presence_bias : float
        Bias of the object score: it decides in which frames objects are absent.

    Returns
    -------
    dict of str to Tensor, float32
    """
    weights = {name: _draw(name, tuple(shape)) for name, shape in shapes.items()}
    weights[_PRESENCE_BIAS] = torch.full((1,), presence_bias)
    return weights


def seeded_images(count: int, size: int, seed: int = 0) -> Tensor:
    """Frames with blobs that move and textures that stay, (T, 3, S, S), float32, normalised.

    Parameters
    ----------
    count : int
        Number of frames.
    size : int
        Side of each frame in pixels.
    seed : int
        Another seed is another movie.
    """
    generator = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    waves = torch.randn(6, 4, generator=generator)
    blobs = torch.randn(5, 5, generator=generator)
    frames = []
    for frame in range(count):
        channels = []
        for channel in range(3):
            image = sum(
                0.3 * torch.sin(9 * (a * x + b * y) + 3 * c + channel + d)
                for a, b, c, d in waves.tolist()
            )
            for cy, cx, vy, vx, strength in blobs.tolist():
                dy = y - 0.5 * cy - 0.03 * frame * vy
                dx = x - 0.5 * cx - 0.03 * frame * vx
                image = image + (1 + 0.3 * strength) * torch.exp(-(dy**2 + dx**2) / 0.03)
            channels.append(image)
        frames.append(torch.stack(channels))
    noise = 0.1 * torch.randn(count, 3, size, size, generator=generator)
    return torch.stack(frames) + noise


def _draw(name: str, shape: tuple[int, ...]) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if name.endswith(".gamma"):  # how much of a memory-fusing block is added
        return 0.5 + 0.1 * noise
    if name.endswith(".bias"):
        return 0.1 * noise
    if _TABLE.search(name):
        return noise
    if not name.endswith(".weight"):  # position maps and learned constants
        return 0.5 * noise
    if noise.ndim == 1:  # normalisation
        return 1 + 0.1 * noise
    return noise * _gain(name) / math.sqrt(_fan_in(name, shape))


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    if "output_upscaling" in name:  # transposed convolutions whose stride is their kernel
        return shape[0]
    return math.prod(shape[1:])


def _gain(name: str) -> float:
    return next((gain for part, gain in _GAINS.items() if part in name), 1.0)
