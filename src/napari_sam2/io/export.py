"""Objects out of this package, in the form that the next tool reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.tracks import write_napari_tracks
from napari_sam2.io.write_coco import write_coco
from napari_sam2.io.write_ctc import write_ctc
from napari_sam2.io.write_geff import write_geff
from napari_sam2.io.write_ome_tiff import write_ome_tiff
from napari_sam2.io.write_ome_zarr import write_ome_zarr
from napari_sam2.io.write_tables import write_csv, write_parquet
from napari_sam2.io.write_trackmate import write_trackmate
from napari_sam2.masklets import MaskletSet

__all__ = ["FORMATS", "Exported", "Format", "export", "format_of"]


class Writer(Protocol):
    """Writes objects, and says what the format could not hold."""

    def __call__(
        self,
        objects: TrackedObjects | MaskletSet,
        path: str | Path,
        *,
        overwrite: bool = ...,
        watch: Callable[[int, int], None] = ...,
    ) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write objects.

    Attributes
    ----------
    name : str
        By which it is asked for.
    endings : tuple of str
        How the names of such files end, in small letters.
    about : str
        A few words for lists.
    write : callable
    """

    name: str
    endings: tuple[str, ...]
    about: str
    write: Writer


FORMATS = {
    one.name: one
    for one in (
        Format("ctc", ("_res", ".ctc"), "Cell Tracking Challenge folder", write_ctc),
        Format("geff", (".geff",), "GEFF graph, masks beside it", write_geff),
        Format("ome-zarr", (".zarr",), "OME-Zarr labels beside the image", write_ome_zarr),
        Format("tiff", (".tif", ".tiff"), "OME-TIFF labels", write_ome_tiff),
        Format("csv", (".csv",), "Measurements as CSV", write_csv),
        Format("parquet", (".parquet",), "Measurements as Parquet", write_parquet),
        Format("coco", (".json",), "COCO masks (RLE)", write_coco),
        Format("trackmate", (".xml",), "TrackMate XML", write_trackmate),
        Format("napari-tracks", (".tracks.csv",), "napari Tracks as CSV", write_napari_tracks),
    )
}
"""Every format by its name."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : Path
    format : str
    notes : tuple of str
        What the format could not hold, and what else is worth knowing.
    """

    path: Path
    format: str
    notes: tuple[str, ...] = ()


def format_of(path: str | Path, name: str | None = None) -> Format:
    """Return the format of a name, or that by which a path ends, the longest ending first.

    Raises
    ------
    ValueError
        If there is none such.
    """
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
        return FORMATS[name]
    lower = Path(path).name.lower()
    fitting = [
        (len(ending), one.name)
        for one in FORMATS.values()
        for ending in one.endings
        if lower.endswith(ending)
    ]
    if not fitting:
        endings = ", ".join(ending for one in FORMATS.values() for ending in one.endings)
        raise ValueError(
            f"the name {Path(path).name!r} does not say which format is meant: let it end with one "
            f"of {endings}, or name the format"
        )
    return FORMATS[max(fitting)[1]]


def export(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write objects to a file or folder, frame by frame.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
        What `open_tracked` reads from a session or results; or masks alone.
    path : str or Path
        What to write.
    format : str, optional
        A name in `FORMATS`; by the ending of `path` otherwise.
    overwrite : bool
        Whether to replace what was written before; what others wrote is never replaced.
    watch : callable
        Called now and then with the steps done and the steps in all; what it raises ends the
        export and leaves nothing behind.

    Returns
    -------
    Exported

    Raises
    ------
    ValueError
        If there is nothing to export, or no such format.
    FileExistsError
        If there is something at `path` that may not be replaced.
    RuntimeError
        If a library is missing.
    OSError
        If the disk is full; no half file is left.
    """
    chosen = format_of(path, format)
    objects = TrackedObjects.of(objects)
    if not objects.masks.object_ids():
        raise ValueError(
            "there is nothing to export: no object has a mask; track or paint one first"
        )
    target = Path(path).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    notes = chosen.write(objects, target, overwrite=overwrite, watch=watch)
    return Exported(target, chosen.name, (*objects.notes, *notes))
