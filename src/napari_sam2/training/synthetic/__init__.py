"""Synthetic microscopy movies with exact masks and lineage; the package's ground truth."""

from napari_sam2.training.synthetic.movie import (
    GENERATOR_VERSION,
    SyntheticMovie,
    dividing_cells,
    random_movie,
)

__all__ = ["GENERATOR_VERSION", "SyntheticMovie", "dividing_cells", "random_movie"]
