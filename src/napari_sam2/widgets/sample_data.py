"""Movies to try the plugin on: two are made on the spot, one is fetched when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LayerData = tuple[Any, dict[str, Any], str]

PUBLIC_MOVIE = "https://data.celltrackingchallenge.net/training-datasets/PhC-C2DH-U373.zip"
PUBLIC_SHA256 = "b18185c18fce54e8eeb93e4bbb9b201d757add9409bbf2283b8114185a11bc9e"
"""Of the archive as others have published it too; what arrives is checked against it."""


def dividing_cells() -> list[LayerData]:
    """Return a movie of moving, dividing nuclei; napari calls it for File > Open Sample."""
    from napari_sam2.training.synthetic import dividing_cells as synthesise

    return _layers(synthesise(frames=40, shape=(256, 256), seed=0).images, "Dividing cells", "t")


def nuclei_stack() -> list[LayerData]:
    """Return a z-stack of round nuclei, slice by slice."""
    from napari_sam2.training.synthetic import random_movie

    stack = random_movie(seed=4, frames=32, shape=(224, 224), kind="embryo", bits=12)
    return _layers(stack.images, "Stack of nuclei", "z")


def glioblastoma_cells() -> list[LayerData]:
    """Return a public movie: U373 cells in phase contrast, Cell Tracking Challenge, 115 frames.

    The archive is fetched once and kept in the user's cache. Who uses the movie in a publication
    cites the Challenge (celltrackingchallenge.net).

    Raises
    ------
    ConnectionError
        If it cannot be fetched; says where to put the archive by hand.
    """
    from napari_sam2.io.read import read_movie

    movie = read_movie(fetch_public_movie() / "01")
    return [(movie, {"name": "U373 cells", "axis_labels": ("t", "y", "x")}, "image")]


def fetch_public_movie() -> Path:
    """Return the folder of the public movie, fetched and unpacked if it is not there."""
    import pooch
    import requests

    folder = Path(pooch.os_cache("napari-sam2")) / "samples"
    archive = PUBLIC_MOVIE.rsplit("/", 1)[-1]
    try:
        pooch.retrieve(
            PUBLIC_MOVIE,
            known_hash=PUBLIC_SHA256,
            path=folder,
            fname=archive,
            processor=pooch.Unzip(extract_dir="."),
        )
    except requests.RequestException as error:
        raise ConnectionError(
            f"{PUBLIC_MOVIE} cannot be reached ({type(error).__name__}; is this machine online?): "
            f"download it elsewhere and put it at {folder / archive}, or open the synthetic "
            "samples, which need no connection"
        ) from error
    return folder / Path(archive).stem


def _layers(images: NDArray, name: str, first: str) -> list[LayerData]:
    properties = {
        "name": name,
        "axis_labels": (first, "y", "x"),
        "contrast_limits": (float(images.min()), float(images.max())),
    }
    return [(images, properties, "image")]
