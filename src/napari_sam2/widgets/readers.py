"""Lets napari open sessions and Cell Tracking Challenge folders: dropped on the window, or by name.

Readers get no viewer. A session needs the dock, which is opened once napari has its layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_sam2.io.challenge import find_challenge_folder, read_challenge
from napari_sam2.io.session_file import SUFFIX, SessionRecord, read_session
from napari_sam2.widgets.session_settings import movie_layer

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[Any], list[LayerData]]
SESSION_KEY = "session"
"""Under this key of a layer's metadata the dock finds the session that it came from."""


def session_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the function that opens a session, None for what is none."""
    if not isinstance(path, str):
        return None
    folder = Path(path)
    folder = folder.parent if folder.name == "session.json" else folder
    if folder.suffix != SUFFIX or not (folder / "session.json").is_file():
        return None
    return lambda _chosen: open_session(folder)


def open_session(folder: Path) -> list[LayerData]:
    """Return the movie of a session; the dock opens and goes on where the session stopped.

    Where there is no window, as in a script, its labels come as a layer too.

    Raises
    ------
    ValueError
        If the movie was never in a file.
    FileNotFoundError
        If it is not where it was.
    """
    record = read_session(folder)
    if record.movie.path is None:
        raise ValueError(
            f"{folder} belongs to a movie that was in memory only: open that movie as an image "
            "layer, then the session with Open… in the dock"
        )
    path = Path(record.movie.path)
    if not path.exists():
        raise FileNotFoundError(
            f"the movie of {folder} is not at {path}: put it back, or open it where it is now and "
            "then the session with Open… in the dock"
        )
    data, about = movie_layer(record)
    metadata = {"napari-sam2": {SESSION_KEY: str(folder.absolute()), **about}}
    image = (data, {"name": path.stem, "metadata": metadata}, "image")
    if _open_dock_soon():
        return [image]
    return [image, _labels(record, path.stem)]


def challenge_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the function that opens results or truth of the Challenge, None for what is none."""
    if not isinstance(path, str) or find_challenge_folder(Path(path)) is None:
        return None
    return lambda _chosen: open_challenge(Path(path))


def open_challenge(folder: Path) -> list[LayerData]:
    """Return labels and tracks with their lineage as layers."""
    found = read_challenge(folder)
    table = found.centres()
    layers: list[LayerData] = [(found.labels, {"name": f"{found.name} labels"}, "labels")]
    if len(table):
        seen = set(table[:, 0].astype(int).tolist())
        graph = {
            daughter: [mother]
            for daughter, mother in found.parents.items()
            if {daughter, mother} <= seen
        }
        layers.append((table, {"name": f"{found.name} tracks", "graph": graph}, "tracks"))
    return layers


def _labels(record: SessionRecord, name: str) -> LayerData:
    return record.document.masklets.to_labels(), {"name": f"{name} objects"}, "labels"


def _open_dock_soon() -> bool:
    """Open the dock of the current viewer after napari is done; False without a window."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None or getattr(viewer, "window", None) is None:
        return False
    from qtpy.QtCore import QTimer

    from napari_sam2.widgets.opening import open_dock

    QTimer.singleShot(0, lambda: open_dock(viewer))
    return True
