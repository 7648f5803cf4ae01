"""Movies to try the plugin on, made on the spot: no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LayerData = tuple["NDArray", dict[str, Any], str]


def dividing_cells() -> list[LayerData]:
    """Return a movie of moving, dividing nuclei; napari calls it for File > Open Sample."""
    from napari_sam2.training.synthetic import dividing_cells as synthesise

    movie = synthesise(frames=40, shape=(256, 256), seed=0)
    high = float(movie.images.max())
    properties = {
        "name": "Dividing cells",
        "axis_labels": ("t", "y", "x"),
        "contrast_limits": (float(movie.images.min()), high),
    }
    return [(movie.images, properties, "image")]
