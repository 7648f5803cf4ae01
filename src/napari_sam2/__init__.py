"""Click a cell, track it through the movie: SAM 2 for microscopy.

The names below are all that most scripts need; everything else is reached by its module. They are
imported when they are first used, so that ``import napari_sam2`` costs nothing and the parts that
need no network run without PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.model.checkpoint import load_model
    from napari_sam2.predictor.image import ImagePredictor
    from napari_sam2.predictor.runtime import Runtime
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

__version__ = "0.1.0"

__all__ = [
    "BoxPrompt",
    "ImagePredictor",
    "MaskPrompt",
    "PointPrompt",
    "Runtime",
    "VideoPredictor",
    "VideoSession",
    "load_model",
]

_HOMES = {
    "BoxPrompt": "napari_sam2.prompts",
    "ImagePredictor": "napari_sam2.predictor.image",
    "MaskPrompt": "napari_sam2.prompts",
    "PointPrompt": "napari_sam2.prompts",
    "Runtime": "napari_sam2.predictor.runtime",
    "VideoPredictor": "napari_sam2.predictor.video",
    "VideoSession": "napari_sam2.predictor.session",
    "load_model": "napari_sam2.model.checkpoint",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'napari_sam2' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
