"""``python -m napari_sam2.widgets.show_result MOVIE FOLDER``: napari on the results of a job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.read import read_movie
from napari_sam2.io.tracks import read_tracks

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["add_results"]


def add_results(viewer: ViewerModel, movie: str | Path, folder: str | Path) -> None:
    """Add a movie and the labels and tracks that a job wrote as layers.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers go.
    movie : str or Path
        Anything that `read_movie` opens.
    folder : str or Path
        What ``napari-sam2 track`` or ``demo`` wrote.
    """
    frames = read_movie(movie)
    channel_axis = 3 if len(frames.shape) == 4 else None
    viewer.add_image(frames, name=Path(movie).stem, channel_axis=channel_axis)
    viewer.add_labels(read_labels(Path(folder) / "labels.tif"), name="labels")
    tracks = read_tracks(Path(folder) / "tracks.csv")
    if len(tracks):
        viewer.add_tracks(tracks.table, graph=tracks.graph, name="tracks")


def main() -> None:
    """Open a window and stay until it is closed."""
    import napari

    movie, folder = sys.argv[1:3]
    add_results(napari.Viewer(), movie, folder)
    napari.run()


if __name__ == "__main__":
    main()
