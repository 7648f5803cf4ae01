"""From options to a session and an engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from napari_sam2.cli.arguments import parse_channels
from napari_sam2.cli.console import downloading, say

if TYPE_CHECKING:
    from napari_sam2.io.axes import MovieArray
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictor.options import PredictorOptions
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor

__all__ = ["load_predictor", "open_session"]


def open_session(
    movie: MovieArray,
    channels: str | None = None,
    low: float | None = None,
    high: float | None = None,
    axes: str | None = None,
) -> VideoSession:
    """Open a movie with the intensities that are asked for; percentiles where they are not."""
    from napari_sam2.predictor.frames import ArrayFrames, IntensityMapping
    from napari_sam2.predictor.session import VideoSession

    frames = ArrayFrames(movie, axes)
    found = IntensityMapping.from_percentiles(frames, channels=parse_channels(channels))
    count = len(found.low)
    mapping = IntensityMapping(
        found.low if low is None else (low,) * count,
        found.high if high is None else (high,) * count,
        found.channels,
    )
    return VideoSession.open(frames, mapping=mapping)


def load_predictor(
    model: str,
    device: str | None,
    dtype: str | None,
    options: PredictorOptions | None = None,
) -> tuple[VideoPredictor, dict[str, Any]]:
    """Return the engine, and what to note about its network."""
    # Before PyTorch is loaded: threads that wait actively take a busy machine's cores from the
    # very threads that they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from napari_sam2.batch.network import describe_network, leave_a_core
    from napari_sam2.predictor.runtime import Runtime, keep_heap
    from napari_sam2.predictor.video import VideoPredictor

    runtime = Runtime.auto(device, dtype)
    keep_heap()
    network = _load_network(model)
    leave_a_core(network)
    say(f"network {network.config.name} on {runtime.describe()}")
    predictor = VideoPredictor(network, runtime, options)
    return predictor, {"model": describe_network(model, network)}


def _load_network(name: str) -> SAM2:
    """Load a network, with a bar if it has to be fetched."""
    from napari_sam2.model.checkpoint import REGISTRY, load_model

    if name not in REGISTRY or REGISTRY[name].path().is_file():
        return load_model(name)
    with downloading(name) as progress:
        task = progress.add_task("", total=REGISTRY[name].size)
        return load_model(
            name, progress=lambda done, size: progress.update(task, completed=done, total=size)
        )
