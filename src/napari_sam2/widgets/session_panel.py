"""The part of the dock that says where the work is saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QSizePolicy, QWidget

from napari_sam2.io.session_file import SUFFIX
from napari_sam2.widgets.exports import complete, save_filters
from napari_sam2.widgets.help_page import HelpPage
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController


class SessionPanel(QWidget):
    """Where the session is saved, and the way to another one.

    Parameters
    ----------
    controller : SegmentationController
        Its `sessions` do the work.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._sessions = controller.sessions
        self.place_label = QLabel()
        self.place_label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.open_button = plain_button(
            "Open…",
            'Open a session with its movie\nsam2.sessions.open("cells.sam2")',
            self._ask_open,
        )
        self.save_button = plain_button(
            "Save as…",
            "Save to another folder from now on; everything is saved as it is done\n"
            'sam2.sessions.save_as("cells.sam2")',
            self._ask_save,
        )
        self.export_button = plain_button(
            "Export…",
            "Write the objects as tables, masks or tracks for other tools\n"
            'sam2.sessions.exports.begin("cells.csv")',
            self._ask_export,
        )
        self.keys_button = plain_button(
            "?", "Every key, and the line of Python that does the same", self._show_keys
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.place_label, 1)
        layout.addWidget(self.open_button)
        layout.addWidget(self.save_button)
        layout.addWidget(self.export_button)
        layout.addWidget(self.keys_button)
        controller.events.image_changed.connect(self._show)
        self._sessions.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        path, problem = self._sessions.path, self._sessions.problem
        if problem is not None:
            self.place_label.setText("Not saved!")
            self.place_label.setToolTip(problem)
        elif path is None:
            self.place_label.setText("Not saved: no file")
            self.place_label.setToolTip("The movie has no file: choose a folder with Save as…")
        else:
            self.place_label.setText(path.name)
            self.place_label.setToolTip(f"Everything is saved in {path} as it is done")

    def _show_keys(self) -> None:
        HelpPage(self).show()

    def _ask_open(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, f"Open a session (a folder {SUFFIX})")
        if chosen:
            self._sessions.open(Path(chosen))

    def _ask_save(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the session as", f"cells{SUFFIX}")
        if chosen:
            self._sessions.save_as(Path(chosen))

    def _ask_export(self) -> None:
        filters = save_filters()
        begin = "" if self._sessions.path is None else str(self._sessions.path.with_suffix(".csv"))
        chosen, kind = QFileDialog.getSaveFileName(
            self,
            "Export",
            begin,
            ";;".join(filters),
            next(one for one in filters if "*.csv" in one),
        )
        if chosen:
            path, name = complete(chosen, filters.get(kind, "csv"))
            # The dialog has asked already whether to replace what is there.
            self._sessions.exports.begin(path, name, overwrite=str(path) == chosen)
