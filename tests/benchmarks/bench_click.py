"""From a click of the mouse to the mask on the screen, in a real viewer; needs a display."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich.table import Table
from tests.benchmarks.report import progress, seconds

SIDES = (256, 1024, 2048)
TARGETS = {256: "150 ms", 1024: "150 ms", 2048: "250 ms"}
CLICKS = 5


@dataclass(frozen=True, slots=True)
class Waited:
    """How long one click took: on the clock, of the processor, and in the network."""

    clock: float
    processor: float
    network: float


def run(rounds: int) -> Table:
    """Time clicks on frames of several sizes, with the frame encoded before."""
    # Before napari is imported: a benchmark leaves nobody's settings changed.
    settings = tempfile.TemporaryDirectory(prefix="napari-sam2-bench-")
    os.environ.setdefault("NAPARI_CONFIG", str(Path(settings.name) / "settings.yaml"))
    table = Table(title="bundled network: click to mask on the screen, frame encoded, medians")
    for column in ("what", "frames", "measured", "processor", "network", "target"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for side in SIDES:
        window = ClickedWindow(side)
        for what in ("first click on a cell", "second click on a cell"):
            progress(f"{what}, {side} pixels")
            found = [window.click(what) for _ in range(CLICKS * rounds)]
            parts = zip(*((one.clock, one.processor, one.network) for one in found), strict=True)
            times = [seconds(median(part)) for part in parts]
            table.add_row(what, f"{side} x {side}", *times, TARGETS[side])
        window.close()
    settings.cleanup()
    return table


class ClickedWindow:
    """A viewer with the dock on a movie of cells, and a mouse."""

    def __init__(self, side: int) -> None:
        import napari

        from napari_sam2.training.synthetic import dividing_cells

        movie = dividing_cells(3, (256, 256), seed=2)
        tiles = side // 256
        self._labels = np.tile(movie.labels[0], (tiles, tiles))
        self.viewer = napari.Viewer(show=True)
        self.viewer.window._qt_window.resize(1600, 950)
        self.viewer.add_image(np.tile(movie.images, (1, tiles, tiles)))
        self.viewer.dims.set_point(0, 0)
        _, self.widget = self.viewer.window.add_plugin_dock_widget(
            "napari-sam2", "Segment and track"
        )
        self._controller: Any = self.widget.controller
        self._canvas = self.viewer.window._qt_viewer.canvas
        self._centres = self._cells()
        self._drawn = self._answered = 0.0
        self._network = 0.0
        self._canvas._scene_canvas.events.draw.connect(self._on_draw, position="last")
        self._controller.events.status_changed.connect(self._on_status)
        self._wait(lambda: "ready" in self.widget.status_label.text())
        self._settle()

    def click(self, what: str) -> Waited:
        """Click a new cell, or the last one once more, and wait until it is seen."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        if what.startswith("first"):
            self._controller.new_object()
            yx = next(self._centres)
        else:
            record = self._controller.layers.masklets.record(self._controller.objects.current, 0)
            inside = np.argwhere(record.crop())
            y, x = inside[np.random.default_rng(len(inside)).integers(len(inside))]
            yx = (float(y + record.bbox[0]), float(x + record.bbox[1]))
        place = self._point(yx)
        QTest.mouseMove(self._canvas.native, place)
        self._settle()
        self._answered = self._drawn = 0.0
        started, used = perf_counter(), process_time()
        QTest.mouseClick(
            self._canvas.native,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
            place,
        )
        live = self._controller.live
        self._wait(lambda: self._answered and not live._is_due and self._drawn > self._answered)
        return Waited(self._drawn - started, process_time() - used, self._network)

    def close(self) -> None:
        """End the worker and close the window."""
        self.widget.shut_down()
        self.viewer.close()

    def _on_draw(self, _event: object) -> None:
        self._drawn = perf_counter()

    def _on_status(self, status: Any) -> None:
        if status.text.startswith("Object"):
            self._answered = perf_counter()
            self._network = float(status.text.split()[-2]) / 1000

    def _cells(self) -> Any:
        """Yield the middle of cell after cell, none twice."""
        from scipy.ndimage import distance_transform_edt, label

        places, count = label(self._labels > 0)
        depth = distance_transform_edt(self._labels > 0)
        order = np.random.default_rng(0).permutation(count) + 1
        for number in (*order, *order, *order):
            inside = np.argwhere(places == number)
            y, x = inside[depth[tuple(inside.T)].argmax()]
            if min(y, x) > 8 and max(y, x) < len(self._labels) - 8:
                yield float(y), float(x)

    def _point(self, yx: tuple[float, float]) -> Any:
        from qtpy.QtCore import QPoint

        camera = self.viewer.scene.camera
        height, width = self._canvas.size
        y, x = (np.asarray(yx) - camera.center[-2:]) * camera.zoom + (height / 2, width / 2)
        return QPoint(round(x), round(y))

    def _settle(self) -> None:
        """Wait until nothing is left to encode ahead, or to draw."""
        engine, end = self._controller._engine, perf_counter() + 0.4
        gaze = self._controller.prompting._look_ahead
        self._wait(lambda: perf_counter() > end and gaze._moved is None and not engine.has_work())

    def _wait(self, until: Any) -> None:
        from qtpy.QtTest import QTest

        end = perf_counter() + 120
        while not until():
            if perf_counter() > end:
                raise TimeoutError("the window did not answer within two minutes")
            QTest.qWait(1)
