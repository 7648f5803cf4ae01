"""The small networks of the recorded comparison, and what every comparison shares."""

from __future__ import annotations

from dataclasses import replace

from napari_sam2.model.config import HieraConfig, SAM2Config

RECORDED_SIZE = 256
"""Input side in pixels of the recorded runs."""

PRESENCE_BIAS = 2.75
"""Bias of the object score with which objects vanish on some frames of the run and come back."""

_SMALL = SAM2Config(
    name="small-2.1",
    # Windows of 14 on a map of 16: the padding of windows takes part, as in the published sizes.
    hiera=HieraConfig(
        embed_dim=16, stages=(1, 2, 3, 1), global_blocks=(4,), window_spec=(8, 4, 14, 7)
    ),
    input_size=RECORDED_SIZE,
    hidden_dim=64,
    memory_dim=16,
    memory_layers=2,
    memory_ffn=128,
    num_maskmem=4,
    # Fewer pointers than frames, so that the limit is reached.
    max_object_pointers=6,
)

SMALL: dict[str, SAM2Config] = {
    "2.1": _SMALL,
    "2.0": replace(_SMALL, name="small-2.0", version="2.0"),
}
"""The reference's architecture in 1.5 million parameters, both versions."""
