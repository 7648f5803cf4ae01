"""Label stacks on disk: a zarr that fills frame by frame, a TIFF of the whole, and reading both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import DTypeLike, NDArray

from napari_sam2.io.axes import MovieArray
from napari_sam2.io.read import read_movie
from napari_sam2.io.read_zarr import has_metadata
from napari_sam2.io.writing import explain_full_disk, refuse_overwrite, writing_whole

__all__ = ["LabelStackWriter", "read_labels", "write_label_tiff"]


class LabelStackWriter:
    """Writes labels into a zarr array as they are made, one chunk a frame.

    Each frame is complete on disk when `write` returns, and is replaced as a whole when it is
    written again, so an interrupt, a crash or a full disk costs the frame in flight and no other.

    Parameters
    ----------
    path : str or Path
        The zarr folder to make.
    shape : tuple of int
        (T, H, W), or (T, Z, H, W) of a movie of stacks, whose planes are numbered as frames.
    dtype : dtype
        Unsigned integers; uint16 for object ids up to 65535, otherwise uint32.
    overwrite : bool
        Whether to replace an older zarr at `path`.

    Raises
    ------
    FileExistsError
        If there is something at `path` and `overwrite` is off, or it is no zarr.
    OSError
        If the disk is full.
    """

    def __init__(
        self,
        path: str | Path,
        shape: tuple[int, ...],
        dtype: DTypeLike = np.uint16,
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        refuse_overwrite(self.path, overwrite=overwrite)
        if self.path.exists() and not has_metadata(self.path):
            raise FileExistsError(f"{self.path} exists and is no zarr folder: choose another name")
        self._written: set[int] = set()
        with explain_full_disk(self.path, "nothing was written"):
            self._array: zarr.Array[Any] = zarr.create_array(
                str(self.path),
                shape=shape,
                chunks=(*(1 for _ in shape[:-2]), *shape[-2:]),
                dtype=np.dtype(dtype),
                dimension_names=tuple("tyx" if len(shape) == 3 else "tzyx"),
                fill_value=0,
                # An empty frame is a result too: its chunk says that the frame is done.
                config={"write_empty_chunks": True},
                overwrite=overwrite,
            )

    @property
    def array(self) -> zarr.Array[Any]:
        """The labels so far, (T, H, W); 0 on frames that were not written."""
        return self._array

    @property
    def frames_written(self) -> tuple[int, ...]:
        """The frames that are on disk, ascending."""
        return tuple(sorted(self._written))

    def write(self, frame: int, labels: NDArray[np.integer]) -> None:
        """Write, or replace, one frame.

        Parameters
        ----------
        frame : int
            0 to T - 1.
        labels : ndarray of int, shape (H, W)
            Object ids, 0 for the background.

        Raises
        ------
        ValueError
            If the frame or its size is not one of this stack, or an id does not fit its type.
        OSError
            If the disk is full; the frames written before are kept.
        """
        size = list(self._array.shape[-2:])
        frames = int(np.prod(self._array.shape[:-2]))
        if not 0 <= frame < frames or list(labels.shape) != size:
            raise ValueError(
                f"frame {frame} of shape {labels.shape} is not one of {frames} frames of "
                f"{tuple(size)} pixels"
            )
        largest = int(labels.max(initial=0))
        if largest > np.iinfo(self._array.dtype).max:
            raise ValueError(f"object {largest} does not fit {self._array.dtype}: use uint32")
        with explain_full_disk(self.path, f"{len(self._written)} written frames are kept there"):
            place = tuple(map(int, np.unravel_index(frame, self._array.shape[:-2])))
            self._array[place] = labels
        self._written.add(frame)

    def save_tiff(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Copy the stack into a TIFF, frame by frame; see `write_label_tiff`."""
        return write_label_tiff(path, self._array, overwrite=overwrite)


def write_label_tiff(path: str | Path, labels: MovieArray, *, overwrite: bool = False) -> Path:
    """Write a label stack as a compressed TIFF without holding it in memory.

    Parameters
    ----------
    path : str or Path
        The file to make; it appears only when it is complete.
    labels : array-like of unsigned integers, shape (T, H, W) or (T, Z, H, W)
        Numpy, zarr or dask.
    overwrite : bool
        Whether to replace an older file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    OSError
        If the disk is full; an older file is kept as it was.
    """
    path = Path(path)
    planes = (np.asarray(labels[place])[None] for place in np.ndindex(*labels.shape[:-2]))
    with writing_whole(path, overwrite=overwrite) as unfinished:
        tifffile.imwrite(
            unfinished,
            planes,
            shape=labels.shape,
            dtype=labels.dtype,
            compression="zlib",
            predictor=True,
            photometric="minisblack",
            bigtiff=int(np.prod(labels.shape)) * labels.dtype.itemsize > 3 * 2**30,
            metadata={"axes": "TYX" if len(labels.shape) == 3 else "TZYX"},
        )
    return path


def read_labels(path: str | Path) -> MovieArray:
    """Open a label stack, (T, H, W), in any form that `read_movie` knows.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is no stack of integers.
    """
    labels = read_movie(path)
    if len(labels.shape) != 3 or labels.dtype.kind not in "uib":
        raise ValueError(
            f"{path} holds {labels.dtype} of shape {labels.shape} and not labels: give integers, "
            "one id an object, (H, W) or (T, H, W)"
        )
    return labels
