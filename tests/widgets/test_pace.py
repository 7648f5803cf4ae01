"""How long a run takes, before one was measured and after."""

from __future__ import annotations

import pytest

from napari_sam2.widgets.pace import Pace


@pytest.fixture
def pace() -> Pace:
    made = Pace()
    made.use("bundled", "CPU")
    return made


def test_neither_the_first_click_nor_another_mask_of_one_decides(pace):
    assert pace.expected(100) is None
    for seconds in (1.0, 0.02, 0.03, 0.001, 0.02):
        pace.note_click(seconds)
    assert pace.expected(100) == pytest.approx(2.0)
    assert not pace.is_measured


def test_a_run_counts_more_than_clicks_and_only_for_its_network(pace):
    pace.note_click(1.0)
    pace.note_run(10, 2.0)
    pace.note_run(10, 1.0)
    assert pace.expected(100) == pytest.approx(15.0)
    pace.use("sam2.1-tiny", "CPU")
    assert pace.expected(100) is None
