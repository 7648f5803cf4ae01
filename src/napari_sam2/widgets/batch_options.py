"""The options of the widget *Batch*: divisions, the way through stacks, and how many workers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSpinBox

from napari_sam2.batch.cluster_options import Cluster, help_of
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.predictor.options import Along
from napari_sam2.widgets.route_panel import WAYS

__all__ = ["BatchOptions"]

_MOST_WORKERS = 256
_MOST_FRAMES = 1_000_000


class BatchOptions:
    """Choices for all movies; they go to the jobs file.

    Parameters
    ----------
    form : QFormLayout
        Gets a row for each.
    """

    def __init__(self, form: QFormLayout) -> None:
        # What has no field here, a jobs file may have said.
        self._cluster = Cluster()
        self.along_box = QComboBox()
        for way in get_args(Along):
            self.along_box.addItem(WAYS[way], way)
        about = {one.name: str(one.metadata["help"]) for one in fields(JobSpec)}
        self.along_box.setToolTip(f'{about["along"]}\nalong = "z" in the jobs file, --along z')
        self.daughters_box = QCheckBox("Take daughters on")
        self.daughters_box.setToolTip(
            f'{about["divided"]}\ndivided = "daughters" in the jobs file, --divided daughters'
        )
        form.addRow("Divided cells", self.daughters_box)
        self.workers_box = _spin_box("workers", _MOST_WORKERS, "none")
        self.block_box = _spin_box("block", _MOST_FRAMES, "whole movies")
        self.block_box.setSuffix(" frames")
        form.addRow("Stacks along", self.along_box)
        form.addRow("Dask workers", self.workers_box)
        form.addRow("Tasks of", self.block_box)
        self.workers_box.valueChanged.connect(self._refresh)
        self._refresh()

    @property
    def cluster(self) -> Cluster:
        """Where to run."""
        workers = self.workers_box.value() or None
        is_dask = workers or self._cluster.scheduler
        block = self.block_box.value() or None
        return replace(self._cluster, workers=workers, block=block if is_dask else None)

    def show(self, cluster: Cluster) -> None:
        """Take what a jobs file says."""
        self._cluster = cluster
        self.workers_box.setValue(cluster.workers or 0)
        self.block_box.setValue(cluster.block or 0)
        self._refresh()

    def completed(self, job: JobSpec) -> JobSpec:
        """Return a job with what is chosen here, where it says nothing itself."""
        usual = JobSpec()
        if job.along == usual.along:
            job = replace(job, along=self.along_box.currentData())
        # A search finds daughters by itself.
        is_open = job.divided == usual.divided and not job.automatic
        if self.daughters_box.isChecked() and is_open:
            job = replace(job, divided="daughters")
        return job

    def _refresh(self, *_: object) -> None:
        self.block_box.setEnabled(bool(self.workers_box.value() or self._cluster.scheduler))


def _spin_box(name: str, most: int, none: str) -> QSpinBox:
    """Return a field for a number that may be left out."""
    box = QSpinBox()
    box.setRange(0, most)
    box.setSpecialValueText(none)
    box.setToolTip(f"{help_of(name)}\n{name} = 4 under [cluster] in the jobs file, --{name} 4")
    return box
