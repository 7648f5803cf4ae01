"""The widget *Batch*: a jobs file, a process, results that open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_sam2.batch.cluster_options import Cluster
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.batch.jobs_file import read_jobs, write_jobs
from napari_sam2.io.prompts_file import write_prompts
from napari_sam2.prompts import PointPrompt
from napari_sam2.widgets.batch_widget import BatchWidget


@pytest.fixture
def movies(tmp_path, movie):
    folder = tmp_path / "movies"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", movie)
    write_prompts(folder / "a.prompts.json", [PointPrompt(1, 0, (20.0, 20.0))])
    return folder


def test_movies_are_listed_run_and_opened(make_napari_viewer, qtbot, movies, tmp_path):
    viewer = make_napari_viewer()
    widget = BatchWidget(viewer)
    qtbot.addWidget(widget)
    assert not widget.run_button.isEnabled()
    widget.add(movies)
    widget.add(movies / "a.tif")  # known already
    assert widget.table.rowCount() == 1
    assert widget.table.item(0, 1).text() == "prompts"
    widget.out_edit.setText(str(tmp_path / "out"))
    widget.options.along_box.setCurrentIndex(2)
    assert not widget.options.block_box.isEnabled()
    with qtbot.waitSignal(widget.process.ended, timeout=150_000) as ended:
        widget.run()
        assert widget.cancel_button.isEnabled()
    assert ended.args[0] == 0, ended.args[1]
    assert widget.table.item(0, 2).text() == "done"
    assert widget.bar.value() == widget.bar.maximum()
    (job,) = read_jobs(tmp_path / "out/jobs.toml")
    assert (job.title, job.along) == ("a", "z")
    assert tifffile.imread(tmp_path / "out/a/a.labels.tif").shape == movie_shape(movies)
    assert widget.report_button.isEnabled()
    widget.open_result(0)
    assert viewer.layers[0].name == "a"
    assert np.asarray(viewer.layers[0].data).shape == movie_shape(movies)


def test_what_a_jobs_file_says_of_workers_is_shown_and_kept(qtbot, tmp_path):
    jobs = [JobSpec(movie=str(tmp_path / "a.tif"), automatic=True, along="time")]
    written = write_jobs(tmp_path / "jobs.toml", jobs, Cluster(workers=4, block=50, retries=3))
    widget = BatchWidget(None)
    qtbot.addWidget(widget)
    widget.add(written)
    options = widget.options
    assert (options.workers_box.value(), options.block_box.value()) == (4, 50)
    options.block_box.setValue(20)
    assert options.cluster == Cluster(workers=4, block=20, retries=3)
    options.workers_box.setValue(0)
    assert options.cluster.is_here
    assert options.completed(jobs[0]).along == "time"


def test_daughters_are_taken_on_where_a_job_says_nothing_of_it(qtbot):
    widget = BatchWidget(None)
    qtbot.addWidget(widget)
    clicked = JobSpec(movie="a.tif", prompts="a.csv")
    assert widget.options.completed(clicked).divided == "auto"
    widget.options.daughters_box.setChecked(True)
    assert widget.options.completed(clicked).divided == "daughters"
    assert widget.options.completed(replace(clicked, divided="follow")).divided == "follow"
    assert widget.options.completed(JobSpec(movie="a.tif", automatic=True)).divided == "auto"


def movie_shape(movies):
    return tifffile.imread(movies / "a.tif").shape
