"""From options to a session and an engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_sam2.cli.arguments import parse_channels
from napari_sam2.cli.console import downloading, say

if TYPE_CHECKING:
    from napari_sam2.io.axes import MovieArray
    from napari_sam2.model.sam2 import SAM2
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
    view: Literal["auto", "whole", "follow"] = "auto",
) -> tuple[VideoPredictor, dict[str, Any]]:
    """Return the engine, and what to note about its network."""
    from napari_sam2.predictor.options import PredictorOptions

    # Before PyTorch is loaded: threads that wait actively take a busy machine's cores from the
    # very threads that they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from napari_sam2.predictor.runtime import Runtime, keep_heap
    from napari_sam2.predictor.video import VideoPredictor

    runtime = Runtime.auto(device, dtype)
    keep_heap()
    network = _load_network(model)
    _leave_a_core(network)
    say(f"network {network.config.name} on {runtime.describe()}")
    predictor = VideoPredictor(network, runtime, PredictorOptions(view=view))
    return predictor, {"model": _describe(model, network)}


def _leave_a_core(network: SAM2) -> None:
    """Run a small network on one thread fewer than there are cores, unless told otherwise.

    Its steps are so short that two threads are no faster than one, and on a busy machine they
    wait for each other many times longer than they compute.
    """
    import torch

    if network.config.follows_by_default and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


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


def _describe(name: str, network: SAM2) -> dict[str, Any]:
    """Return name, file and hash of a network, so that a result can be made again."""
    import pooch

    from napari_sam2.model.checkpoint import available_models, model_path

    path = model_path(name) if name in available_models() else Path(name).expanduser()
    return {
        "name": network.config.name,
        "file": path.name,
        "sha256": pooch.file_hash(str(path), alg="sha256"),
    }
