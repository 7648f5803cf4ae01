"""The live reference: building it, feeding it frames, and keeping its memory in float32.

Importing this module needs the peers' environment (``make parity``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sam2 import sam2_video_predictor
from sam2.build_sam import build_sam2_video_predictor
from tests.parity.seeding import seeded_weights
from torch import Tensor

from napari_sam2.model.config import PRESETS, SAM2Config

_LETTERS = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}


def build_reference(config: SAM2Config, size: int, presence_bias: float = 0.0) -> Any:
    """Build the reference's video predictor with key-seeded weights, on the CPU.

    Parameters
    ----------
    config : SAM2Config
        A published preset, which the reference's own configuration file then describes, or
        another shape, which is written over that of its smallest network.
    size : int
        Input side in pixels.
    presence_bias : float
        See :func:`seeded_weights`.
    """
    overrides = [f"++model.image_size={size}"]
    if config.name not in PRESETS:
        overrides += _overrides(config)
    predictor = build_sam2_video_predictor(
        _config_file(config), device="cpu", hydra_overrides_extra=overrides
    )
    shapes = {name: value.shape for name, value in predictor.state_dict().items()}
    predictor.load_state_dict(seeded_weights(shapes, presence_bias))
    # Without this the reference loses corrections; test_defects.py shows it.
    predictor.add_all_frames_to_correct_as_cond = True
    # It fills holes on a GPU only; elsewhere it warns on every frame and does nothing.
    predictor.fill_hole_area = 0
    return predictor


def open_state(predictor: Any, frames: Tensor) -> dict[str, Any]:
    """Open normalised frames (T, 3, S, S) of the network's size, which it only takes as files."""
    size = predictor.image_size

    def load(**_: object) -> tuple[Tensor, int, int]:
        return frames, size, size

    original = sam2_video_predictor.load_video_frames
    sam2_video_predictor.load_video_frames = load
    try:
        return predictor.init_state(video_path="frames in memory")
    finally:
        sam2_video_predictor.load_video_frames = original


class _FloatTorch:
    """The module ``torch``, but its bfloat16 is float32."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextmanager
def float_memory() -> Iterator[None]:
    """Keep the reference's memories in float32 inside this context.

    It rounds them to bfloat16 whatever the network runs in, which alone is an error of 4e-3 and
    would hide every other. The one module that rounds them sees another ``torch`` meanwhile.
    """
    sam2_video_predictor.torch = _FloatTorch()
    try:
        yield
    finally:
        sam2_video_predictor.torch = torch


@contextmanager
def quiet() -> Iterator[None]:
    """Stop the reference from drawing progress bars inside this context."""
    original = sam2_video_predictor.tqdm
    sam2_video_predictor.tqdm = lambda iterable, **_: iterable
    try:
        yield
    finally:
        sam2_video_predictor.tqdm = original


def _config_file(config: SAM2Config) -> str:
    folder = "sam2.1" if config.version == "2.1" else "sam2"
    size = config.name.split("-", maxsplit=1)[1] if config.name in PRESETS else "tiny"
    return f"configs/{folder}/{folder}_hiera_{_LETTERS[size]}.yaml"


def _overrides(config: SAM2Config) -> list[str]:
    hiera, hidden, memory = config.hiera, config.hidden_dim, config.memory_dim
    values = {
        "image_encoder.trunk.embed_dim": hiera.embed_dim,
        "image_encoder.trunk.num_heads": hiera.num_heads,
        "image_encoder.trunk.stages": list(hiera.stages),
        "image_encoder.trunk.global_att_blocks": list(hiera.global_blocks),
        "image_encoder.trunk.window_spec": list(hiera.window_spec),
        "image_encoder.trunk.window_pos_embed_bkg_spatial_size": list(hiera.position_grid),
        "image_encoder.neck.backbone_channel_list": list(reversed(hiera.channels)),
        "image_encoder.neck.d_model": hidden,
        "image_encoder.neck.position_encoding.num_pos_feats": hidden,
        "memory_attention.d_model": hidden,
        "memory_attention.num_layers": config.memory_layers,
        "memory_attention.layer.d_model": hidden,
        "memory_attention.layer.dim_feedforward": config.memory_ffn,
        "memory_attention.layer.self_attention.embedding_dim": hidden,
        "memory_attention.layer.cross_attention.embedding_dim": hidden,
        "memory_attention.layer.cross_attention.kv_in_dim": memory,
        "memory_encoder.in_dim": hidden,
        "memory_encoder.out_dim": memory,
        "memory_encoder.position_encoding.num_pos_feats": memory,
        "memory_encoder.mask_downsampler.embed_dim": hidden,
        "memory_encoder.fuser.layer.dim": hidden,
        "num_maskmem": config.num_maskmem,
        "max_obj_ptrs_in_encoder": config.max_object_pointers,
    }
    return [f"++model.{key}={value}".replace(" ", "") for key, value in values.items()]
