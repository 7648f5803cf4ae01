"""The network of a process: loaded once, whatever number of movies it sees."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.video import VideoPredictor

__all__ = ["describe_network", "leave_a_core", "predictor_of"]


@lru_cache(maxsize=1)
def predictor_of(
    model: str, device: str | None, dtype: str | None, options: PredictorOptions
) -> VideoPredictor:
    """Return the engine with a network; the last one is kept, since movies mostly share it.

    Raises
    ------
    ValueError
        If there is no such network.
    RuntimeError
        If the device is not there.
    """
    from napari_sam2.model.checkpoint import load_model
    from napari_sam2.predictor.runtime import Runtime, keep_heap

    runtime = Runtime.auto(device, dtype)
    keep_heap()
    network = load_model(model)
    leave_a_core(network)
    return VideoPredictor(network, runtime, options)


def leave_a_core(network: SAM2) -> None:
    """Run a small network on one thread fewer than there are cores, unless told otherwise.

    Its steps are so short that two threads are no faster than one, and on a busy machine they
    wait for each other many times longer than they compute.
    """
    import torch

    if network.config.follows_by_default and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def describe_network(name: str, network: SAM2) -> dict[str, Any]:
    """Return name, file and hash of a network, so that a result can be made again."""
    import pooch

    from napari_sam2.model.checkpoint import available_models, model_path

    path = model_path(name) if name in available_models() else Path(name).expanduser()
    return {
        "name": network.config.name,
        "file": path.name,
        "sha256": pooch.file_hash(str(path), alg="sha256"),
    }
