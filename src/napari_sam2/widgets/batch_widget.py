"""The widget *Batch*: a table of movies that writes a jobs file, runs it and opens its results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.batch.cluster_options import read_cluster
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.jobs_file import read_jobs, write_jobs
from napari_sam2.batch.report import REPORT
from napari_sam2.widgets.batch_options import BatchOptions
from napari_sam2.widgets.batch_process import BatchProcess
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BatchWidget"]

JOBS_FILE = "jobs.toml"
_MOVIE, _SEEDS, _STATE = range(3)


class BatchWidget(QWidget):
    """Many movies: what to do, how far it is, and what came of it.

    Parameters
    ----------
    viewer : Viewer
        Shows results that are opened.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.jobs: list[JobSpec] = []
        self._folders: dict[str, str] = {}
        self._parts: dict[str, float] = {}
        self.process = BatchProcess(self)
        self.process.told.connect(self._show_told)
        self.process.ended.connect(self._show_end)
        self._make_table()
        self._make_fields()
        self._make_buttons()
        layout = QVBoxLayout(self)
        layout.addLayout(self._adding)
        layout.addWidget(self.table, 1)
        layout.addLayout(self._fields)
        layout.addWidget(self.bar)
        layout.addLayout(self._running)
        self._refresh()

    def add(self, source: str | Path) -> None:
        """Add a movie, a folder of movies, a session or a jobs file."""
        path = Path(source)
        try:
            if path.suffix == ".sam2":
                found = [JobSpec.parse({"session": str(path)}, Path.cwd())]
            elif path.suffix in (".toml", ".csv") or (path.is_dir() and path.suffix != ".zarr"):
                found = read_jobs(path)
                if path.suffix == ".toml":
                    self.options.show(read_cluster(path))
            else:
                beside = read_jobs(path.parent)
                found = [job for job in beside if Path(job.movie) == path.absolute()]
        except (ValueError, OSError) as error:
            show_error(str(error))
            return
        known = {(job.movie, job.session) for job in self.jobs}
        self.jobs += [job for job in found if (job.movie, job.session) not in known]
        self._refresh()

    def run(self) -> None:
        """Write ``jobs.toml`` into the folder of results and run it; finished ones are skipped."""
        out = self.out_edit.text().strip()
        if not out:
            show_error("choose a folder for the results first")
            return
        folder = Path(out).expanduser().absolute()
        outputs = tuple(self.outputs_edit.text().replace(",", " ").split())
        kind = self.seeds_box.currentData()
        completed = [self.options.completed(job) for job in self.jobs]
        jobs = [_completed(job, str(folder), outputs, kind) for job in completed]
        folder.mkdir(parents=True, exist_ok=True)
        self._parts.clear()
        written = write_jobs(folder / JOBS_FILE, jobs, self.options.cluster, overwrite=True)
        self.process.start(written)
        self._refresh_buttons()

    def cancel(self) -> None:
        """Stop now; the next run goes on from the frame in flight."""
        self.process.cancel()

    def open_result(self, row: int) -> None:
        """Open the result of a movie in the viewer, to be corrected."""
        title = self.jobs[row].title
        folder = Path(self._folders.get(title) or Path(self.out_edit.text()) / title)
        session = folder / f"{title}.sam2"
        if not session.is_dir():
            show_error(f"{title} has no result yet: run the batch first")
            return
        self._viewer.open(session, plugin="napari-sam2")

    def _make_table(self) -> None:
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["Movie", "Prompts", "State"])
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(_MOVIE, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_STATE, QHeaderView.ResizeMode.ResizeToContents)
        self.table.setToolTip("Double click opens the result of a movie")
        self.table.cellDoubleClicked.connect(lambda row, _column: self.open_result(row))

    def _make_fields(self) -> None:
        self.out_edit, self.outputs_edit = QLineEdit(), QLineEdit("tiff csv")
        self.out_edit.setPlaceholderText("folder for the results")
        self.outputs_edit.setToolTip(
            "Formats, parted by spaces: tiff csv ctc geff ome-zarr parquet coco trackmate"
        )
        self.seeds_box = QComboBox()
        for text, kind in (("Beside each movie", None), ("Automatic", "automatic")):
            self.seeds_box.addItem(text, kind)
        self.seeds_box.setToolTip(
            "Prompts for movies without: NAME.sam2, NAME.prompts.json or NAME.labels.tif lie beside"
        )
        choose = plain_button("…", "Choose the folder for the results", self._choose_out)
        choose.setMaximumWidth(36)
        line = QHBoxLayout()
        line.addWidget(self.out_edit, 1)
        line.addWidget(choose)
        self._fields = QFormLayout()
        self._fields.addRow("Prompts", self.seeds_box)
        self._fields.addRow("Results", line)
        self._fields.addRow("Outputs", self.outputs_edit)
        self.options = BatchOptions(self._fields)
        self.bar = QProgressBar()

    def _make_buttons(self) -> None:
        self.add_button = plain_button(
            "Add movies…", 'Add files or a jobs file\nbatch.add("cells.tif")', self._choose_files
        )
        self.folder_button = plain_button(
            "Add folder…", 'Add every movie of a folder\nbatch.add("day1")', self._choose_folder
        )
        self.remove_button = plain_button(
            "Remove", "Take the chosen movies off the list; files stay", self._remove
        )
        self.run_button = plain_button(
            "Run", "Run what is not done; `napari-sam2 batch jobs.toml`\nbatch.run()", self.run
        )
        self.cancel_button = plain_button(
            "Cancel", "Stop now; the next run goes on from here\nbatch.cancel()", self.cancel
        )
        self.report_button = plain_button("Report", "Open the report in a browser", self._report)
        self._adding, self._running = QHBoxLayout(), QHBoxLayout()
        for one in (self.add_button, self.folder_button, self.remove_button):
            self._adding.addWidget(one)
        for one in (self.run_button, self.cancel_button, self.report_button):
            self._running.addWidget(one)

    def _refresh(self) -> None:
        self.table.setRowCount(len(self.jobs))
        for row, job in enumerate(self.jobs):
            for column, text in (
                (_MOVIE, job.title),
                (_SEEDS, ", ".join(job.seeds) or "none"),
                (_STATE, ""),
            ):
                item = QTableWidgetItem(text)
                item.setToolTip(job.movie or job.session or "")
                self.table.setItem(row, column, item)
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        is_running = self.process.is_running
        self.run_button.setEnabled(bool(self.jobs) and not is_running)
        self.cancel_button.setEnabled(is_running)
        for one in (self.add_button, self.folder_button, self.remove_button):
            one.setEnabled(not is_running)
        self.report_button.setEnabled((Path(self.out_edit.text()) / REPORT).is_file())

    def _show_told(self, told: dict[str, Any]) -> None:
        title = told["movie"]
        if "outcome" in told:
            self._parts[title] = 1.0
            self._folders[title] = told["folder"]
            self._show_state(title, told["outcome"], told["error"])
        else:
            self._parts[title] = told["done"] / max(told["total"], 1)
            self._show_state(title, f"{told['done']} of {told['total']}", "")
        self.bar.setMaximum(100 * max(len(self.jobs), 1))
        self.bar.setValue(round(100 * sum(self._parts.values())))

    def _show_state(self, title: str, text: str, tip: str) -> None:
        for row, job in enumerate(self.jobs):
            if job.title == title:
                item = self.table.item(row, _STATE)
                item.setText(text)
                item.setToolTip(tip)

    def _show_end(self, status: int, printed: str) -> None:
        if status == 0:
            self.bar.setMaximum(100)
            self.bar.setValue(100)
        elif status in (2, -1):
            show_error(printed)
        self._refresh_buttons()

    def _remove(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        self.jobs = [job for row, job in enumerate(self.jobs) if row not in rows]
        self._refresh()

    def _choose_files(self) -> None:
        for name in QFileDialog.getOpenFileNames(self, "Add movies, or a jobs file")[0]:
            self.add(name)

    def _choose_folder(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "Add every movie of a folder"):
            self.add(chosen)

    def _choose_out(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "Folder for the results"):
            self.out_edit.setText(chosen)
            self._refresh_buttons()

    def _report(self) -> None:
        from qtpy.QtCore import QUrl
        from qtpy.QtGui import QDesktopServices

        page = Path(self.out_edit.text()).expanduser().absolute() / REPORT
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """End the command with the widget; what it has done stays."""
        self.process.close()
        super().closeEvent(event)


def _completed(job: JobSpec, out: str, outputs: tuple[str, ...], kind: str | None) -> JobSpec:
    """Return a job with what the fields say, where it says nothing itself."""
    from dataclasses import replace

    job = replace(job, out=job.out or out, outputs=outputs or job.outputs)
    return replace(job, automatic=True) if kind == "automatic" and not job.seeds else job
