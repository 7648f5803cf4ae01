"""A small movie, a network, and controllers and docks that are ended after each test."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


@pytest.fixture(autouse=True)
def _own_preferences(tmp_path):
    """Keep the user's choices out of tests, and the tests' out of the user's."""
    from qtpy.QtCore import QSettings

    place = str(tmp_path / "preferences")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, place)


@pytest.fixture(scope="session")
def small_network(tmp_path_factory):
    """File of a small network with random weights: enough where the look of masks is no matter."""
    import torch
    from safetensors.torch import save_file

    from napari_sam2.model.config import PRESETS, HieraConfig, SAM2Config
    from napari_sam2.model.sam2 import SAM2

    config = SAM2Config(
        name="small-random",
        hiera=HieraConfig(
            embed_dim=16, stages=(1, 1, 2, 1), global_blocks=(3,), window_spec=(8, 4, 4, 2)
        ),
        input_size=64,
        hidden_dim=32,
        memory_dim=16,
        memory_layers=1,
        memory_ffn=32,
        decoder_mlp=32,
    )
    torch.manual_seed(0)
    model = SAM2(config)
    with torch.no_grad():
        # Every object is taken to be there.
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(3.0)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(model.state_dict(), file, metadata={"config": config.name})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, config.name, config)
        yield str(file)


@pytest.fixture(scope="session")
def trained_network():
    """Name of the network that ships in the package, for tests of what masks look like."""
    return "bundled"


@pytest.fixture(scope="session")
def synthetic():
    """Twelve frames of dividing cells with their truth; read-only."""
    from napari_sam2.training.synthetic import dividing_cells

    movie = dividing_cells(frames=12, shape=(96, 96), seed=1)
    movie.images.flags.writeable = movie.labels.flags.writeable = False
    return movie


@pytest.fixture
def middle_of(synthetic):
    """Return a function: the (y, x) of an object on a frame, largest objects first."""

    def middle(rank: int = 0, frame: int = 0) -> tuple[float, float]:
        from scipy.ndimage import distance_transform_edt

        ids, areas = np.unique(synthetic.labels[frame], return_counts=True)
        order = [i for i in np.argsort(-areas) if ids[i] > 0]
        distance = distance_transform_edt(synthetic.labels[frame] == ids[order[rank]])
        y, x = np.unravel_index(distance.argmax(), distance.shape)
        return float(y), float(x)

    return middle


@pytest.fixture
def drive():
    """Return a function that polls a controller until something is so."""

    def wait(controller, until, timeout: float = 60.0) -> None:
        end = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < end, "it did not happen in time"
            controller.poll()
            time.sleep(0.006)
        controller.poll()

    return wait


@pytest.fixture
def make_controller(small_network, drive):
    """Return a function that gives a viewer model and a controller with a loaded network."""
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController

    made = []

    def make(*images, network: str | None = small_network, **properties):
        viewer = ViewerModel()
        controller = SegmentationController(viewer, wake=lambda: None)
        made.append(controller)
        controller.told = []
        controller.events.status_changed.connect(controller.told.append)
        for data in images:
            viewer.add_image(data, **properties)
        if images:
            controller.set_image(viewer.layers[0])
        if network is not None:
            controller.load_model(network)
            drive(controller, lambda: any("is ready" in status.text for status in controller.told))
        return viewer, controller

    yield make
    for controller in made:
        controller.close()
        end = time.monotonic() + 30  # a step of the network may be under way on a busy machine
        while controller.worker_is_alive:
            assert time.monotonic() < end, "the worker did not end"
            time.sleep(0.01)


@pytest.fixture
def answered(drive):
    """Return a function that waits for the next answer to a click."""

    def wait(controller, action) -> str:
        before = len(controller.told)
        action()

        def has_answer() -> bool:
            return any(status.text.startswith("Object") for status in controller.told[before:])

        drive(controller, has_answer)
        texts = [status.text for status in controller.told[before:]]
        return [text for text in texts if text.startswith("Object")][-1]

    return wait


_SUM = 5e-5
"""Seconds that the sum of a beat takes on a core of a laptop of 2020."""


