"""A picture of many frames with the outlines of their objects: the result at one glance."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from napari_sam2.io.writing import refuse_overwrite, writing_whole

__all__ = ["Tile", "object_color", "write_contact_sheet"]

_GAP = 4
_GOLDEN = 0.618033988749895


@dataclass(frozen=True, slots=True)
class Tile:
    """One frame of a contact sheet.

    Parameters
    ----------
    frame : int
        The number that is written on it.
    image : ndarray, shape (H, W) or (H, W, C)
        The raw frame; of several channels at most three are shown.
    labels : ndarray of int, shape (H, W)
        Object ids, 0 for the background.
    """

    frame: int
    image: NDArray[np.generic]
    labels: NDArray[np.integer]


def object_color(object_id: int) -> tuple[int, int, int]:
    """Return the colour of an object, the same in every picture: red, green, blue, 0 to 255."""
    red, green, blue = colorsys.hsv_to_rgb(object_id * _GOLDEN % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def write_contact_sheet(
    path: str | Path,
    tiles: Sequence[Tile],
    *,
    tile_size: int = 320,
    overwrite: bool = False,
    columns: int | None = None,
) -> Path:
    """Write a PNG of frames side by side, each with outlined and numbered objects.

    Parameters
    ----------
    path : str or Path
        The file to make.
    tiles : sequence of Tile
        The frames in order, all of one size.
    tile_size : int
        Longer side of a tile in pixels; frames are enlarged or shrunk to it.
    overwrite : bool
        Whether to replace an older file.
    columns : int, optional
        Tiles in a row; a sheet of pleasant shape by default.

    Raises
    ------
    ValueError
        If there is no tile.
    FileExistsError
        If there is a file and `overwrite` is off.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one frame: choose some")
    path = Path(path)
    refuse_overwrite(path, overwrite=overwrite)
    low, high = _limits(tiles)
    pictures = [_draw(tile, low, high, tile_size) for tile in tiles]
    width, height = pictures[0].size
    columns = columns or _columns(len(pictures), width / height)
    rows = -(-len(pictures) // columns)
    size = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    sheet = Image.new("RGB", size, "white")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(picture, (column * (width + _GAP), row * (height + _GAP)))
    with writing_whole(path, overwrite=overwrite) as unfinished:
        sheet.save(unfinished, format="PNG")
    return path


def _columns(count: int, aspect: float) -> int:
    """Return how many tiles a row has: a sheet that is wider than high, with few empty places."""

    def badness(columns: int) -> float:
        rows = -(-count // columns)
        return float(
            abs(np.log(columns * aspect / rows / 1.5)) + 2 * (rows * columns - count) / count
        )

    return min(range(1, count + 1), key=badness)


def _limits(tiles: Sequence[Tile]) -> tuple[float, float]:
    """Return one black and one white level for all tiles, so that they can be compared."""
    sample = np.concatenate(
        [np.asarray(tile.image, dtype=np.float64)[::4, ::4].ravel() for tile in tiles]
    )
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(sample, (0.5, 99.8))
    return float(low), float(high) if high > low else float(low) + 1.0


def _draw(tile: Tile, low: float, high: float, size: int) -> Image.Image:
    """Return a tile as a picture: the frame, outlines, object numbers, the frame's number."""
    height, width = tile.labels.shape
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(_colours(tile.image, low, high)).resize(
        shape, Image.Resampling.BILINEAR
    )
    rows = np.minimum((np.arange(shape[1]) + 0.5) / scale, height - 1).astype(int)
    columns = np.minimum((np.arange(shape[0]) + 0.5) / scale, width - 1).astype(int)
    labels = tile.labels[np.ix_(rows, columns)]
    pixels = np.array(picture)
    outlines = np.where(find_boundaries(labels, mode="inner"), labels, 0)
    for object_id in np.unique(outlines[outlines > 0]):
        pixels[outlines == object_id] = object_color(int(object_id))
    drawn = Image.fromarray(pixels)
    _write_numbers(drawn, labels, tile.frame)
    return drawn


def _colours(image: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Return a raw frame as red, green, blue of 8 bits."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=low, posinf=high, neginf=low)
    grey = (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    planes = grey[..., None] if grey.ndim == 2 else grey[..., :3]
    if planes.shape[-1] == 3:
        return planes
    return np.repeat(planes[..., :1], 3, axis=-1)


def _write_numbers(picture: Image.Image, labels: NDArray[np.integer], frame: int) -> None:
    """Write the ids of the objects at their centres and the frame's number into the corner."""
    pen = ImageDraw.Draw(picture)
    small, large = ImageFont.load_default(size=11), ImageFont.load_default(size=16)
    for object_id in np.unique(labels[labels > 0]):
        ys, xs = np.nonzero(labels == object_id)
        place = (float(xs.mean()), float(ys.mean()))
        color = object_color(int(object_id))
        pen.text(
            place,
            str(object_id),
            fill=color,
            font=small,
            anchor="mm",
            stroke_width=1,
            stroke_fill="black",
        )
    pen.text((5, 3), f"t = {frame}", fill="white", font=large, stroke_width=2, stroke_fill="black")
