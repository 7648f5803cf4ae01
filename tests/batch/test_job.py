"""Jobs: what is on disk when they end, however they end."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from napari_sam2.batch.job import Job, ResultFolder, run_job
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt


@pytest.fixture(scope="module")
def predictor(weights):
    return VideoPredictor(load_model(weights), Runtime.auto("cpu"))


@pytest.fixture
def job(tmp_path, movie, predictor):
    def make(**options) -> Job:
        session = VideoSession.open(movie)
        session.add(MaskPrompt(1, 1, movie[1] > 600))
        session.add(PointPrompt(2, 3, (45.0, 47.0)))
        results = ResultFolder(tmp_path / "out")
        results.prepare(overwrite=False)
        return Job(session, predictor, results, PropagateOptions(**options))

    return make


@pytest.mark.parametrize(
    "options",
    [{}, {"direction": "forward"}, {"direction": "backward"}, {"start": 2, "stop": 3}],
)
def test_the_count_announced_is_the_count_done(job, options):
    planned = job(**options)
    report = run_job(planned)
    assert report.is_complete
    assert report.num_results == planned.count_results()
    assert report.seconds_per_frame == pytest.approx(report.seconds / report.num_results)


def test_every_frame_is_on_disk_before_it_is_reported(job):
    planned = job()
    seen = []

    def watch(result, count):
        on_disk = zarr.open_array(planned.results.labels_zarr, mode="r")[result.frame]
        assert np.array_equal(on_disk, planned.session.masklets.labels(result.frame))
        seen.append((result.frame, count))

    run_job(planned, watch)
    assert [count for _, count in seen] == list(range(1, len(seen) + 1))
    assert {frame for frame, _ in seen} == {0, 1, 2, 3, 4}


def test_prompted_frames_outside_the_range_are_written_too(job, movie):
    report = run_job(job(start=3, stop=4, direction="forward"))
    labels = zarr.open_array(report.results.labels_zarr, mode="r")
    assert np.array_equal(labels[1] == 1, movie[1] > 600)


def stop(result, count):
    return count == 2


def interrupt(result, count):
    if count == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize("watch", [stop, interrupt])
def test_a_run_that_is_stopped_keeps_what_it_has_done(job, watch):
    report = run_job(job(direction="forward"), watch)
    assert not report.is_complete
    assert report.num_results == 2
    for path in (report.results.labels_tiff, report.results.tracks, report.results.prompts):
        assert path.is_file()
    assert not json.loads(report.results.run.read_text())["is_complete"]


def test_nothing_to_track_is_refused(tmp_path, movie, predictor):
    results = ResultFolder(tmp_path / "out")
    results.prepare(overwrite=False)
    empty = Job(VideoSession.open(movie), predictor, results)
    with pytest.raises(ValueError, match="nothing to propagate"):
        empty.count_results()


def test_a_file_is_no_folder_for_results(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileExistsError, match="is a file"):
        ResultFolder(tmp_path / "out").prepare(overwrite=True)
