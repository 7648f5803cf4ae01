"""TIFF and OME-TIFF, page by page."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterator
from pathlib import Path

import tifffile
import zarr

from napari_sam2.io.axes import MovieArray

__all__ = ["read_tiff"]

_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its type number, where they are more than one (TIFF 6.0 and BigTIFF)."""


def read_tiff(path: Path) -> tuple[MovieArray, str | None]:
    """Open the first series of a TIFF at full size.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    array : zarr.Array
        As the file has it; pages are read when they are indexed.
    axes : str or None
        The axes of the metadata (OME, ImageJ, ...), None if there are none to trust.

    Raises
    ------
    ValueError
        If the file is no TIFF, or ends before its data do.
    """
    try:
        tiff = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, struct.error) as error:
        raise ValueError(f"{path} is no TIFF file: {error}; export it again") from error
    try:
        _check_complete(tiff, path)
        array: MovieArray = zarr.open_array(tiff.aszarr(series=0, level=0), mode="r")
        axes = _named_axes(tiff.series[0].levels[0].axes)
    except BaseException:
        tiff.close()
        raise
    # Nobody closes an array, so the file closes when the array goes.
    weakref.finalize(array, tiff.close)
    return array, axes


def _named_axes(axes: str) -> str | None:
    """Return the axes, with one unknown one (Q, I) taken for time; None where they say nothing."""
    unknown = [letter for letter in axes if letter in "QI"]
    if len(unknown) == 1 and "T" not in axes:
        return axes.replace(unknown[0], "T")
    return None if unknown else axes


def _check_complete(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse a file that was cut off: what its directories point at lies beyond its end."""
    size = tiff.filehandle.size
    try:
        pages = [tiff.pages[index] for index in {0, len(tiff.pages) - 1}]
    except (tifffile.TiffFileError, IndexError) as error:
        raise ValueError(f"{path} is truncated ({error}); copy or export it again") from error
    ends = [end for page in pages for end in _directory_ends(tiff, page.offset)]
    for page in pages:
        parts = zip(page.dataoffsets, page.databytecounts, strict=False)
        ends.extend(start + count for start, count in parts)
    series = tiff.series[0]
    if series.dataoffset is not None:
        ends.append(series.dataoffset + series.nbytes)
    if max(ends) > size:
        raise ValueError(
            f"{path} is truncated: it has {size} bytes and its data reach to byte {max(ends)}; "
            "copy or export it again"
        )


def _directory_ends(tiff: tifffile.TiffFile, offset: int) -> Iterator[int]:
    """Yield where the values of a page's directory end, and the offset of the page after it.

    tifffile only logs what is missing of these, and opens the rest as if it were the whole.
    """
    form, handle = tiff.tiff, tiff.filehandle
    handle.seek(offset)
    (count,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    raw = handle.read(count * form.tagsize + form.offsetsize)
    if len(raw) < count * form.tagsize + form.offsetsize:
        yield int(handle.size) + 1
        return
    entry = struct.Struct(form.byteorder + ("HHQQ" if form.is_bigtiff else "HHII"))
    for tag in range(count):
        _, kind, length, where = entry.unpack_from(raw, tag * form.tagsize)
        if length * _BYTES.get(kind, 1) > form.tagoffsetthreshold:
            yield where + length * _BYTES.get(kind, 1)
    yield struct.unpack(form.offsetformat, raw[-form.offsetsize :])[0]
