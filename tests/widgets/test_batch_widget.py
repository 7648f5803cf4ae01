"""The widget *Batch*: a jobs file, a process, results that open."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam2.batch.jobs_file import read_jobs
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
    with qtbot.waitSignal(widget.process.ended, timeout=150_000) as ended:
        widget.run()
        assert widget.cancel_button.isEnabled()
    assert ended.args[0] == 0, ended.args[1]
    assert widget.table.item(0, 2).text() == "done"
    assert widget.bar.value() == widget.bar.maximum()
    assert [job.title for job in read_jobs(tmp_path / "out/jobs.toml")] == ["a"]
    assert tifffile.imread(tmp_path / "out/a/a.labels.tif").shape == movie_shape(movies)
    assert widget.report_button.isEnabled()
    widget.open_result(0)
    assert viewer.layers[0].name == "a"
    assert np.asarray(viewer.layers[0].data).shape == movie_shape(movies)


def movie_shape(movies):
    return tifffile.imread(movies / "a.tif").shape
