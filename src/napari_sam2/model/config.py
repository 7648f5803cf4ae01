"""Hyper-parameters of the network: one frozen dataclass, a preset for every published size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

IMAGE_MEAN = (0.485, 0.456, 0.406)
"""Per-channel RGB mean (ImageNet) that the official checkpoints were trained with."""

IMAGE_STD = (0.229, 0.224, 0.225)
"""Per-channel RGB standard deviation (ImageNet)."""

STRIDE = 16
"""Pixels of input per feature cell that memory attention and the decoder work on."""

Version = Literal["2.0", "2.1"]


@dataclass(frozen=True, slots=True)
class HieraConfig:
    """Shape of the hierarchical image encoder trunk.

    Attributes
    ----------
    embed_dim : int
        Channels of the first stage; every further stage doubles them.
    num_heads : int
        Attention heads of the first stage; every further stage doubles them.
    stages : tuple of 4 int
        Number of blocks of each stage.
    global_blocks : tuple of int
        Indices of the blocks that attend over the whole map instead of windows.
    window_spec : tuple of 4 int
        Window side of each stage, in tokens of that stage.
    position_grid : tuple of 2 int
        Size of the learned background position map before it is interpolated.
    """

    embed_dim: int = 96
    num_heads: int = 1
    stages: tuple[int, int, int, int] = (1, 2, 7, 2)
    global_blocks: tuple[int, ...] = (5, 7, 9)
    window_spec: tuple[int, int, int, int] = (8, 4, 14, 7)
    position_grid: tuple[int, int] = (7, 7)

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the four stages, finest first."""
        width = self.embed_dim
        return (width, 2 * width, 4 * width, 8 * width)


@dataclass(frozen=True, slots=True)
class SAM2Config:
    """Everything that decides the parameters and the arithmetic of one network.

    Attributes
    ----------
    name : str
        Name under which the preset is listed.
    version : {"2.0", "2.1"}
        2.1 adds a learned embedding for absent objects to the memory and the temporal distance
        of object pointers.
    input_size : int
        Side in pixels of the square input the network was trained on. Other sizes run too, in
        multiples of 32.
    hidden_dim, memory_dim : int
        Channels of the frame embedding and of a spatial memory.
    memory_layers, memory_ffn : int
        Depth of memory attention and width of its feed-forward layers.
    decoder_mlp : int
        Width of the feed-forward layers of the two-way transformer.
    num_maskmem : int
        Spatial memories an object is conditioned on beyond the prompted ones, plus one.
    max_object_pointers : int
        Frames whose object pointers are attended to.
    pointer_time_span : int or None
        Frames that normalise the temporal distance of pointers. None follows the reference,
        where it is the length of the movie up to ``max_object_pointers``, minus one.
    follows_by_default : bool
        Whether the network is meant to see objects through views that follow them, rather than
        whole frames.
    has_judge : bool
        Whether `napari_sam2.model.judge` reads the features of the network.
    """

    name: str
    hiera: HieraConfig = field(default_factory=HieraConfig)
    version: Version = "2.1"
    input_size: int = 1024
    hidden_dim: int = 256
    memory_dim: int = 64
    memory_layers: int = 4
    memory_ffn: int = 2048
    decoder_mlp: int = 2048
    num_maskmem: int = 7
    max_object_pointers: int = 16
    pointer_time_span: int | None = None
    follows_by_default: bool = False
    has_judge: bool = False

    @property
    def has_no_object_embedding(self) -> bool:
        """Whether absent objects get an embedding of their own in the memory (2.1)."""
        return self.version == "2.1"

    @property
    def encodes_pointer_time(self) -> bool:
        """Whether object pointers carry their temporal distance (2.1)."""
        return self.version == "2.1"

    def pointer_span(self, num_frames: int) -> float:
        """Return the frames that normalise distances of object pointers in a movie of so many."""
        if self.pointer_time_span is not None:
            return float(self.pointer_time_span)
        return float(max(min(num_frames, self.max_object_pointers) - 1, 1))


_PUBLISHED = {
    "tiny": HieraConfig(),
    "small": HieraConfig(stages=(1, 2, 11, 2), global_blocks=(7, 10, 13)),
    "base-plus": HieraConfig(
        embed_dim=112,
        num_heads=2,
        stages=(2, 3, 16, 3),
        global_blocks=(12, 16, 20),
        position_grid=(14, 14),
    ),
    "large": HieraConfig(
        embed_dim=144,
        num_heads=2,
        stages=(2, 6, 36, 4),
        global_blocks=(23, 33, 43),
        window_spec=(8, 4, 16, 8),
    ),
}

BUNDLED = SAM2Config(
    name="bundled",
    hiera=HieraConfig(
        embed_dim=48,
        stages=(1, 2, 4, 1),
        global_blocks=(4, 6),
        window_spec=(8, 4, 8, 4),
    ),
    input_size=256,
    hidden_dim=128,
    memory_layers=2,
    memory_ffn=512,
    decoder_mlp=512,
    num_maskmem=4,
    max_object_pointers=8,
    pointer_time_span=7,
    follows_by_default=True,
    has_judge=True,
)
"""The network that ships in the package, trained by this project on microscopy."""


def _presets() -> dict[str, SAM2Config]:
    presets = {BUNDLED.name: BUNDLED}
    for size, hiera in _PUBLISHED.items():
        newest = SAM2Config(name=f"sam2.1-{size}", hiera=hiera)
        presets[newest.name] = newest
        presets[f"sam2-{size}"] = replace(newest, name=f"sam2-{size}", version="2.0")
    return presets


PRESETS: dict[str, SAM2Config] = _presets()
"""Every network this package knows by name."""
