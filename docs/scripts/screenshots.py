"""Take the pictures of the manual: a real viewer, the real network, the synthetic movie.

Run it in a display, for example
``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/scripts/screenshots.py``;
the pictures go to ``docs/images`` or to the folder that is given.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "images"
PATIENCE = 300.0
"""Seconds after which a picture is given up."""


class Session:
    """One viewer with the dock, operated as a user would."""

    def __init__(self, folder: Path, theme: str = "dark") -> None:
        import napari
        from napari._vispy.canvas import VispyCanvas

        _keep_context(VispyCanvas)
        self.folder = folder
        self.viewer = napari.Viewer()
        self.viewer.theme = theme
        self.viewer.window.resize(1440, 1080)

    def open_dock(self) -> None:
        """Open the sample movie and the dock, and wait for the network."""
        self.viewer.open_sample("napari-sam2", "dividing_cells")
        self.viewer.dims.set_point(0, 0)
        self.wait(0.2)
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-sam2", "Segment and track")
        self.controller = self.dock.controller
        self.until(lambda: "is ready" in self.dock.status_label.text())
        self.wait(0.5)

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > end:
                raise TimeoutError(self.dock.status_label.text())
            self.wait(0.02)

    def click(self, y: float, x: float, is_positive: bool = True) -> None:
        """Click a pixel of the image and wait for the answer."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        canvas = self.viewer.window._qt_viewer.canvas
        camera = self.viewer.scene.camera
        height, width = canvas.size
        row = (y - camera.center[-2]) * camera.zoom + height / 2
        column = (x - camera.center[-1]) * camera.zoom + width / 2
        button = Qt.MouseButton.LeftButton if is_positive else Qt.MouseButton.RightButton
        self.dock.status_label.clear()
        place = QPoint(round(column), round(row))
        QTest.mouseClick(canvas.native, button, Qt.KeyboardModifier.NoModifier, place)
        # A correction of a few frames is followed up before its answer can be read.
        told = ("Object", "Followed up")
        self.until(lambda: self.dock.status_label.text().startswith(told))

    def press(self, key: str) -> None:
        """Press a key on the canvas, such as ``D`` or ``Shift+B``."""
        from qtpy.QtGui import QKeySequence
        from qtpy.QtTest import QTest

        pressed = QKeySequence(key)[0]
        canvas = self.viewer.window._qt_viewer.canvas.native
        QTest.keyClick(canvas, pressed.key(), pressed.keyboardModifiers())
        self.wait(0.2)

    def settle(self) -> None:
        """Wait until runs and follow-ups have ended, and tables and lane are drawn."""
        controller = self.controller
        self.until(lambda: controller.run_state == "idle" and not controller.following.is_active)
        self.wait(1.0)

    def shoot(self, name: str, part: object = None) -> None:
        """Save what the window or a part of it shows, in few colours: pictures stay small."""
        import numpy as np
        from PIL import Image

        self.wait(0.4)
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        if part is not None:
            window = self.viewer.window._qt_window
            corner = part.mapTo(window, part.rect().topLeft())
            y, x = corner.y(), corner.x()
            pixels = np.ascontiguousarray(pixels[y : y + part.height(), x : x + part.width()])
        picture = (
            Image.fromarray(pixels)
            .convert("RGB")
            .quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        )
        picture.save(self.folder / f"{name}.png", optimize=True)

    def close(self) -> None:
        """End everything."""
        self.dock.shut_down()
        self.viewer.close()


def _keep_context(canvas: type) -> None:
    """Make the canvas current before layers go: software OpenGL crashes otherwise."""
    original = canvas._clean_and_update_scenegraph

    def clean(self: object) -> None:
        self.native.makeCurrent()
        original(self)

    canvas._clean_and_update_scenegraph = clean


def middles(labels: object, count: int, first: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return the innermost pixels (y, x) of these objects of a frame, and of the largest others."""
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    ids, areas = np.unique(labels, return_counts=True)
    largest = [ids[i] for i in np.argsort(-areas) if ids[i] not in (0, *first)]
    found = []
    for number in (*first, *largest)[:count]:
        inside = distance_transform_edt(labels == number)
        y, x = np.unravel_index(inside.argmax(), inside.shape)
        found.append((float(y), float(x)))
    return found


CELLS = 6
FIRST, MOTHER = 8, 9
"""Labels of the cell that is clicked first, and of the second, whose division is accepted."""


def main(folder: Path) -> None:
    """Take every picture, in the order of the tutorial."""
    from napari_sam2.training.synthetic import dividing_cells

    folder.mkdir(parents=True, exist_ok=True)
    truth = dividing_cells(frames=40, shape=(256, 256), seed=0).labels
    session = Session(folder)
    session.open_dock()
    session.shoot("widget-open")
    begin(session, truth[0])
    track(session)
    correct(session, truth)
    divide(session)
    session.close()


def begin(session: Session, labels: object) -> None:
    """Click the cells; of the second, take the smallest mask that the click offers."""
    for number, (y, x) in enumerate(middles(labels, CELLS, (FIRST, MOTHER))):
        if number:
            session.press("N")
        session.click(y, x)
        session.wait(0.5)
        if number == 0:
            session.shoot("widget-click")
        if number == 1:
            session.shoot("tutorial-candidates", session.dock.candidate_panel)
            candidates = session.controller.candidates
            while candidates.offer.chosen != candidates.offer.by_size[0]:
                session.press("C")
                session.settle()


def track(session: Session) -> None:
    """Run, and look at the tracks."""
    session.dock.run_panel.both_button.click()
    session.until(lambda: session.dock.run_panel.progress_bar.value() >= 20)
    session.shoot("widget-run")
    session.settle()
    session.shoot("widget-tracks")


def correct(session: Session, truth: object) -> None:
    """Go to a doubtful frame, look at it, and click what is missing there."""
    import numpy as np

    from napari_sam2.evaluation.clicks import corrective_click

    found = session.controller.review.next_doubtful(of_any=True)
    session.shoot("widget-review")
    if found is None:
        return
    object_id, frame = found
    mask = session.controller.layers.masklets.mask(object_id, frame)
    cells = np.bincount(truth[frame][mask])
    cells[0] = 0
    wanted = corrective_click(mask, truth[frame] == cells.argmax())
    if wanted is not None:
        session.click(*wanted[0], is_positive=wanted[1])
        session.settle()
        session.shoot("tutorial-correction")


def divide(session: Session) -> None:
    """Look at what is proposed, and accept it."""
    divisions = session.controller.divisions
    proposed = [one for one in divisions.proposals if one.mother == 2]
    if not proposed:
        raise RuntimeError(f"no division of the second cell is proposed: {divisions.proposals}")
    divisions.choose(proposed[0])
    session.wait(0.5)
    session.shoot("tutorial-proposal")
    session.press("Return")
    session.settle()
    session.viewer.dims.set_point(0, proposed[0].frame + 5)
    session.shoot("tutorial-divided")


if __name__ == "__main__":
    os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp()) / "settings.yaml"))
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
