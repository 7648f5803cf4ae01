"""What a session says beside prompts and masks: the network, how the movie is shown, options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.widgets.source import movie_of

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam2.widgets.models import Models


def settings_of(image: Image, models: Models) -> dict[str, Any]:
    """Return what to write into a session, as JSON."""
    shown = movie_of(image)
    return {
        "model": models.name,
        "model_sha256": models.sha256,
        "device": models.device,
        "options": dataclasses.asdict(PredictorOptions()),
        "intensities": {
            "low": list(shown.low),
            "high": list(shown.high),
            "channels": list(shown.channels),
            "gamma": list(shown.gamma),
        },
        "axes": shown.axes,
    }


def restore(image: Image, settings: Mapping[str, Any]) -> None:
    """Show a movie with the contrast that a session was made with; the rest is left alone."""
    shown = settings.get("intensities") or {}
    low, high = shown.get("low", ()), shown.get("high", ())
    if image.rgb or len(low) != 1 or len(high) != 1 or not low[0] < high[0]:
        return
    if tuple(image.contrast_limits) != (low[0], high[0]):
        image.contrast_limits = (float(low[0]), float(high[0]))
