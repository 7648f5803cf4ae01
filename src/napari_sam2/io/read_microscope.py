"""Files of microscopes (ND2, CZI, LIF), by BioIO: an extra, since its readers are large."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from napari_sam2.io.axes import MovieArray

__all__ = ["MICROSCOPES", "read_microscope"]

MICROSCOPES = {".nd2": "bioio_nd2", ".czi": "bioio_czi", ".lif": "bioio_lif"}
"""Endings, and the module that reads each."""


def read_microscope(path: Path) -> tuple[MovieArray, str]:
    """Open the first scene of a file, frame by frame.

    Parameters
    ----------
    path : Path
        An existing file with an ending of `MICROSCOPES`.

    Returns
    -------
    array : dask.array.Array
        (T, C, Z, Y, X).
    axes : str
        Its axes.

    Raises
    ------
    RuntimeError
        If the extra ``microscopes`` is not installed.
    ValueError
        If the file is damaged.
    """
    module = MICROSCOPES[path.suffix.lower()]
    if find_spec("bioio") is None or find_spec(module) is None:
        raise RuntimeError(
            f"{path.name} is read by BioIO ({module.replace('_', '-')}): install it with "
            "pip install 'napari-sam2[microscopes]', or export the movie as OME-TIFF or OME-Zarr"
        )
    try:
        image = import_module("bioio").BioImage(path, reader=import_module(module).Reader)
        array: MovieArray = image.dask_data
        return array, str(image.dims.order)
    except Exception as error:
        # Each reader has errors of its own.
        raise ValueError(f"{path} cannot be read by BioIO: {error}") from error
