"""How the engine begins: a session on a movie, and as many threads as leave the window one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.predictor.frames import IntensityMapping
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.widgets.source import Movie


def open_session(movie: Movie) -> VideoSession:
    """Begin a session on a movie, which the network sees as the layer shows it."""
    from napari_sam2.predictor.session import VideoSession

    return VideoSession.open(movie.data, mapping=mapping_of(movie))


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
