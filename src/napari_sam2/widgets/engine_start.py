"""How the engine begins: a network, a session on a movie, and threads that leave a core free."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_sam2.widgets.messages import ModelReady, Tested

if TYPE_CHECKING:
    from napari_sam2.predictor.frames import IntensityMapping
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.widgets.source import Movie


def load_predictor(name: str, device: str | None, dtype: str | None) -> VideoPredictor:
    """Load a network, downloading it when it is not there yet."""
    # Torch is imported here, on the worker's thread, so that the window need not wait for it.
    from napari_sam2.model.checkpoint import load_model
    from napari_sam2.predictor.runtime import Runtime
    from napari_sam2.predictor.video import VideoPredictor

    leave_a_core_to_the_window()
    runtime = Runtime.auto(device, dtype)
    return VideoPredictor(load_model(name), runtime=runtime)


def ready(name: str, predictor: VideoPredictor, seconds: float) -> ModelReady:
    """Return the news that a network is loaded, which took so many seconds."""
    from napari_sam2.model.checkpoint import weights_hash
    from napari_sam2.predictor.runtime import devices

    here = predictor.runtime.describe()
    return ModelReady(name, here, seconds, weights_hash(name), devices())


def tested(name: str, predictor: VideoPredictor | None) -> Tested:
    """Measure a network on this machine; one must have been loaded."""
    from napari_sam2.widgets.self_test import measure

    if predictor is None:
        raise RuntimeError("no network is loaded; choose one first")
    return Tested(name, measure(predictor))


def open_session(movie: Movie, cache_bytes: int | None = None) -> VideoSession:
    """Begin a session on a movie, which the network sees as the layer shows it."""
    from napari_sam2.predictor.session import VideoSession

    session = VideoSession.open(movie.data, mapping=mapping_of(movie))
    if cache_bytes is not None:
        session.features.resize(cache_bytes)
    return session


def mapping_of(movie: Movie) -> IntensityMapping:
    """Return what turns a movie's values into what its layer shows."""
    from napari_sam2.predictor.frames import IntensityMapping

    return IntensityMapping(movie.low, movie.high, movie.channels, movie.gamma)


def leave_a_core_to_the_window() -> None:
    """Let the network use one thread fewer than there are cores.

    Its threads spin while they wait for one another: where drawing takes one of their cores, a
    frame can take many times as long. Other threads that are running keep their number.
    """
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
