"""The dialog that teaches a network the movie in work, in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.widgets.fine_tuning import Lesson, frames_to_learn, write_lesson
from napari_sam2.widgets.object_panel import plain_button
from napari_sam2.widgets.training_process import Training

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.widgets.controller import SegmentationController
    from napari_sam2.widgets.preferences import Preferences

_FRAMES = ("Frames with prompts", "All frames with masks")
_HELP = (
    "The network learns the masks of this movie, as they are now, and appears in the list of "
    "networks. Correct frames from all of the movie first, the crowded ones too: masks that are "
    "wrong are learned as well."
)


class FineTuneDialog(QDialog):
    """Name, time and frames; progress; stop and go on. The window can be used meanwhile.

    Parameters
    ----------
    controller : SegmentationController
        Its movie is learned from, and its network started from.
    preferences : Preferences
        Remembers the minutes.
    parent : QWidget, optional
    """

    def __init__(
        self,
        controller: SegmentationController,
        preferences: Preferences,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Fine-tune a network")
        self._controller = controller
        self._preferences = preferences
        self._config: Path | None = None
        self.training = Training(self)
        self.name_edit = QLineEdit("my-cells")
        self.name_edit.setToolTip("Name of the network that is made; one of this name is replaced")
        self.minutes_box = QDoubleSpinBox()
        self.minutes_box.setRange(0.1, 10_000)
        self.minutes_box.setValue(preferences.minutes)
        self.minutes_box.setToolTip("Time to spend; ten minutes teach much, an hour seldom more")
        self.frames_box = QComboBox()
        self.frames_box.addItems(_FRAMES)
        self.frames_box.setToolTip("Whose masks are right: only frames you looked at, or all")
        self.start_button = plain_button(
            "Start", "Learn in the background\nnapari-sam2 train lesson.toml", self.start
        )
        self.stop_button = plain_button(
            "Stop", "End after the step under way; Go on continues there", self.training.stop
        )
        self.go_on_button = plain_button(
            "Go on", "Continue a run that was stopped\nnapari-sam2 train --resume", self.go_on
        )
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.state_label = QLabel()
        self.state_label.setWordWrap(True)
        self._arrange()
        self.training.progressed.connect(self._show_progress)
        self.training.said.connect(self.state_label.setText)
        self.training.ended.connect(self._show_end)
        self._show_state()

    def start(self) -> None:
        """Write what there is to learn, then learn it."""
        movie = self._controller._movie
        if movie is None:
            self.state_label.setText("There is no movie: choose an image layer first")
            return
        self._preferences.keep(minutes=self.minutes_box.value())
        frames = frames_to_learn(
            movie.document, all_tracked=self.frames_box.currentText() == _FRAMES[1]
        )
        lesson = Lesson(
            movie.layers.movie,
            movie.document.masklets,
            frames,
            self.name_edit.text().strip(),
            self._controller.models.name or "bundled",
            self.minutes_box.value(),
        )
        self.state_label.setText("Writing images and masks…")
        self.start_button.setEnabled(False)
        worker = create_worker(
            write_lesson, lesson, _connect={"returned": self._begin, "errored": self._refuse}
        )
        self._writing = worker

    def go_on(self) -> None:
        """Continue a run that was stopped."""
        if self._config is not None:
            self.training.start(self._config, resume=True)
            self._show_state()

    def shut_down(self) -> None:
        """End the process; what was learned is saved."""
        self.training.close()
        self.close()

    def _begin(self, config: Path) -> None:
        self._config = config
        self.state_label.setText("Loading…")
        self.training.start(config)
        self._show_state()

    def _refuse(self, error: Exception) -> None:
        self.state_label.setText(f"Nothing was begun: {error}")
        self._show_state()

    def _arrange(self) -> None:
        text = QLabel(_HELP)
        text.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Name", self.name_edit)
        form.addRow("Minutes", self.minutes_box)
        form.addRow("Learn from", self.frames_box)
        buttons = QHBoxLayout()
        for button in (self.start_button, self.stop_button, self.go_on_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addLayout(form)
        layout.addWidget(self.bar)
        layout.addWidget(self.state_label)
        layout.addLayout(buttons)
        self.resize(420, 320)

    def _show_state(self) -> None:
        is_running = self.training.is_running
        self.start_button.setEnabled(not is_running)
        self.stop_button.setEnabled(is_running)
        self.go_on_button.setEnabled(not is_running and self._config is not None)

    def _show_progress(self, told: dict) -> None:
        self.bar.setValue(round(1000 * told["done"]))
        loss = "" if told.get("loss") is None else f", loss {told['loss']:.2f}"
        self.state_label.setText(f"Step {told['step']}, {told['minutes']:.1f} min{loss}")

    def _show_end(self, how: str) -> None:
        name = self.name_edit.text().strip()
        if how == "finished":
            self._config = None
            self.bar.setValue(1000)
            self.state_label.setText(f"{name} is ready: choose it under Network")
            self._controller.models.changed.emit()
        elif how == "stopped":
            self.state_label.setText("Stopped and saved; Go on continues there")
        else:
            self.state_label.setText(f"It failed: {self.training.problem}")
        self._show_state()


def open_dialog(
    controller: SegmentationController, preferences: Preferences, parent: QWidget
) -> FineTuneDialog:
    """Return the dialog of a dock, shown; it is made once, so that a run can be watched again."""
    known = parent.findChild(FineTuneDialog)
    dialog = known if known is not None else FineTuneDialog(controller, preferences, parent)
    dialog.show()
    dialog.raise_()
    return dialog
