"""The dock widget: puts the panels together, and ties controller and Qt."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import napari.viewer
from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.widgets import keys
from napari_sam2.widgets.activity import Activity
from napari_sam2.widgets.camera import WholePicture
from napari_sam2.widgets.candidate_panel import CandidatePanel
from napari_sam2.widgets.controller import SegmentationController
from napari_sam2.widgets.data_panel import DataPanel
from napari_sam2.widgets.division_panel import DivisionPanel
from napari_sam2.widgets.dock_folds import DockFolds
from napari_sam2.widgets.find_panel import FindPanel
from napari_sam2.widgets.held_drawing import HeldDrawing
from napari_sam2.widgets.model_panel import ModelPanel
from napari_sam2.widgets.object_panel import ObjectPanel
from napari_sam2.widgets.opening import prefer_sessions
from napari_sam2.widgets.preferences import Preferences
from napari_sam2.widgets.review_panel import ReviewPanel
from napari_sam2.widgets.run_panel import RunPanel
from napari_sam2.widgets.seed_panel import SeedPanel
from napari_sam2.widgets.session_panel import SessionPanel
from napari_sam2.widgets.source_panel import SourcePanel

if TYPE_CHECKING:
    from napari_sam2.widgets.status import Status

DEFAULT_MODEL = "bundled"
_STATUS_STYLES = {"info": "", "busy": "font-style: italic;", "error": "color: #e5484d;"}


class _Waker(QObject):
    """Carries the worker's call over to the window's thread."""

    woken = Signal()


class TrackWidget(QWidget):
    """Click a cell, see its mask, track it through the movie.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer; napari passes it by this name.

    Attributes
    ----------
    controller : SegmentationController
        Does everything that the buttons do, from Python.
    """

    _held_drawing: HeldDrawing | None = None
    """Of the window that the widget is in; nothing else may keep a window that is closed."""
    _picture: WholePicture | None = None
    """As the movie was seen before; until the dock is first drawn."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # Napari hands plugins a proxy that wraps every layer anew; only public names are used
        # here, but layers have to be told apart by identity.
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = viewer
        self._window: QWidget | None = None
        self._is_shut = False
        self._waker = _Waker()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._poll)
        self._waker.woken.connect(self._poll_soon, Qt.ConnectionType.QueuedConnection)
        self.controller = SegmentationController(viewer, self._wake)
        self.status_label = _two_lines()
        self.preferences = Preferences.load()
        self.source_panel = SourcePanel(viewer, self.controller)
        self.data_panel = DataPanel(viewer, self.controller)
        self.model_panel = ModelPanel(self.controller, self.preferences)
        self.object_panel = ObjectPanel(viewer, self.controller)
        self.candidate_panel, self.seed_panel = (
            CandidatePanel(self.controller),
            SeedPanel(viewer, self.controller),
        )
        self.find_panel, self.run_panel = FindPanel(self.controller), RunPanel(self.controller)
        self._remember_following()
        self.review_panel = ReviewPanel(viewer, self.controller)
        self.division_panel = DivisionPanel(self.controller)
        self.activity = Activity(self.controller)
        self.session_panel = SessionPanel(self.controller)
        self.folds = DockFolds(
            self.controller,
            self.preferences,
            (self.data_panel, self.model_panel, self.seed_panel, self.division_panel),
        )
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.addWidget(_scrolling(self._arranged()), 1)
        outside.addWidget(self.status_label)
        self.controller.events.status_changed.connect(self._show_status)
        keys.bind(viewer, self.controller, both=self.run_panel.run, find=self.find_panel.find)
        QApplication.instance().aboutToQuit.connect(self.shut_down)
        prefer_sessions()
        self._choose_first_image()
        self._picture = WholePicture(viewer, self.controller.image)
        self.controller.models.begin(self.preferences, DEFAULT_MODEL)

    def _arranged(self) -> QWidget:
        """Return the panels under one another: what is clicked most on top."""
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setSpacing(4)
        groups = (
            (self.source_panel, self.folds.data, self.folds.model),
            (self.object_panel, self.candidate_panel, self.find_panel, self.folds.seeds),
            (self.run_panel,),
            (self.folds.divisions, self.review_panel),
            (self.session_panel,),
        )
        for group in groups:
            for panel in group:
                layout.addWidget(panel)
            layout.addWidget(_line())
        layout.setStretchFactor(self.review_panel, 1)
        return content

    def shut_down(self) -> None:
        """End the worker and let go of the viewer; the layers stay. Can be called twice."""
        if self._is_shut:
            return
        self._is_shut = True
        self._timer.stop()
        if self._held_drawing is not None:
            self._held_drawing.release()
            self._held_drawing = None
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None
        QApplication.instance().aboutToQuit.disconnect(self.shut_down)
        keys.unbind(self._viewer)
        self.source_panel.disconnect_viewer()
        self.data_panel.disconnect_viewer()
        self.model_panel.shut_down()
        self.object_panel.disconnect_viewer()
        self.review_panel.shut_down()
        self.seed_panel.disconnect_viewer()
        self.controller.close()
        self.activity.close()
        self.setEnabled(False)

    def event(self, event: QEvent) -> bool:
        """Notice where the widget is: the x of a dock only takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            if self._window is not None:
                self.shut_down()
        elif event.type() in (QEvent.Type.ParentChange, QEvent.Type.Show):
            self._watch_window()
        elif event.type() == QEvent.Type.Paint and self._picture is not None:
            # The window is laid out: the canvas has the size that the dock leaves it.
            picture, self._picture = self._picture, None
            picture.fit()
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """End the worker when the window closes."""
        if watched is self._window and event.type() == QEvent.Type.Close:
            # The user may still say no to closing; afterwards the window tells.
            if event.spontaneous():
                QTimer.singleShot(0, self._shut_down_if_closed)
            else:
                self.shut_down()
        return False

    def _watch_window(self) -> None:
        """Filter the events of the main window that the widget is in, also while it floats."""
        window = self.parentWidget()
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is not None and window is not self._window:
            window.installEventFilter(self)
            self._window = window
            self._held_drawing = HeldDrawing(window)
            self.controller.prompting.sent.connect(self._held_drawing.hold)
            self.controller.live.drawn.connect(self._held_drawing.release)

    def _shut_down_if_closed(self) -> None:
        if self._window is None or not self._window.isVisible():
            self.shut_down()

    def _remember_following(self) -> None:
        """Let the slider follow runs as it did the last time."""
        box = self.run_panel.follow_box
        box.setChecked(self.preferences.follow)
        box.toggled.connect(lambda follows: self.preferences.keep(follow=follows))

    def _choose_first_image(self) -> None:
        """Take the active image, or the topmost, so that the first click can be the first act."""
        images = self.source_panel.images()
        active = self._viewer.layers.selection.active
        if images:
            self.controller.set_image(active if active in images else images[0])

    def _wake(self) -> None:
        # Called from the worker's thread, perhaps after Qt has deleted the window.
        with contextlib.suppress(RuntimeError):
            self._waker.woken.emit()

    def _poll_soon(self) -> None:
        # Not at once: Qt deals with all that is posted before it lets the window draw and take
        # keys, and a fast worker has always posted something more.
        if not self._is_shut and self._timer.remainingTime() != 0:
            self._timer.start(0)

    def _poll(self) -> None:
        """Take what the worker has to say, and come back for what is too early to draw."""
        delay = self.controller.poll()
        if delay is None:
            return
        wait = max(1, round(1000 * delay))
        if not self._timer.isActive() or wait < self._timer.remainingTime():
            self._timer.start(wait)

    def _show_status(self, status: Status) -> None:
        self.status_label.setText(status.text)
        self.status_label.setStyleSheet(_STATUS_STYLES[status.level])


def _scrolling(content: QWidget) -> QScrollArea:
    """Let the panels be scrolled where the screen is too low for them; their width stays."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    bar = area.verticalScrollBar().sizeHint().width()
    area.setMinimumWidth(content.minimumSizeHint().width() + bar)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area


def _two_lines() -> QLabel:
    """Return a label for two lines, so that the dock does not jump with what it says."""
    label = QLabel()
    label.setWordWrap(True)
    label.setMinimumHeight(2 * label.fontMetrics().height() + 4)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    return label


def _line() -> QFrame:
    """Return a thin line between two panels."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
