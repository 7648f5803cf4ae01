"""The part of the dock that starts, watches and stops runs."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.widgets.correction_row import CorrectionRow
from napari_sam2.widgets.frame_range_row import FrameRangeRow
from napari_sam2.widgets.keys import tip
from napari_sam2.widgets.object_panel import plain_button
from napari_sam2.widgets.route_panel import RoutePanel
from napari_sam2.widgets.status import progress_text

if TYPE_CHECKING:
    from napari_sam2.predictor.options import Direction
    from napari_sam2.widgets.controller import SegmentationController
    from napari_sam2.widgets.messages import Progress

_HELP = {field.name: field.metadata["help"] for field in dataclasses.fields(PropagateOptions)}


class RunPanel(QWidget):
    """Range, objects and direction of a run, and how far it has come.

    Parameters
    ----------
    controller : SegmentationController
        Runs it.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._controller = controller
        self.range_row = FrameRangeRow(controller)
        self.route_panel = RoutePanel(controller.route)
        self.correction_row = CorrectionRow(controller)
        self.objects_box = QComboBox()
        self.objects_box.addItems(["All objects", "This object", "Selected objects"])
        self.objects_box.setToolTip(_HELP["objects"])
        self.resume_box = QCheckBox("Go on")
        self.resume_box.setToolTip(_HELP["resume"])
        self.follow_box = QCheckBox("Follow")
        self.follow_box.setToolTip("Show each frame as it is done, until you move the slider")
        self.follow_box.setChecked(controller.live.follows)
        self.follow_box.toggled.connect(self._set_follow)
        self.backward_button = plain_button(
            "◂ Backward",
            'Track from the prompts to earlier frames\nsam2.propagate("backward")',
            partial(self.run, "backward"),
        )
        self.both_button = plain_button("◂ Both ▸", tip("both"), self.run)
        self.forward_button = plain_button(
            "Forward ▸",
            'Track from the prompts to later frames\nsam2.propagate("forward")',
            partial(self.run, "forward"),
        )
        self.pause_button = plain_button("Pause", tip("pause"), self._pause_or_resume)
        self.cancel_button = plain_button("Cancel", tip("cancel"), controller.cancel)
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_label = QLabel()
        self.expected_label = QLabel()
        self.expected_label.setWordWrap(True)  # else a long text makes the whole dock wider
        self.expected_label.setToolTip("Masks of a run in both directions, and how long they take")
        self._arrange()
        self.objects_box.currentIndexChanged.connect(self.show_expected)
        self.resume_box.toggled.connect(self.show_expected)
        controller.frames.changed.connect(self.show_expected)
        controller.following.changed.connect(self._show_following)
        controller.edits.changed.connect(self.show_expected)
        controller.route.changed.connect(self.show_expected)
        controller.objects.changed.connect(self.show_expected)
        controller.models.changed.connect(self.show_expected)
        controller.review.rows_changed.connect(self.show_expected)  # a click was answered
        controller.events.image_changed.connect(self._show_image)
        controller.events.run_changed.connect(self._show_state)
        controller.events.progressed.connect(self._show_progress)
        self._show_image(controller.image)
        self._show_state(controller.run_state)

    def run(self, direction: Direction = "both") -> None:
        """Start a run with the settings that are shown."""
        options = self._options(direction)
        self._controller.propagate(
            direction, options.start, options.stop, options.objects, options.resume
        )

    def show_expected(self, *_: object) -> None:
        """Say how long a run in both directions would take."""
        expected = self._controller.forecast.of(self._options("both"))
        self.expected_label.setText(expected.text if expected.masks else "")

    def _options(self, direction: Direction) -> PropagateOptions:
        """Read the settings that are shown."""
        objects = self._controller.objects
        chosen = (None, (objects.current,), objects.selected)[self.objects_box.currentIndex()]
        frames = self._controller.frames
        return PropagateOptions(
            chosen, direction, frames.start, frames.stop, self.resume_box.isChecked()
        )

    def _arrange(self) -> None:
        """Lay the controls out."""
        settings = QHBoxLayout()
        settings.addWidget(self.objects_box, 1)
        settings.addWidget(self.resume_box)
        settings.addWidget(self.follow_box)
        buttons = QGridLayout()
        for column, button in enumerate(
            (self.backward_button, self.both_button, self.forward_button)
        ):
            buttons.addWidget(button, 0, column)
        stopping = QHBoxLayout()
        stopping.addWidget(self.progress_bar, 1)
        stopping.addWidget(self.pause_button)
        stopping.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.route_panel)
        layout.addWidget(self.range_row)
        layout.addLayout(settings)
        layout.addLayout(buttons)
        layout.addLayout(stopping)
        # In one place: what a run will take before it, how far it is while it goes on.
        layout.addWidget(self.expected_label)
        layout.addWidget(self.progress_label)
        layout.addWidget(self.correction_row)

    def _set_follow(self, follows: bool) -> None:
        self._controller.live.follows = follows

    def _pause_or_resume(self) -> None:
        if self._controller.run_state == "running":
            self._controller.pause()
        else:
            self._controller.resume()

    def _show_image(self, image: object) -> None:
        """Offer the frames of the movie."""
        self.setEnabled(image is not None)
        layers = self._controller.layers
        self.route_panel.show_grid(None if layers is None else layers.movie.grid)
        self.progress_label.clear()
        self.progress_bar.reset()

    def _show_state(self, state: str) -> None:
        """Offer what can be done in a state."""
        is_running = state != "idle"
        self.pause_button.setEnabled(is_running)
        self._show_following()
        self.show_expected()
        self.expected_label.setVisible(not is_running)
        self.progress_label.setVisible(is_running)
        self.pause_button.setText("Resume" if state == "paused" else "Pause")
        for button in (self.backward_button, self.both_button, self.forward_button):
            button.setEnabled(not is_running)

    def _show_following(self, *_: object) -> None:
        is_busy = self._controller.run_state != "idle" or self._controller.following.is_active
        self.cancel_button.setEnabled(is_busy)

    def _show_progress(self, progress: Progress) -> None:
        self.progress_bar.setRange(0, progress.total)
        self.progress_bar.setValue(progress.done)
        self.progress_label.setText(progress_text(progress))
