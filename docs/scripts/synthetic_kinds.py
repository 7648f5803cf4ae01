"""Draw the picture of the manual that shows one synthetic movie of each kind.

``python docs/scripts/synthetic_kinds.py`` writes ``docs/images/synthetic-kinds.png``, or the file
that is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_sam2.io.contact_sheet import object_color
from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells, random_movie

PICTURE = Path(__file__).resolve().parents[1] / "images" / "synthetic-kinds.png"
SIDE, COLUMNS, FRAME = 192, 4, 1
#: Seeds whose movies show what is typical of a kind.
SEEDS = {
    "nuclei": 501, "embryo": 504, "whole": 504, "sheet": 506, "membranes": 505, "phase": 505,
    "dic": 505, "brightfield": 501, "rods": 501, "neurites": 502, "organelles": 501,
}  # fmt: skip


def draw_tile(movie: SyntheticMovie, name: str) -> Image.Image:
    """Draw a frame; its right half has the outlines of the objects."""
    image, labels = movie.images[FRAME].astype(float), movie.labels[FRAME]
    low, high = np.percentile(image, (0.5, 99.8))
    grey = np.clip((image - low) / (high - low), 0, 1) * 255
    tile = np.repeat(grey.astype(np.uint8)[..., None], 3, 2)
    edge = _inner_edge(labels)
    edge[:, : SIDE // 2] = False
    for number in np.unique(labels[edge]):
        tile[edge & (labels == number)] = object_color(int(number))
    picture = Image.fromarray(tile)
    pen = ImageDraw.Draw(picture)
    pen.text((5, 4), name, fill=(255, 255, 255), stroke_width=2, stroke_fill=(0, 0, 0))
    return picture


def _inner_edge(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Pixels of objects beside pixels that are not of the same object."""
    padded = np.pad(labels, 1, mode="edge")
    height, width = labels.shape
    around = [
        padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    return np.asarray(np.any([labels != other for other in around], axis=0) & (labels > 0))


def main(path: Path) -> None:
    """Draw all kinds and the sample movie."""
    size = (SIDE, SIDE)
    tiles = [draw_tile(random_movie(s, 3, size, kind), kind) for kind, s in SEEDS.items()]
    tiles.insert(0, draw_tile(dividing_cells(3, size), "dividing_cells"))
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % COLUMNS * SIDE, index // COLUMNS * SIDE))
    # Few colours: a picture full of noise is large otherwise.
    sheet.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
