"""Picture strips: how the best and the worst masklets went, beside the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

from napari_sam2.evaluation.agreement import region_and_boundary
from napari_sam2.evaluation.protocol import Followed
from napari_sam2.masklets import MaskRecord

TILES = 8
TILE = 128
TRUTH_COLOR = (0, 220, 90)
ANSWER_COLOR = (255, 60, 200)
_GAP = 2


def write_strips(folder: Path, name: str, kept: list[Followed], count: int = 2) -> list[Path]:
    """Draw the best and the worst masklets of a set.

    Parameters
    ----------
    folder : Path
        Gets ``NAME_best.png`` and ``NAME_worst.png``.
    name : str
    kept : list of Followed
        What the network followed from masks.
    count : int
        Masklets in each picture, one a row.

    Returns
    -------
    list of Path
        The pictures; none where nothing was followed.
    """
    ranked = sorted(
        (
            (_mean_iou(followed, object_id), index, object_id)
            for index, followed in enumerate(kept)
            for object_id in followed.task.object_ids
            if followed.task.frames_of(object_id)
        ),
        reverse=True,
    )
    paths = []
    for which, chosen in (("best", ranked[:count]), ("worst", ranked[::-1][:count])):
        if chosen:
            rows = [_strip(kept[index], object_id, j) for j, index, object_id in chosen]
            path = folder / f"{name}_{which}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _stack(rows).save(path)
            paths.append(path)
    return paths


def _mean_iou(followed: Followed, object_id: int) -> float:
    """Return mean J of one masklet."""
    movie = followed.task.movie
    values = []
    for frame in followed.task.frames_of(object_id):
        record = followed.masklets.record(object_id, frame)
        if record is not None:
            truth = movie.record(object_id, frame)
            values.append(region_and_boundary(record, truth, movie.frame_shape)[0])
    return float(np.mean(values)) if values else 0.0


def _strip(followed: Followed, object_id: int, mean: float) -> Image.Image:
    """Draw one masklet on frames spread over its life: truth green, answer magenta."""
    task = followed.task
    frames = (task.starts[object_id], *task.frames_of(object_id))
    places = np.linspace(0, len(frames) - 1, min(TILES, len(frames))).round().astype(int)
    strip = Image.new("RGB", (TILES * (TILE + _GAP), TILE), "white")
    for column, place in enumerate(dict.fromkeys(places.tolist())):
        tile = _tile(followed, object_id, frames[place])
        strip.paste(tile, (column * (TILE + _GAP), 0))
    label = f"{task.movie.name} object {object_id}: J {mean:.2f}"
    pen = ImageDraw.Draw(strip)
    pen.text((3, TILE - 14), label, fill="white", stroke_width=1, stroke_fill="black")
    return strip


def _tile(followed: Followed, object_id: int, frame: int) -> Image.Image:
    """Draw a window around the object on one frame."""
    movie = followed.task.movie
    truth = movie.record(object_id, frame)
    answer = followed.masklets.record(object_id, frame) or truth
    y0, x0, side = _window(truth, answer, movie.frame_shape)
    crop = np.s_[y0 : y0 + side, x0 : x0 + side]
    picture = Image.fromarray(_to_bytes(movie.images[frame][crop]))
    tile = np.array(picture.convert("RGB").resize((TILE, TILE), Image.Resampling.BILINEAR))
    for record, color in ((truth, TRUTH_COLOR), (answer, ANSWER_COLOR)):
        mask = Image.fromarray(record.mask(movie.frame_shape)[crop])
        large = np.array(mask.resize((TILE, TILE), Image.Resampling.NEAREST))
        tile[find_boundaries(large, mode="inner")] = color
    drawn = Image.fromarray(tile)
    pen = ImageDraw.Draw(drawn)
    pen.text((3, 2), f"t = {frame}", fill="white", stroke_width=1, stroke_fill="black")
    return drawn


def _window(truth: MaskRecord, answer: MaskRecord, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Return y, x and the side of a square that holds both masks with some ground."""
    boxes = np.array([record.bbox for record in (truth, answer) if record.visible])
    if not boxes.size:
        return 0, 0, min(shape)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = int(min(max(48, 1.8 * (high - low).max()), *shape))
    corner = np.clip((low + high - side) // 2, 0, np.subtract(shape, side))
    return int(corner[0]), int(corner[1]), side


def _to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Map a window to 8 bits between its own percentiles."""
    values = image.astype(np.float32)
    low, high = np.percentile(values, [0.5, 99.8])
    return (255 * np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)).astype(np.uint8)


def _stack(rows: list[Image.Image]) -> Image.Image:
    """Put strips under one another."""
    size = (rows[0].width, len(rows) * (TILE + _GAP) - _GAP)
    sheet = Image.new("RGB", size, "white")
    for index, row in enumerate(rows):
        sheet.paste(row, (0, index * (TILE + _GAP)))
    return sheet
