"""What the status line says."""

from __future__ import annotations

import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.widgets.messages import Failed, ModelLoading, Predicted, Progress, RunEnded
from napari_sam2.widgets.status import (
    answer_status,
    clock,
    failure_status,
    loading_status,
    progress_text,
    run_status,
)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (7, "0:07"), (760, "12:40"), (3723, "1:02:03")]
)
def test_durations(seconds, text):
    assert clock(seconds) == text


def test_progress():
    assert progress_text(Progress(0, 40, 0.0)) == "0 of 40 frames"
    assert progress_text(Progress(10, 40, 2.0)) == "10 of 40 frames · 5.0 frames/s · 0:06 left"


def test_a_download_counts_in_megabytes():
    assert loading_status(ModelLoading("bundled")).text == "Loading bundled…"
    status = loading_status(ModelLoading("sam2.1-tiny", 34_000_000, 156_008_466))
    assert status.text == "Downloading sam2.1-tiny: 34 of 156 MB"


def test_an_answer_without_a_mask_says_what_to_try():
    hidden = MaskRecord((0, 0, 0, 0), b"")
    assert "draw a box" in answer_status(Predicted("key", 3, 7, 1, hidden), "frame 7").text


@pytest.mark.parametrize(
    ("outcome", "start", "level"),
    [
        ("finished", "Done", "info"),
        ("cancelled", "Cancelled", "info"),
        ("failed", "Stopped", "error"),
    ],
)
def test_ends_of_runs(outcome, start, level):
    status = run_status(RunEnded("key", 1, outcome, Progress(12, 40, 3.0), None))
    assert status.text.startswith(start)
    assert "12 frames in 3.0 s" in status.text
    assert status.level == level


def test_failures_name_the_reason():
    status = failure_status(Failed("model", ValueError("broken.pt is truncated")))
    assert status.text == "The network could not be loaded: broken.pt is truncated"
    assert failure_status(Failed("run", MemoryError())).text == "The run stopped: MemoryError"