class Heart:
    """Beats on the window's thread and tells how long that was held up by its own process.

    The wall clock also counts what a busy machine takes away. So Linux is asked for each thread's
    time on a processor and in the queue for one: of the time between two beats counts what the
    window's thread computed, and what it waited for something (a lock, a thread of ours) less what
    the other threads themselves spent in the queue. A neighbour on the same core also makes each
    instruction slower, and so is an old core: a short sum at every beat tells how much.
    """

    def __init__(self, interval: int = 2) -> None:
        from qtpy.QtCore import QTimer

        self._longest = 0.0
        self._sums: list[float] = []
        self._own = threading.get_native_id()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._last = self._look()
        self._timer.start(interval)

    @property
    def longest(self) -> float:
        """Seconds on a core of a laptop that nobody shares."""
        quickest = min(self._sums, default=_SUM)
        slowness = np.median(self._sums or _SUM) / min(quickest, _SUM)
        return float(self._longest / slowness)

    def stop(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
            self._beat()

    def _beat(self) -> None:
        (then, before), (now, after) = self._last, self._look()
        spent = {task: np.subtract(after[task], before[task]) for task in after.keys() & before}
        ran, queued = spent.pop(self._own)
        others = sum(waiting for _, waiting in spent.values())
        held_up = ran + max(0.0, now - then - ran - queued - others)
        self._longest = max(self._longest, held_up)
        begun = time.thread_time()
        sum(range(3000))
        self._sums.append(time.thread_time() - begun)
        self._last = self._look()

    def _look(self) -> tuple[float, dict[int, tuple[float, float]]]:
        """The clock, and by thread the seconds that it ran and queued."""
        found = {}
        for task in Path("/proc/self/task").glob("*"):
            try:
                ran, queued, _ = map(int, (task / "schedstat").read_text().split())
            except (OSError, ValueError):
                continue  # it has just ended
            found[int(task.name)] = (ran / 1e9, queued / 1e9)
        return time.monotonic(), found


@pytest.fixture
def heart(qtbot):
    """Return a function that starts a `Heart`."""
    hearts = []

    def start() -> Heart:
        hearts.append(Heart())
        return hearts[-1]

    yield start
    for one in hearts:
        one.stop()


@pytest.fixture
def _safe_layer_removal(monkeypatch):
    # Removing a layer from a visible viewer can crash in software OpenGL unless its context is
    # the current one.
    from napari._vispy.canvas import VispyCanvas

    original = VispyCanvas._clean_and_update_scenegraph

    def with_context(self):
        self.native.makeCurrent()
        original(self)

    monkeypatch.setattr(VispyCanvas, "_clean_and_update_scenegraph", with_context)


@pytest.fixture
def screenshot(pytestconfig):
    """Return a function that keeps a picture of the window, for people to look at."""

    def take(viewer, name: str) -> None:
        folder = pytestconfig.rootpath / "out" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        QApplication.processEvents()
        picture = viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)
        assert picture.std() > 1, "the picture is empty"

    return take


@pytest.fixture
def open_dock(make_napari_viewer, _safe_layer_removal, monkeypatch, small_network, qtbot):
    """Return a function that opens the dock as a user does; gives viewer and widget."""
    from napari_sam2.widgets import dock as dock_module

    docks = []

    def make(
        *images, network: str = small_network, ready: bool = True, seen: bool = False, **properties
    ):
        monkeypatch.setattr(dock_module, "DEFAULT_MODEL", network)
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1200, 800)
        for data in images:
            viewer.add_image(data, **properties)
        if viewer.dims.ndim == 3:
            viewer.dims.set_point(0, 0)
        if seen:  # who opens the dock has mostly looked at the movie before
            qtbot.waitUntil(lambda: bool(viewer.layers[0].corner_pixels.any()), timeout=10_000)
        _, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "Segment and track")
        docks.append(widget)
        if ready:
            qtbot.waitUntil(lambda: "is ready" in widget.status_label.text(), timeout=60_000)
        return viewer, widget

    yield make
    for widget in docks:
        widget.shut_down()
        qtbot.waitUntil(lambda widget=widget: not widget.controller.worker_is_alive, timeout=30_000)


@pytest.fixture
def canvas_point():
    """Return a function: where a pixel of the image is on the canvas."""

    def place(viewer, yx) -> QPoint:
        canvas = viewer.window._qt_viewer.canvas
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        height, width = canvas.size
        y, x = (np.asarray(yx) - camera.center[-2:]) * camera.zoom + (height / 2, width / 2)
        return QPoint(round(x), round(y))

    return place


@pytest.fixture
def click(qtbot, canvas_point):
    """Return a function that clicks a pixel of the image with the mouse."""

    def press(viewer, yx, button=Qt.MouseButton.LeftButton, modifier=None) -> None:
        native = viewer.window._qt_viewer.canvas.native
        modifier = modifier or Qt.KeyboardModifier.NoModifier
        qtbot.wait(20)  # vispy drops moves that come too fast
        QTest.mouseClick(native, button, modifier, canvas_point(viewer, yx))

    return press


@pytest.fixture
def answer(qtbot):
    """Return a function that does something and waits for the answer to a click."""

    def wait(widget, action) -> str:
        texts = []
        widget.controller.events.status_changed.connect(lambda status: texts.append(status.text))
        action()
        qtbot.waitUntil(lambda: any(t.startswith("Object") for t in texts), timeout=60_000)
        # On a busy machine more may have been said by now.
        return [text for text in texts if text.startswith("Object")][-1]

    return wait
